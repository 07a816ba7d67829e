"""The benchmarks behind the project's claims about speed: `make bench`."""
