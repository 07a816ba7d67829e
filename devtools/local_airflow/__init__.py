"""A private Airflow on this machine, started and used from outside through its command line and REST API.

`service.LocalAirflow` starts and stops it, and `rest_api.client.AirflowApi` triggers DAGs and reads results. `python
-m devtools.local_airflow` has the commands `up` and `backfill`. No module here imports Airflow.
"""
