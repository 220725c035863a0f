"""A second thread, which makes the next tessellation while the net looks at the current one."""

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
    """Yield a function that begins ``work(*args)`` in a second thread and returns a function that waits for its result.

    Decimation and tree searches let other threads run at the same time. If torch may use only one thread, as in one of
    several processes, the work is done when its result is asked for.
    """
    if torch.get_num_threads() == 1:
        yield partial
        return
    with ThreadPoolExecutor(1, thread_name_prefix="beside") as pool:
        yield lambda work, *args: pool.submit(work, *args).result
