"""Tells how far the calls of a run are, in the log and in small files, while they are made."""
