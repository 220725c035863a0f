"""The layout of a folder of prepared scans.

===================  ====================================================================
options.json         the options of all scans
scans/               one file per scan, see :mod:`toothgraph.data.prepared.file`
quarantine/          one file per scan that cannot be used, with the reason
manifest.csv         list of the scans with their headers
quarantine.csv       list of the scans that cannot be used
===================  ====================================================================
"""

from __future__ import annotations

from pathlib import Path

MANIFEST, QUARANTINE, OPTIONS = "manifest.csv", "quarantine.csv", "options.json"
SCANS, BAD = "scans", "quarantine"
FOUND_BY_TEACHER = {"labels": "found by a teacher"}  # among the options of a folder that self-training wrote


def is_prepared(path: Path) -> bool:
    """Whether a path is a folder in which ``prepare`` has finished at least once."""
    return (path / MANIFEST).is_file() and (path / OPTIONS).is_file()


def is_begun(path: Path) -> bool:
    """Whether a path is a folder that ``prepare`` has begun, finished or not."""
    return (path / OPTIONS).is_file() and (path / SCANS).is_dir()
