"""The pages about cohorts inside Airflow's UI; ../plugin.py mounts them there.

app               the application: the right to see it, what a browser may load, the pages of errors
routes            one function per page: read a request, ask essay_cohorts, render
plan_page         the page of the next run's plan
plan_choices      templates, judges and essays that can be chosen for a plan
run_offer         the run that the button of the plan page starts
forms             from the query of a request to values of essay_cohorts
rendering         templates and their filters
links             addresses of the pages and of Airflow's own pages
statistics_cache  the statistics of the last cohorts shown
"""

# A user who may read this DAG may see the pages.
DAG_ID = "evaluation_backfill"
