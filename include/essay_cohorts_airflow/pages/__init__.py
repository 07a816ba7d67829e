"""The pages about cohorts inside Airflow's UI; ../plugin.py mounts them there.

app               the application: the right to see it, what a browser may load, the pages of errors
routes            one function per page: read a request, ask essay_cohorts, render
plan              the page of the next run's plan
forms             from the query of a request to values of essay_cohorts
rendering         templates and their filters
links             addresses of the pages and of Airflow's own pages
statistics_cache  the statistics of the last cohorts shown
"""

# A user who may read this DAG may see the pages.
DAG_ID = "evaluation_backfill"
