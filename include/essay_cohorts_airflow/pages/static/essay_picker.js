"use strict";

// Chooses essays from a searched list. The field with the ids is what the form sends; this list only edits the field.
(() => {
  const picker = document.querySelector("[data-picker]");
  if (!picker) return;
  const field = picker.closest("form").elements.essay_ids;
  const part = (name) => picker.querySelector(`[data-${name}]`);
  const search = part("search");
  const titles = new Map([...part("chosen").children].map((each) => [each.dataset.id, each.textContent]));
  const PAUSE_MS = 250;
  const CHIPS_SHOWN = 100;
  let page = 1;
  let asked = 0;
  let timer = 0;

  const chosenIds = () => field.value.split(/[\s,]+/).filter(Boolean);

  function choose(ids) {
    field.value = [...new Set(ids)].join("\n");
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function element(tag, className, ...parts) {
    const made = document.createElement(tag);
    made.className = className;
    made.append(...parts);
    return made;
  }

  const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

  function row(essay) {
    titles.set(essay.essay_id, essay.title);
    const box = document.createElement("input");
    box.type = "checkbox";
    box.value = essay.essay_id;
    box.addEventListener("change", () => {
      const others = chosenIds().filter((id) => id !== essay.essay_id);
      choose(box.checked ? [...others, essay.essay_id] : others);
    });
    const facts = [essay.essay_id, counted(essay.words, "word"), ...(essay.group ? [`group ${essay.group}`] : [])];
    const scored = essay.evaluations ? `${essay.scored.toLocaleString("en")} of ${counted(essay.evaluations, "evaluation")} scored` : "not judged";
    const words = element("span", "", essay.title || essay.essay_id, element("small", "soft sub", [...facts, scored].join(" · ")));
    return element("li", "", element("label", "check", box, words));
  }

  async function show() {
    const number = ++asked;
    part("found").textContent = "Reading the essays ...";
    const query = new URLSearchParams({ text: search.value, page });
    const answer = await fetch(`${picker.dataset.picker}?${query}`, { credentials: "same-origin", headers: { Accept: "application/json" } }).catch(() => null);
    const found = answer?.ok ? await answer.json().catch(() => null) : null;
    if (number !== asked) return;
    if (!found) {
      const why = answer?.status === 401 ? "Your session is over: reload the page to log in." : "The essays could not be read. Search again, or write ids into the field below.";
      part("found").textContent = why;
      return;
    }
    page = found.page;
    part("results").replaceChildren(...found.essays.map(row));
    part("found").textContent = found.found ? `${counted(found.found, "essay")} found` : "No essay matches. Search for a part of its title, id or group.";
    part("pages").hidden = found.pages < 2;
    part("page").textContent = `Page ${found.page} of ${found.pages}`;
    part("previous").disabled = found.page < 2;
    part("next").disabled = found.page >= found.pages;
    part("all").hidden = !found.essays.length;
    mark();
  }

  // Shows what the field says: the ticks of the list, and the chosen essays with a button that removes each.
  function mark() {
    const ids = chosenIds();
    const chosen = new Set(ids);
    for (const box of part("results").querySelectorAll("input")) box.checked = chosen.has(box.value);
    const more = chosen.size - CHIPS_SHOWN;
    part("number").textContent = chosen.size ? `${counted(chosen.size, "essay")} chosen${more > 0 ? `, of which ${CHIPS_SHOWN} are shown` : ""}` : "No essay chosen: the selection file says which.";
    part("clear").hidden = !chosen.size;
    part("chosen").replaceChildren(...[...chosen].slice(0, CHIPS_SHOWN).map(chip));
  }

  function chip(id) {
    const title = titles.get(id) || id;
    const remove = element("button", "", "×");
    remove.type = "button";
    remove.setAttribute("aria-label", `Remove ${title}`);
    remove.addEventListener("click", () => {
      const place = [...part("chosen").children].indexOf(remove.parentElement);
      choose(chosenIds().filter((each) => each !== id));
      // The keyboard stays where it was.
      const left = part("chosen").querySelectorAll("button");
      (left[Math.min(place, left.length - 1)] ?? field).focus();
    });
    return element("li", "", element("span", "", title), remove);
  }

  const turn = (step) => () => {
    page += step;
    show();
  };
  part("previous").addEventListener("click", turn(-1));
  part("next").addEventListener("click", turn(1));
  part("all").addEventListener("click", () => choose([...chosenIds(), ...[...part("results").querySelectorAll("input")].map((box) => box.value)]));
  part("clear").addEventListener("click", () => choose([]));
  search.addEventListener("input", () => {
    page = 1;
    clearTimeout(timer);
    timer = setTimeout(show, PAUSE_MS);
  });
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    // Enter searches at once instead of sending the form.
    event.preventDefault();
    clearTimeout(timer);
    show();
  });
  // The essays are read only for somebody who looks at the list, because a large store takes seconds.
  const list = part("list");
  list.addEventListener("toggle", () => {
    if (list.open && !asked) show();
  });
  field.addEventListener("input", mark);
  window.addEventListener("pageshow", mark);
  picker.hidden = false;
  mark();
})();
