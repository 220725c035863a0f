"""Pictures and pages for looking at scans and their labels."""
