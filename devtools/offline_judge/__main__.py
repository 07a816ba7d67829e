"""`python -m devtools.offline_judge`: the offline judge as a server of its own."""

from devtools.offline_judge.server import main

main()
