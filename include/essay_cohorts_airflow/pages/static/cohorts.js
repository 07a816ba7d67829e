"use strict";

// Airflow shows this page in a frame that may not navigate the window, so the page around the frame follows the link.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-airflow]");
  if (!link || window.parent === window || event.button !== 0) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  try {
    const outer = window.parent.document.createElement("a");
    outer.href = link.href;
    window.parent.document.body.append(outer);
    event.preventDefault();
    outer.click();
    outer.remove();
  } catch {
    // A page of another origin frames this page: the link opens inside the frame.
  }
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const text = button.closest("section, details").querySelector("[data-copied]").textContent;
  const label = button.textContent;
  button.textContent = (await copy(text)) ? "Copied" : "Press Ctrl-C";
  setTimeout(() => (button.textContent = label), 1500);
});

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

function prepare(part) {
  for (const button of part.querySelectorAll("button[data-copy]")) button.hidden = false;
  showRunStates(part);
  replaceLinksToDeletedLogs(part);
}

// Shows the state of each linked DagRun, which Airflow's API gives to users who may see the run.
async function showRunStates(part) {
  const links = [...part.querySelectorAll("a[data-run]")];
  const ask = async (link) => {
    try {
      const answer = await fetch(link.dataset.run, { credentials: "same-origin" });
      const state = answer.ok ? (await answer.json()).state : answer.status === 404 ? "deleted" : "";
      if (!state) return;
      const badge = link.nextElementSibling?.matches(".state") ? link.nextElementSibling : document.createElement("span");
      badge.className = `state r-${state}`;
      badge.textContent = state;
      link.after(badge);
    } catch {
      // Without an answer the link stays as it is.
    }
  };
  for (let start = 0; start < links.length; start += 6) await Promise.all(links.slice(start, start + 6).map(ask));
}

// Airflow deletes a run's logs with the run, so a link to such a log would lead to an error.
async function replaceLinksToDeletedLogs(part) {
  const links = [...part.querySelectorAll("a[data-log-of]")];
  for (const run of new Set(links.map((link) => link.dataset.logOf))) {
    const answer = await fetch(run, { credentials: "same-origin" }).catch(() => null);
    if (answer?.status !== 404) continue;
    for (const link of links.filter((each) => each.dataset.logOf === run)) {
      const note = document.createElement("span");
      note.className = "soft";
      note.textContent = "its run was deleted";
      link.replaceWith(note);
    }
  }
}

prepare(document);

// The server answers with this page while it reads a large cohort; the next answer waits for the end of the reading.
if (document.querySelector("[data-reading]")) setTimeout(() => location.reload(), 300);
