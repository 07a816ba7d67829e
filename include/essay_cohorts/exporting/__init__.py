"""Writes evaluations for other programs: tables, and the logs of inspect_ai."""
