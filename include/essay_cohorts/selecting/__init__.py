"""From scores to the essays of the next cohort."""
