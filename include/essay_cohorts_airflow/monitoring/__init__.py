"""What people outside of Airflow hear of runs: notices, and metrics of the calls."""
