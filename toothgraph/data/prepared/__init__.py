"""Folders of prepared scans: graphs on disk, ready for training."""
