"""Which of several processes of one run this is, from what their starter says. Light to import."""

from __future__ import annotations

import os

_NAMES = ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID")


def first_rank() -> bool:
    """Whether this process is the one that writes and speaks; known before they have found each other."""
    return all(os.environ.get(name, "0") == "0" for name in _NAMES)
