"""A private Airflow on this machine: started, driven and stopped from outside, by its command line and REST API.

`service.LocalAirflow` starts and stops it, `api.AirflowApi` triggers DAGs and reads results; `python -m
devtools.local_airflow` has the commands `up` and `backfill`. Nothing here imports Airflow.
"""
