"""Damage in the store, and made-up evaluations moved out of the way."""
