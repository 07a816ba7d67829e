"""The DAGs. To use a DAG: import its function in a file of a dags folder and call it there."""
