"""Everything that is not Airflow's: the product (`cohorts`) and a private Airflow to run it on (`local_airflow`)."""
