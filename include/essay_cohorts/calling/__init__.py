"""Calls the judges for the evaluations of one slice, with leases, a budget, a journal of requests, and stops."""
