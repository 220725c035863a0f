"""How the package handles thousands of scans, some of them damaged."""
