"""Evaluation cohorts with backfill: plan a cohort, skip what exists, judge what is missing.

Four layers; imports only go down (`make lint` holds it):

    shell   steps.py  calling.py  summary.py           what the DAG's tasks call
            preparation.py  cohort_inputs.py           what comes before the first write
            __main__.py  cohort_status.py  verification.py
            offline_judge.py  offline_answers.py       the stand-in for a judge, a server of its own
    core    request.py  selection.py  identity.py  planning.py  plan_table.py  batching.py  prompting.py  scoring.py
            pricing.py  aggregation.py  report.py      values in, values out: no file, no clock, no network
    edges   settings.py  catalog.py  gens_data_layer.py  metadata_fields.py  reply_files.py  cohort_folder.py
            csv_rows.py  atomic_files.py  call_slots.py
            judge.py  completion.py                    the environment, files, the LLM client
    values  errors.py  model.py  spelling.py           frozen dataclasses; import nothing of ours

Core and edges do not import each other; nothing here imports Airflow.
"""

VERSION = "0.1.0"
