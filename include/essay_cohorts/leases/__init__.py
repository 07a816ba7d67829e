"""Who is at work on what, across processes and machines: leases in files, and shared slots."""
