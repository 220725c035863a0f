"""Which of the processes of a run this process is, from variables that their launcher sets. Light to import."""

from __future__ import annotations

import os

_NAMES = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def first_rank() -> bool:
    """Whether this process is the first of its run, which writes and prints; known before they are connected."""
    return all(os.environ.get(name, "0") == "0" for name in _NAMES)
