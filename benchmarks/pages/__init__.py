"""Code that renders pages from the result files in benchmarks/results."""
