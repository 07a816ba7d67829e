"""The command line `cohorts`."""
