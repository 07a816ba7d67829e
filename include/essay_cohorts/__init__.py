"""Evaluation cohorts with backfill: plan a cohort, skip what exists, judge what is missing.

The packages, highest first; imports only go down (`make lint` proves it, and which modules are pure):

    cli          The command line `cohorts`.
    backfill     The steps behind the tasks of the DAG `evaluation_backfill`: plan, slices, calls, scores, summary.
    selecting    Chooses essays by their scores: for the next cohort, and for people to rate.
    importing    Creates a data root, and brings people's essays, scores, templates and judges into it.
    exporting    Writes evaluations for other programs: tables, and the logs of inspect_ai.
    reparsing    Scores stored replies again with today's parsers, without a call.
    maintenance  Finds damage in the store, and moves made-up evaluations out of a store for real scores.
    views        Reads the store and prepares what the pages and the commands show.
    calling      Calls the judges for one slice, with claims, a budget and stops.
    llm_client   Sends one request to an LLM's API: retries it, slows down when told to, and explains its failure.
    figures      Draws figures of scores as SVG and PNG. Pure.
    planning     Decides which evaluations a cohort has, which are reused, and which need a call.
    statistics   Computes figures of scores, and how much noise is in them. Pure.
    judging      Turns templates into prompts, replies into scores, and tokens into USD. Pure.
    progress     Tells how far the calls of a run are, in the log and in small files, while they are made.
    store        Reads and writes the data root: evaluations, replies, verdicts, cohorts, scores.csv.
    catalog      Reads the inputs below 1_raw and 2_tasks: templates, judges, replicates, the selection file.
    ledger       Coordinates processes in a SQL database: who works on what, what is spent, how fast to ask judges.
    files        Reads and writes files of a shared disk: atomically, as CSV and JSON text, in threads for slow disks.

All packages share the modules next to them: `domain` (the nouns), `calls` (prompts, replies and failures), `ids`,
`records` (an evaluation's JSON files), `rubric` (scales and criteria), `errors`, `settings`, `provenance`,
`conf_checks`, `amounts`, `plain_table`, `encoding`.

Nothing here imports Airflow: `essay_cohorts_airflow` does.
"""

VERSION = "0.2.0"
