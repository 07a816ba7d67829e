"""Reads and writes files of a shared disk: atomically, as CSV and JSON text, in threads for slow disks."""
