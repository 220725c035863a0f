"""One generator per sample, so that results do not depend on workers, ranks or interruptions."""

from __future__ import annotations

import zlib

import numpy as np


def sample_rng(seed: int, epoch: int, scan_id: str, view: int = 0) -> np.random.Generator:
    """The generator of one view of one scan in one epoch."""
    return np.random.default_rng([seed, epoch, zlib.crc32(scan_id.encode()), view])
