"""Correct labels by a few clicks, or make them from scratch: operations, their log, and a page."""
