"""The data root: evaluations, replies, verdicts, cohorts, scores.csv, and the inputs in 1_raw."""
