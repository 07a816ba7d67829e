"""Evaluation cohorts with backfill: plan a cohort, skip what exists, judge what is missing.

The packages, highest first; imports only go down (`make lint` proves it, and which modules are pure):

    cli          The command line `cohorts`.
    backfill     What the tasks of the DAG `evaluation_backfill` call, in this order: plan, slices, calls, summary.
    selecting    From scores to the essays of the next cohort.
    reparsing    Stored replies, scored again by today's parsers, without a call.
    maintenance  Damage in the store, and made-up evaluations moved out of the way.
    views        What the store holds now, as the pages and the commands show it.
    calling      The calls of one slice: leases, budgets, the journal of requests, and what stops a run.
    llm_client   One request to an LLM's API: sent, answered, retried, slowed down, and explained if it fails.
    planning     Which evaluations a cohort holds, what is reused, and what has to be called.
    statistics   Figures of scores, and how much noise is in them. Pure.
    judging      From a template to a prompt, from a reply to a score, from tokens to USD. Pure.
    store        The data root: evaluations, replies, verdicts, cohorts, scores.csv, and the inputs in 1_raw.
    leases       Who is at work on what, across processes and machines: leases in files, and shared slots.
    files        Files of a shared disk: atomic writes, CSV and JSON text, threads for slow disks.

All packages share the modules next to them: `domain` (the nouns), `calls` (prompts, replies and failures), `ids`,
`records` (an evaluation's JSON files), `errors`, `settings`, `provenance`, `conf_checks`, `amounts`, `plain_table`,
`encoding`, `suggestions`.

Nothing here imports Airflow: `essay_cohorts_airflow` does.
"""

VERSION = "0.2.0"
