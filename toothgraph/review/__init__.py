"""Correct labels by a few clicks, or make them from nothing: operations, their log, and a page."""
