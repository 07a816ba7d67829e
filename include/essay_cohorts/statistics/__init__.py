"""Computes figures of scores, and how much noise is in them. Pure."""
