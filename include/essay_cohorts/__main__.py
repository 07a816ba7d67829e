"""`python -m essay_cohorts COMMAND` is the command `cohorts COMMAND`."""

from essay_cohorts.cli.app import main

main()
