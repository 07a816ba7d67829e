"""Calls the judges for one slice, with leases, a budget, a journal of requests, and stops."""
