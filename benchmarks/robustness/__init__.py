"""How the package copes with thousands of scans, some of them damaged."""
