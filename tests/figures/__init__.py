"""Figures: what is drawn is what was computed."""
