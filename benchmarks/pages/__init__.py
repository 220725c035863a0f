"""The pages that are rendered from benchmarks/results."""
