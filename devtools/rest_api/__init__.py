"""A client of the parts of Airflow's REST API that these tools need."""
