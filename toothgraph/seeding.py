"""One random generator per sample and one seed per batch: results do not depend on workers or interruptions."""

from __future__ import annotations

import zlib

import numpy as np

from toothgraph.errors import check_number


def sample_rng(seed: int, epoch: int, scan_id: str, view: int = 0) -> np.random.Generator:
    """The generator of one view of one scan in one epoch.

    Raises:
        ConfigError: for a seed that is not a whole number of at least 0.
    """
    check_number("seed", seed, least=0, whole=True)
    return np.random.default_rng([seed, epoch, zlib.crc32(scan_id.encode()), view])


def batch_seed(seed: int, batch: int, rank: int) -> int:
    """The torch seed for random values inside the net (dropout), for one batch of one process."""
    return int(np.random.SeedSequence([seed, batch, rank]).generate_state(1, np.uint64)[0])
