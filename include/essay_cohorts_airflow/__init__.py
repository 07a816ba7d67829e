"""The product in Airflow: DAGs, their forms and connections, and the pages. Only this package imports Airflow.

    dags        the four DAGs, one module each; a file in a dags folder imports a DAG's function and calls it
    forms       their trigger forms: one Param for each key of a conf
    monitoring  what people outside of Airflow hear of runs: notices, and metrics of the calls
    pages       the page `Cohorts` in Airflow's navigation

`plugin` adds the pages to Airflow. `task_runtime` has what each task needs from Airflow: its conf, its name, its
retries, and how an error of `essay_cohorts` fails a task.
"""
