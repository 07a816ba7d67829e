"""Airflow's REST API, as far as the tools here need it."""
