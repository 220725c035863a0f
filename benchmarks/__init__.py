"""Measurements of the package, and the pages that show them; see README.md."""
