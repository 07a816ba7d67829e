"use strict";

// Starts the run of the plan that is shown, and follows it. The browser asks Airflow's REST API with the viewer's own
// session, so Airflow decides whether the viewer may; the server of this page starts nothing.
(() => {
  const part = document.getElementById("offer");
  if (!part) return;
  const offer = JSON.parse(part.dataset.offer);
  const form = document.querySelector("form.plan");
  const button = part.querySelector("[data-start]");
  const said = part.querySelector("[data-said]");
  const { dag, dagApi, dagPage, cohortPage } = part.dataset;
  const ENDED = ["success", "failed"];
  const POLL_MS = 1500;
  const LONGEST_POLL_MS = 10000;
  // A further run of the same plan gets `__2` behind its id, then `__3`, because a run's id is used only once.
  let number = 1;
  // "ready", "busy" while Airflow is asked or a run is under way, "done" after the end of a run.
  let state = "ready";

  const runId = () => (number === 1 ? offer.run_id : `${offer.run_id}__${number}`);
  const runApi = (id) => `${dagApi}/dagRuns/${encodeURIComponent(id)}`;

  // Returns the status and the body of an answer; the status is 0 when there is no answer.
  async function ask(address, body) {
    const options = { credentials: "same-origin", headers: { Accept: "application/json" } };
    if (body) {
      options.method = "POST";
      options.headers["Content-Type"] = "application/json";
      options.body = JSON.stringify(body);
    }
    try {
      const answer = await fetch(address, options);
      return { status: answer.status, ok: answer.ok, body: await answer.json().catch(() => ({})) };
    } catch {
      return { status: 0, ok: false, body: {} };
    }
  }

  // Shows parts in one line: texts, and links as [text, address, leads into Airflow].
  function say(kind, ...parts) {
    const line = document.createElement("p");
    line.className = kind;
    for (const each of parts) {
      if (typeof each === "string") line.append(each);
      else if (each instanceof Node) line.append(each);
      else {
        const link = document.createElement("a");
        [link.textContent, link.href] = each;
        if (each[2]) link.dataset.airflow = "";
        line.append(link);
      }
    }
    said.replaceChildren(line);
  }

  // Returns Airflow's own sentence about a refused request, without the schema that follows it.
  function sentenceOf(answer) {
    const detail = answer.body?.detail;
    const first = Array.isArray(detail) ? `${detail[0]?.loc?.slice(1).join(".")}: ${detail[0]?.msg}` : detail;
    const text = typeof first === "string" ? first.split("\n")[0] : `status ${answer.status}`;
    return text.replace(/^Invalid input for param (\w+): /, "$1: ").replace(/[.\s]*$/, ".");
  }

  const dagLink = () => [`Open the DAG ${dag}`, dagPage, true];

  function explain(answer) {
    if (answer.status === 0) {
      say("problem", "Airflow did not answer. Check your connection, then press the button again: if the run was created, the page finds it and starts no second one.");
    } else if (answer.status === 401) {
      say("problem", "Your session is over, so nothing was started. ", ["Log in again", window.location.href], ", then press the button.");
    } else if (answer.status === 403) {
      say("problem", `You may not trigger the DAG ${dag}, so nothing was started. Ask an administrator for the right to create its runs, or give the conf below to somebody who has it.`);
    } else if (answer.status === 404) {
      say("problem", `Airflow has no DAG ${dag} now: its file is missing, or was not parsed yet. Nothing was started. Look at the import errors on Airflow's page Dags, then press the button again.`);
    } else if (answer.status === 400 || answer.status === 422) {
      say("problem", `Airflow refused the run: ${sentenceOf(answer)} Nothing was started. Change the form, show the plan again, or `, [`look at the DAG ${dag}`, dagPage, true], ".");
    } else {
      say("problem", `Airflow answered with status ${answer.status}. The log of its API server says why. Press the button again in a moment: if the run was created, the page finds it and starts no second one.`);
    }
  }

  // A form that differs from the plan must not be run. A browser may also restore former entries when it reloads.
  function isEdited() {
    return [...form.elements].some((each) => {
      if (!each.name) return false;
      if (each.type === "checkbox") return each.checked !== each.defaultChecked;
      if (each.tagName === "SELECT") {
        const planned = [...each.options].find((option) => option.defaultSelected) ?? each.options[0];
        return each.value !== planned.value;
      }
      return each.value.trim() !== each.defaultValue.trim();
    });
  }

  let saidEdited = false;
  function refresh() {
    const edited = isEdited();
    button.disabled = edited || state !== "ready";
    if (state !== "ready" || edited === saidEdited) return;
    saidEdited = edited;
    if (edited) say("problem", "The form differs from the plan. Show the plan again, then start it.");
    else said.replaceChildren();
  }

  function become(next) {
    state = next;
    saidEdited = false;
    refresh();
  }

  // Returns a queued or running run of this cohort, whoever started it; null without one, or when nobody may say.
  async function runUnderWay() {
    const answer = await ask(`${dagApi}/dagRuns?state=queued&state=running&limit=100&order_by=-id`);
    const runs = answer.ok ? (answer.body.dag_runs ?? []) : [];
    // Without a cohort in its conf, a run of this page is known by its id: the prefix, a digest, and a number.
    const ofThisPage = (id) => id.startsWith(offer.run_id_prefix) && /^[0-9a-f]{12}(__[0-9]+)?$/.test(id.slice(offer.run_id_prefix.length));
    const isOurs = (run) => (run.conf?.cohort_id ? run.conf.cohort_id === offer.cohort_id : ofThisPage(run.dag_run_id));
    return runs.find(isOurs) ?? null;
  }

  async function start() {
    if (state !== "ready" || isEdited()) return;
    become("busy");
    say("soft", "Asking Airflow ...");
    const found = await ask(dagApi);
    // Without the right to read the DAG's details, Airflow decides when the run is asked for.
    if (!found.ok && found.status !== 403) return giveUp(found);
    if (found.body.is_paused) {
      become("ready");
      return say("problem", `The DAG ${dag} is paused, so a run would wait. Nothing was started. `, dagLink(), ", switch it on, then press the button again.");
    }
    const active = await runUnderWay();
    if (active) return follow(active, "A run of this cohort is under way already: ");
    const answer = await ask(`${dagApi}/dagRuns`, { dag_run_id: runId(), logical_date: null, conf: offer.conf, note: offer.note });
    if (answer.ok) return follow(answer.body, "Started: ");
    if (answer.status === 409) return followFormer();
    return giveUp(answer);
  }

  function giveUp(answer) {
    become("ready");
    explain(answer);
  }

  // The run with this id exists. One at work is followed; behind one that has ended only a further press starts another.
  async function followFormer() {
    const former = await ask(runApi(runId()));
    if (!former.ok) return giveUp(former);
    if (!ENDED.includes(former.body.state)) return follow(former.body, "This plan was started already: ");
    number += 1;
    const next = await ask(runApi(runId()));
    if (next.ok) return followFormer();
    become("ready");
    button.textContent = offer.again;
    say("problem", "A run of this plan exists, and nothing was started: ", linkTo(former.body), badge(former.body.state), ". Its log says what it did. Press the button again for one more run.");
  }

  function linkTo(run) {
    const link = document.createElement("a");
    link.textContent = run.dag_run_id;
    link.href = `${dagPage}/runs/${encodeURIComponent(run.dag_run_id)}`;
    link.dataset.airflow = "";
    return link;
  }

  function badge(runState) {
    const mark = document.createElement("span");
    mark.className = `state r-${runState}`;
    mark.textContent = runState;
    return mark;
  }

  // Shows the run's state until it ends, then the way to its results.
  async function follow(run, words) {
    become("busy");
    const mark = badge(run.state);
    const note = document.createElement("span");
    say("run", words, linkTo(run), mark, note);
    let wait = POLL_MS;
    let current = run.state;
    while (!ENDED.includes(current)) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      if (document.hidden) continue;
      const answer = await ask(runApi(run.dag_run_id));
      if (answer.status === 401 || answer.status === 403) return giveUpFollowing(run, answer.status);
      if (answer.status === 404) return endWith("problem", "The run was deleted. ", run, "deleted");
      note.textContent = answer.ok ? "" : " Airflow does not answer; asking again.";
      wait = answer.ok && answer.body.state !== current ? POLL_MS : Math.min(LONGEST_POLL_MS, wait * 1.3);
      current = answer.ok ? answer.body.state : current;
      if (mark.textContent !== current) {
        mark.className = `state r-${current}`;
        mark.textContent = current;
      }
    }
    if (current === "success") return endWith("run", "The run has ended: ", run, current, " ", ["Open the cohort's page", cohortPage], ".");
    return endWith("problem", "The run is red: ", run, current, " The log of its task summarise_cohort (or of plan_cohort) says why and what to do. ", ["Open the cohort's page", cohortPage], ".");
  }

  function giveUpFollowing(run, status) {
    const why = status === 401 ? "Your session is over, but the run goes on: " : "You may not read the state of the run: ";
    endWith("problem", why, run, "unknown", " ", ["Reload this page", window.location.href], ".");
  }

  function endWith(kind, words, run, runState, ...more) {
    become("done");
    say(kind, words, linkTo(run), badge(runState), ...more);
  }

  button.hidden = false;
  button.addEventListener("click", start);
  form.addEventListener("input", refresh);
  form.addEventListener("change", refresh);
  window.addEventListener("pageshow", refresh);
  refresh();
  // After a reload, a run that is under way is shown again.
  runUnderWay().then((run) => {
    if (run && state === "ready") follow(run, "A run of this cohort is under way: ");
  });
})();
