"""Reads and writes the data root: inputs in 1_raw, evaluations, replies, verdicts, cohorts, scores.csv."""
