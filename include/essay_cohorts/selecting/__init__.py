"""Chooses the essays of the next cohort by their scores."""
