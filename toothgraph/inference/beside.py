"""Work beside the net: the next tessellation is made while the net looks at this one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

Begin = Callable[..., Callable[[], Any]]


@contextmanager
def second_thread() -> Iterator[Begin]:
    """A function that begins ``work(*args)`` in one more thread, and returns a function that waits for its result.

    Decimation and searches in trees let other threads run meanwhile. Where torch may use one thread only, as in one of
    several processes, work is done when its result is asked for.
    """
    if torch.get_num_threads() == 1:
        yield partial
        return
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as pool:
        yield lambda work, *args: pool.submit(work, *args).result
