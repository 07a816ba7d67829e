"""From the plan page to a run, in a real browser and a real Airflow: choices, the button, and its messages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.browser import Visitor, chromium
from tests.e2e.conftest import DAG_ID, Stage

# No other scenario of this suite uses these essays.
ESSAYS = range(921, 925)
RUNS = f"**/api/v2/dags/{DAG_ID}/dagRuns"
DAG = f"**/api/v2/dags/{DAG_ID}"


@pytest.fixture(scope="module")
def essays(running_stage: Stage) -> Stage:
    """Add the essays of this file to the store."""
    running_stage.judge.reset()
    for number in ESSAYS:
        running_stage.store.essay(number, f"About harbour number {number}\n\nEssay number {number}. Tides.\n")
    return running_stage


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start one browser for this file."""
    with chromium() as running:
        yield running


@pytest.fixture
def visitor(browser: Browser, essays: Stage) -> Iterator[Visitor]:
    """Return a logged-in visitor, and check at the end that no page had an error."""
    visitor = Visitor.logged_in(browser, essays.airflow)
    yield visitor
    visitor.leave()
    assert visitor.errors == []


def _plan(cohort_id: str, number: int = 921, **fields: str) -> str:
    more = "".join(f"&{name}={value}" for name, value in fields.items())
    return f"plan?show=1&cohort_id={cohort_id}&essay_ids=e_essay{number}&templates=novelty&replicates=1{more}"


def _runs(stage: Stage, cohort_id: str) -> list[str]:
    return [run.run_id for run in stage.airflow.api.dag_runs(DAG_ID) if run.conf.get("cohort_id") == cohort_id]


def _press(page: Page) -> None:
    page.get_by_role("button", name="Run this").click()


def test_from_a_choice_to_the_scores(visitor: Visitor, essays: Stage) -> None:
    """Inside Airflow's frame: search, choose, show the plan, start it, watch it end, and open the cohort."""
    visitor.page.goto(f"{visitor.url}/plugin/cohorts/cohorts/plan")
    frame = visitor.page.frame_locator("iframe")
    frame.get_by_label("Cohort id").fill("plan_chosen")
    frame.get_by_text("Choose from the list of essays").click()
    frame.get_by_label("Search").fill("harbour 922")
    found = frame.get_by_role("list", name="Essays found")
    expect(found.get_by_role("listitem")).to_have_count(1)
    expect(found).to_contain_text("e_essay922 · 8 words · not judged")
    found.get_by_role("checkbox").check()
    frame.get_by_label("Search").fill("harbour")
    expect(found.get_by_role("listitem")).to_have_count(4)
    frame.get_by_role("button", name="Choose all shown").click()
    frame.get_by_role("button", name="Remove About harbour number 923").click()
    expect(frame.get_by_text("3 essays chosen")).to_be_visible()
    frame.get_by_label("novelty").check()
    frame.get_by_label("Replicates per cell").fill("1")
    frame.get_by_label("Budget: requests").fill("20")
    frame.get_by_role("button", name="Show the plan").click()
    expect(frame.get_by_text("3 essays chosen")).to_be_visible()
    button = frame.get_by_role("button", name="Run this (6 calls, cost unknown)")
    visitor.picture("plan_offer")
    button.click()
    expect(frame.get_by_text("Started: plan__plan_chosen__")).to_be_visible()
    expect(frame.get_by_text("The run has ended:")).to_contain_text("success", timeout=90_000)
    visitor.picture("plan_ended")
    expect(button).to_be_disabled()
    (run_id,) = _runs(essays, "plan_chosen")
    assert essays.airflow.api.dag_run(DAG_ID, run_id).conf == {
        "cohort_id": "plan_chosen",
        "essay_ids": ["e_essay922", "e_essay921", "e_essay924"],
        "templates": ["novelty"],
        "replicates": 1,
        "max_llm_calls": 20,
    }
    frame.get_by_role("link", name="Open the cohort's page").click()
    expect(frame.get_by_role("heading", name="plan_chosen")).to_be_visible()


def test_airflow_s_pages_lead_from_a_run_to_its_cohort(visitor: Visitor, essays: Stage) -> None:
    """A run has the tab Cohort, and a task has the link Cohort; a task of another operator class has no such link."""
    run = essays.trigger({"cohort_id": "plan_links", "essay_ids": ["e_essay921"], "replicates": 1})
    page, address = visitor.page, f"{visitor.url}/dags/{DAG_ID}/runs/{run.run_id.replace('+', '%2B')}"
    link = page.get_by_role("link", name="Cohort", exact=True)
    page.goto(f"{address}/tasks/not_a_dry_run/details", wait_until="networkidle")
    expect(page.get_by_text("Task ID", exact=True)).to_be_visible()
    expect(link).to_have_count(0)
    page.goto(f"{address}/tasks/plan_cohort/details")
    link.click()
    expect(page.frame_locator("iframe").get_by_role("heading", name="plan_links")).to_be_visible()
    page.goto(address)
    link.click()
    expect(page.frame_locator("iframe").get_by_role("heading", name="plan_links")).to_be_visible()
    visitor.picture("run_tab")


def test_a_plan_that_differs_from_the_form_is_not_run(visitor: Visitor) -> None:
    """An edit switches the button off and says why; taking the edit back switches it on again."""
    page = visitor.see(_plan("plan_edited"))
    button = page.get_by_role("button", name="Run this")
    edits: dict[str, Callable[[], object]] = {
        "Budget: USD": lambda: page.get_by_label("Budget: USD").fill("1"),
        "coherence": lambda: page.get_by_label("coherence").check(),
        "Existing": lambda: page.get_by_label("Existing evaluations").select_option("no"),
        "an essay": lambda: page.get_by_role("button", name="Remove all").click(),
    }
    for name, edit in edits.items():
        edit()
        expect(button, name).to_be_disabled()
        expect(
            page.get_by_text("The form differs from the plan. Show the plan again, then start it.")
        ).to_be_visible()
        page.locator("form.plan").evaluate("form => { form.reset(); form.dispatchEvent(new Event('change')); }")
        expect(button, name).to_be_enabled()


def test_a_former_run_of_the_plan_is_shown_before_another_one_starts(visitor: Visitor, essays: Stage) -> None:
    """After a run of the same plan has ended, the first press shows it, and only the next press starts one more."""
    essays.trigger(
        {"cohort_id": "plan_again", "essay_ids": ["e_essay921"], "templates": ["novelty"], "replicates": 1}
    )
    for expected in (1, 2):
        page = visitor.see(_plan("plan_again"))
        _press(page)
        if expected == 2:
            expect(page.get_by_text("A run of this plan exists, and nothing was started:")).to_contain_text("success")
            assert len(_runs(essays, "plan_again")) == 2
            page.get_by_role("button", name="Run it again (nothing to call)").click()
        expect(page.get_by_text("The run has ended:")).to_be_visible(timeout=90_000)
    by_plan = [run_id for run_id in _runs(essays, "plan_again") if run_id.startswith("plan__")]
    assert len(by_plan) == 2
    assert by_plan[1] == f"{by_plan[0]}__2"


def test_a_red_run_says_where_its_reason_is(visitor: Visitor, essays: Stage) -> None:
    """When the run fails, the page says which log has the reason, and links to what exists."""
    essays.judge.faults({"fault": "status", "status": 422, "contains": "Essay number 923"})
    page = visitor.see(_plan("plan_red", 923))
    _press(page)
    expect(page.get_by_text("The run is red:")).to_contain_text("summarise_cohort", timeout=90_000)
    expect(page.get_by_role("link", name="Open the cohort's page")).to_be_visible()
    visitor.picture("plan_red")
    essays.judge.faults()


def test_a_paused_dag_is_named(visitor: Visitor, essays: Stage) -> None:
    """While the DAG is paused nothing is started, and the message says what to switch on."""
    api = essays.airflow.api
    api._session.request("PATCH", f"dags/{DAG_ID}", json={"is_paused": True})
    try:
        page = visitor.see(_plan("plan_paused"))
        _press(page)
        expect(page.get_by_text(f"The DAG {DAG_ID} is paused, so a run would wait.")).to_be_visible()
        expect(page.get_by_role("button", name="Run this")).to_be_enabled()
    finally:
        api.unpause(DAG_ID)
    assert _runs(essays, "plan_paused") == []


@pytest.mark.parametrize(
    ("method", "status", "detail", "message"),
    [
        pytest.param("GET", 404, "not found", f"Airflow has no DAG {DAG_ID} now", id="no-dag"),
        pytest.param("POST", 400, "Invalid input for param replicates: 'x' is not of type\n\nFailed validating ...",
                     "Airflow refused the run: replicates: 'x' is not of type.", id="refused-conf"),
        pytest.param("POST", 422, [{"loc": ["body", "conf"], "msg": "Input should be a valid dictionary"}],
                     "Airflow refused the run: conf: Input should be a valid dictionary.", id="refused-body"),
        pytest.param("POST", 500, "Database error", "Airflow answered with status 500.", id="server-error"),
        pytest.param("POST", 0, "", "Airflow did not answer.", id="no-answer"),
    ],
)  # fmt: skip
def test_what_airflow_refuses_is_said_with_the_next_step(
    visitor: Visitor, essays: Stage, method: str, status: int, detail: object, message: str
) -> None:
    """The message has the reason in words, and the button can be pressed again."""

    def answer(route: Route) -> None:
        if route.request.method != method:
            route.fallback()
        elif status:
            route.fulfill(status=status, content_type="application/json", body=json.dumps({"detail": detail}))
        else:
            route.abort()

    page = visitor.see(_plan("plan_refused"))
    page.route(DAG if method == "GET" else RUNS, answer)
    _press(page)
    expect(page.get_by_text(message)).to_be_visible()
    expect(page.get_by_role("button", name="Run this")).to_be_enabled()
    assert _runs(essays, "plan_refused") == []


def test_the_keyboard_chooses_an_essay(visitor: Visitor) -> None:
    """Without a mouse a visitor opens the list, searches by Enter, ticks an essay and removes it again."""
    page = visitor.see("plan")
    page.get_by_text("Choose from the list of essays").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("harbour 924")
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 essay found")).to_be_visible()
    box = page.get_by_role("list", name="Essays found").get_by_role("checkbox")
    for _ in range(5):
        page.keyboard.press("Tab")
        if box.evaluate("node => node === document.activeElement"):
            break
    page.keyboard.press("Space")
    expect(page.get_by_role("textbox", name="Essay ids")).to_have_value("e_essay924")
    remove = page.get_by_role("button", name="Remove About harbour number 924")
    remove.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Essay ids")).to_have_value("")
    expect(page.get_by_role("textbox", name="Essay ids")).to_be_focused()
    assert re.search(r"/plan$", page.url)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_and_is_accessible(browser: Browser, essays: Stage, width: int, scheme: str) -> None:
    """With the list open and a message shown, the page is not wider than the window, and axe-core finds nothing."""
    visitor = Visitor.logged_in(browser, essays.airflow, color_scheme=scheme)
    visitor.page.set_viewport_size({"width": width, "height": 900})
    page = visitor.see(_plan("plan_look", 922))
    page.get_by_text("Choose from the list of essays").click()
    expect(page.get_by_role("list", name="Essays found").get_by_role("listitem").first).to_be_visible()
    page.get_by_label("Budget: requests").fill("3")
    expect(page.get_by_text("The form differs from the plan.")).to_be_visible()
    visitor.picture(f"plan_{width}_{scheme}")
    assert visitor.overflow() == 0
    assert visitor.violations() == []
    visitor.leave()
    assert visitor.errors == []
