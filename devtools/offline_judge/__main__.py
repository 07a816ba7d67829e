"""Run the offline judge as a server: `python -m devtools.offline_judge`."""

from devtools.offline_judge.server import main

main()
