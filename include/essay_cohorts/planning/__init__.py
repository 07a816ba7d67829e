"""Which evaluations a cohort holds, what is reused, and what has to be called."""
