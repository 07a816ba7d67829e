"""The steps behind the tasks of the DAG `evaluation_backfill`, in this order: plan, slices, calls, summary."""
