"""The DAGs. To have one: import its function in a file of a dags folder and call it there."""
