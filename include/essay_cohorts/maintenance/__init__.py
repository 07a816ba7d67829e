"""Finds damage in the store, and moves made-up evaluations out of a store for real scores."""
