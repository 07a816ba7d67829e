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
  const text = button.closest("section").querySelector("[data-copied]").textContent;
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

// Polls the counts of a cohort while it may change, and fetches the page again only when a count differs.
const SOON_MS = 2000;
const LATE_MS = 30000;

function follow() {
  const live = document.getElementById("live");
  if (!live) return;
  let wait = SOON_MS;
  const same = (a, b) => Object.keys(b).every((name) => name === "seen_at" || a[name] === b[name]);
  const renewIfChanged = async () => {
    const before = JSON.parse(live.dataset.now);
    const answer = await fetch(live.dataset.progress, { credentials: "same-origin" });
    if (!answer.ok) return false;
    const now = await answer.json();
    // Another process of the API server may have read the store earlier than the process that made this page.
    return now.seen_at > before.seen_at && !same(before, now) && (await renew(live));
  };
  const poll = async () => {
    if (!document.hidden) {
      const renewed = await renewIfChanged().catch(() => false);
      wait = renewed ? SOON_MS : Math.min(LATE_MS, wait * 1.5);
    }
    setTimeout(poll, wait);
  };
  setTimeout(poll, JSON.parse(live.dataset.now).may_change ? wait : LATE_MS);
}

async function renew(live) {
  // Leaves the page alone while somebody is filling in the filter.
  const used = document.activeElement;
  if (live.contains(used) && used.matches("input, select, textarea")) return false;
  const answer = await fetch(window.location.href, { credentials: "same-origin", headers: { Accept: "text/html" } });
  if (!answer.ok) return false;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
  if (!fresh) return false;
  const scrolled = live.querySelector(".matrix");
  const [top, left] = scrolled ? [scrolled.scrollTop, scrolled.scrollLeft] : [0, 0];
  live.dataset.now = fresh.dataset.now;
  live.replaceChildren(...fresh.childNodes);
  const matrix = live.querySelector(".matrix");
  if (matrix) matrix.scrollTo(left, top);
  prepare(live);
  return true;
}

prepare(document);
follow();
