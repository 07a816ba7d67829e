"""What the tasks of the DAG `evaluation_backfill` call, in this order: plan, slices, calls, summary."""
