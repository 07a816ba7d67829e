"""The trigger form of `evaluation_backfill`: one Param for each conf key.

The schemas have what the form itself enforces: kinds of fields, choices, and the limits of numbers. `plan_cohort`
checks the rest, because Airflow's form only says "Bad Request" when a schema refuses a value.
"""

from airflow.sdk import Param

from essay_cohorts_airflow.forms.fields import ids, number, switch

_DEFER = "As the selection file says"
_DEFERRED = "Calls that do not fit are deferred to a later run, and this run is red. Empty: no cap."

# The help texts have no `code` in them, because the form would draw it over the line above.
# None is the form's first section, the only section that is open at first.
_WHAT, _HOW, _CALLS = None, "What counts", "Calls and batches"

PARAMS: dict[str, Param] = {
    "cohort_id": Param(
        None,
        type=["null", "string"],
        title="Cohort id",
        description_md="The cohort's name and folder: at most 100 letters, digits and . _ -. Empty: DD_COHORT of "
        "the environment, or else a name made from the inputs, so that the same inputs give the same cohort.",
        section=_WHAT,
    ),
    "dry_run": switch(
        "Dry run", "Shows what a run would call and what it may cost; seeds nothing and calls nothing.", _WHAT
    ),
    "max_llm_calls": number(
        None, 1, 10_000_000, "Budget: requests", f"Retried and failed requests count. {_DEFERRED}", _WHAT
    ),
    "max_cost_usd": number(
        None,
        0.000001,
        1_000_000,
        "Budget: USD",
        "A call starts only when its worst case still fits. Needs the prices and max_tokens of each model. "
        f"{_DEFERRED}",
        _WHAT,
    ),
    "essay_ids": ids(
        "Essays",
        "gen_ids of essays, one per line. When given, **no selection file is read** and existing evaluations are "
        "included unless you choose otherwise below. Empty: 2_tasks/selected_essays.txt.",
        _WHAT,
    ),
    "templates": ids(
        "Templates", "Narrows the active evaluation templates to these ids, one per line. Empty: all active.", _WHAT
    ),
    "models": ids(
        "Judge models",
        "Narrows the models with for_evaluation to these ids, one per line. Empty: all of them.",
        _WHAT,
    ),
    "mode": Param(
        None,
        type=["null", "string"],
        enum=[None, "evaluation-only"],
        values_display={None: _DEFER, "evaluation-only": "evaluation-only: judge essays that exist"},
        title="Mode",
        description_md="With essays given above, empty means evaluation-only.",
        section=_HOW,
    ),
    # This field has no type, because a nullable boolean would be a switch: it shows null as "off" and cannot return
    # to null.
    "include_existing_evaluations": Param(
        None,
        enum=[None, True, False],
        values_display={
            None: _DEFER,
            True: "Yes: reuse what exists, call only for what is missing",
            False: "No: pay for all of them again, for this cohort",
        },
        title="Include existing evaluations",
        description_md="Backfill mode. With essays given above, empty means **yes**, so that nothing is paid for "
        "again by accident.",
        section=_HOW,
    ),
    "changed_inputs": Param(
        None,
        enum=[None, "refuse", "keep", "ask_again"],
        values_display={
            None: "As the deployment says (refuse)",
            "refuse": "Refuse: planning fails and names them",
            "keep": "Keep: reuse them anyway",
            "ask_again": "Ask again: new evaluations with today's inputs",
        },
        title="Evaluations of a changed template, essay or model",
        description_md="Existing evaluations that were made with another prompt or model than today's.",
        section=_HOW,
    ),
    "replicates": number(
        None,
        1,
        1000,
        "Replicates",
        "Evaluations that each (essay, template, model) should hold. Empty: the row evaluation of "
        "1_raw/replication_config.csv.",
        _HOW,
    ),
    "retry_unscored": switch(
        "Ask again for refused replies",
        "Asks again for a stored reply that the parser refused, at most once per run; the former reply is kept.",
        _HOW,
    ),
    "max_unscored": number(
        0,
        0,
        1_000_000,
        "Unscored evaluations to accept",
        "The run is red when the parser refuses more replies than this.",
        _HOW,
    ),
    "max_concurrency": number(16, 1, 500, "Calls at once", "For all task instances of the run together.", _CALLS),
    "batch_size": number(
        None,
        1,
        100_000,
        "Evaluations per task instance",
        "Empty: one per instance for up to 8 evaluations, a few large slices for more.",
        _CALLS,
    ),
}
