"""The report of a cohort: its figures, its methods in words, the page, and the step that writes it."""
