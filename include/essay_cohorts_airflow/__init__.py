"""The product in Airflow: DAGs, their forms and connections, and the pages. Only this package imports Airflow.

    dags    the four DAGs, a file each; a file in a dags folder imports one and calls it
    forms   their trigger forms: a Param for each key of a conf
    pages   the page `Cohorts` in Airflow's navigation

`plugin` brings the pages into Airflow, `task_border` hands a task over to `essay_cohorts`.
"""
