"""How much memory a process may take, and what is said where it is not enough. Light to import."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toothgraph.errors import ConfigError, MemoryShortage

try:
    import resource
except ImportError:  # not a POSIX system
    resource = None  # type: ignore[assignment]

_CGROUP = Path("/sys/fs/cgroup/memory.max")
_GPUS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "/dev/nvhost-gpu")  # whose drivers map far more than there is
_SAID = ("not enough memory", "can't allocate memory", "out of memory")  # by torch, in a RuntimeError


def of_machine() -> float | None:
    """GB that this machine, or the container, has; None where that is not known or a GPU's driver is at work."""
    if not sys.platform.startswith("linux") or any(Path(gpu).exists() for gpu in _GPUS):
        return None
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    limit = _CGROUP.read_text().strip() if _CGROUP.exists() else "max"
    return min(found, int(limit) / 1e9) if limit.isdigit() else found


@contextmanager
def bounded(gigabytes: float | None) -> Iterator[None]:
    """Within it this process gets no more memory than that: allocations fail, and the machine does not stall.

    Args:
        gigabytes: the bound; None for :func:`of_machine`.

    Raises:
        ConfigError: if a bound was asked for and cannot be set here.
    """
    if gigabytes is not None and resource is None:
        raise ConfigError("--memory needs a POSIX system")
    wanted = gigabytes if gigabytes is not None else of_machine()
    if wanted is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_DATA)
    set_limit(wanted)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def set_limit(gigabytes: float) -> None:
    """From now on this process gets no more memory than that, or than it was allowed before. POSIX."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [round(gigabytes * 1e9), *(limit for limit in before if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), before[1]))


@contextmanager
def named_shortage(what: object, advice: str = "reduce the scan") -> Iterator[None]:
    """Turn a lack of memory into one line.

    Args:
        what: for which there was too little.
        advice: what to do besides raising the limit.

    Raises:
        MemoryShortage: with the limit and the option that sets it.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(said in str(error) for said in _SAID):
            raise
        if "CUDA" in str(error):
            raise MemoryShortage(
                f"{what}: needs more memory than the GPU has; {advice}, or take --device cpu"
            ) from error
        soft = resource.getrlimit(resource.RLIMIT_DATA)[0] if resource else -1  # -1 is no limit
        limit = f"the limit of {soft / 1e9:.3g} GB" if soft >= 0 else "there is"
        raise MemoryShortage(f"{what}: needs more memory than {limit}; {advice}, or raise --memory") from error
