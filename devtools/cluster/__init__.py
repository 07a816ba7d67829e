"""The distributed Airflow of `make cluster`: PostgreSQL, Redis, and Celery workers that are hosts of their own."""
