"""One random generator per sample and one seed per batch: results do not depend on workers or interruptions."""

from __future__ import annotations

import zlib

import numpy as np


def sample_rng(seed: int, epoch: int, scan_id: str, view: int = 0) -> np.random.Generator:
    """The generator of one view of one scan in one epoch."""
    return np.random.default_rng([seed, epoch, zlib.crc32(scan_id.encode()), view])


def batch_seed(seed: int, batch: int, rank: int) -> int:
    """The torch seed for random values inside the net (dropout), for one batch of one process."""
    return int(np.random.SeedSequence([seed, batch, rank]).generate_state(1, np.uint64)[0])
