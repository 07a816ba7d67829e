"""Chooses essays by their scores: for the next cohort, and for people to rate."""
