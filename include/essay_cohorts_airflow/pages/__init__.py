"""The pages about cohorts inside Airflow's UI; see ../cohort_page.py for how they get there.

app.py       the application: who may look, what a browser may load, how errors are told
plan_page.py the plan of the next run
routes.py    one function a page: reads a request, asks essay_cohorts, renders
forms.py     from the query of a request to what essay_cohorts understands
rendering.py templates, links within the pages and into Airflow's own
"""

# Whoever may read this DAG may see the pages.
DAG_ID = "evaluation_backfill"
