"""The calls of one slice: leases, budgets, the journal of requests, and what stops a run."""
