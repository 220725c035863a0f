"""Scan and label files: find, read, write."""
