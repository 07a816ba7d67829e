"""Tells who is working on what, across processes and machines: leases in files."""
