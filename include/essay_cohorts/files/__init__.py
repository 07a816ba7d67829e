"""Files of a shared disk: atomic writes, CSV and JSON text, threads for slow disks."""
