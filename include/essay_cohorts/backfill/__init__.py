"""The steps behind the tasks of the DAG `evaluation_backfill`: plan, slices, calls, scores, summary."""
