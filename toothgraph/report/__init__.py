"""Pictures, web pages and tables of labelled scans, and warnings to review."""
