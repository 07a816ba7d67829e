"""Tools for the demo, the tests and the benchmarks; not a part of the product."""
