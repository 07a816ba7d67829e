"""Decides which evaluations a cohort has, which are reused, and which need a call."""
