"use strict";

// Keeps an open cohort page up to date without a reload. The totals and the progress of a run are asked for every two
// seconds while a run is under way, and less often otherwise. The whole page is asked for only when a count has changed.
const SOON_MS = 2000;
const LATE_MS = 30000;
const QUIET_MS = 10000;

const isBadge = (node) => node instanceof Element && node.matches(".state");

// Makes the node `old` equal to `fresh` and leaves alone what is equal already, so that focus, scroll positions, selected
// text and typed text stay. The badges that `showRunStates` adds are kept, because no server sends them.
function update(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh);
  } else if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.replaceWith(fresh);
  } else {
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    const [kept, wanted] = [old, fresh].map((each) => [...each.childNodes].filter((node) => !isBadge(node)));
    wanted.forEach((node, index) => (index < kept.length ? update(kept[index], node) : old.append(node)));
    kept.slice(wanted.length).forEach((node) => node.remove());
  }
}

async function fetchPage(address) {
  const answer = await fetch(address, { credentials: "same-origin", headers: { Accept: "text/html" } });
  return answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
}

// Another process of the API server may have read the store earlier than the process that made this page.
const isOlder = (fresh) => fresh.dataset.seenAt < document.getElementById("totals").dataset.seenAt;

async function updateProgress(live) {
  const run = document.getElementById("run");
  const before = run.dataset.phase;
  const fresh = await fetchPage(`${live.dataset.progress}?watched=${encodeURIComponent(run.dataset.runId ?? "")}`);
  if (!fresh) return;
  const older = isOlder(fresh.getElementById("totals"));
  if (!older) update(document.getElementById("totals"), fresh.getElementById("totals"));
  // The progress is never old. Without a run under way, this part shows figures of the store.
  if (!older || fresh.getElementById("run").dataset.phase) update(run, fresh.getElementById("run"));
  if (run.dataset.phase !== before) prepare(run);
}

async function updatePage(live) {
  // Leaves the page alone while somebody is filling in the filter.
  if (live.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) return false;
  const fresh = (await fetchPage(window.location.href))?.getElementById("live");
  if (!fresh || isOlder(fresh.querySelector("#totals"))) return false;
  // The page of a run that has just ended has no progress any more, but the progress that is shown must stay.
  fresh.querySelector("#run").replaceWith(document.getElementById("run").cloneNode(true));
  update(live, fresh);
  prepare(live);
  return true;
}

// Tells a screen reader how far the run is: at each tenth of the calls and at each new phase, but not too often.
function announcer() {
  const status = document.createElement("p");
  status.className = "hidden";
  status.setAttribute("role", "status");
  document.getElementById("main").append(status);
  let [said, saidAt] = [document.getElementById("run").dataset.milestone, 0];
  return () => {
    const { phase, milestone, announcement } = document.getElementById("run").dataset;
    if (milestone === said || (phase !== "ended" && Date.now() - saidAt < QUIET_MS)) return;
    status.textContent = announcement ?? "";
    [said, saidAt] = [milestone, Date.now()];
  };
}

function follow(live) {
  const announce = announcer();
  const totals = () => document.getElementById("totals").dataset;
  const isUnderWay = () => !["ended", undefined].includes(document.getElementById("run").dataset.phase);
  let [shown, wait] = [totals().counts, SOON_MS];
  const poll = async () => {
    if (!document.hidden) {
      await updateProgress(live).catch(() => null);
      const renewed = totals().counts !== shown && (await updatePage(live).catch(() => false));
      if (renewed) shown = totals().counts;
      announce();
      wait = renewed || isUnderWay() ? SOON_MS : Math.min(LATE_MS, wait * 1.5);
    }
    setTimeout(poll, wait);
  };
  setTimeout(poll, isUnderWay() || "mayChange" in totals() ? wait : LATE_MS);
}

follow(document.getElementById("live"));
