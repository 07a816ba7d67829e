"""Reads and writes the data root: evaluations, replies, verdicts, cohorts, scores.csv."""
