"""The command line of version 0.1.0: says what to type now."""

import shlex
import sys

sys.exit("The command is `cohorts` now. Next: .venv/bin/cohorts " + shlex.join(sys.argv[1:]))
