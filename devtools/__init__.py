"""Tools for the demo, tests and benchmarks; no part of the product."""
