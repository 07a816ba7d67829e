"""Reads the inputs below 1_raw and 2_tasks: templates, judges, replicates, the selection file."""
