"""The pages about cohorts inside Airflow's UI; ../plugin.py mounts them there.

app               the application: the right to see it, what a browser may load, the pages of errors
routes            the pages of cohorts, cells and evaluations: read a request, ask essay_cohorts, render
essays            the lists of essays and the page of one essay
scores            the pages of scores and differences, their figures and downloads
plan              the page of the next run's plan, which starts the run
progress_panel    the upper part of a cohort's page, which moves while a run calls
forms             from the query of a request to values of essay_cohorts
rendering         templates and their filters
links             addresses of the pages and of Airflow's own pages
shown_cohorts     what the pages have read of the data root, for all requests
"""

# A user who may read this DAG may see the pages.
DAG_ID = "evaluation_backfill"
