"""Calls the judges for one slice, with claims, a budget and stops."""
