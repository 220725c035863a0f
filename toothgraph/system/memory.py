"""Limit the memory of a process, and report where it is not enough. Light to import."""

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
_GPUS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "/dev/nvhost-gpu")  # GPU drivers map far more memory than there is
_STATUS = Path("/proc/self/status")
_ROOM = 0.25  # GB beside the libraries, for their buffers and the smallest scan; with less they end the process
# Texts of errors: of torch in a RuntimeError, of Python and the loader of libraries in other errors.
_SAID = ("not enough memory", "can't allocate memory", "out of memory", "Cannot allocate memory", "bad_alloc",
         "can't start new thread", "failed to map segment", "killed by signal: Killed")  # fmt: skip


def of_machine() -> float | None:
    """Memory of this machine or container, GB; None where it is not known or where there is a GPU driver."""
    if not sys.platform.startswith("linux") or any(Path(gpu).exists() for gpu in _GPUS):
        return None
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    limit = _CGROUP.read_text().strip() if _CGROUP.exists() else "max"
    return min(found, int(limit) / 1e9) if limit.isdigit() else found


def taken() -> float | None:
    """Memory of this process that counts towards a bound, GB; None where it is not known. Linux only."""
    if not _STATUS.exists():
        return None
    data = next((line for line in _STATUS.read_text().splitlines() if line.startswith("VmData:")), "")
    return int(data.split()[1]) * 1024 / 1e9 if data else None


def check_bound(gigabytes: float | None) -> None:
    """Refuse a bound that leaves too little memory beside the libraries; to be called after they are imported.

    Below such a bound, allocations do not fail one by one: a library ends the process, or cannot be loaded.

    Args:
        gigabytes: the bound; None for :func:`of_machine`.

    Raises:
        ConfigError: if the bound is too low; the text has the least bound that is needed.
    """
    wanted, own = (of_machine() if gigabytes is None else gigabytes), taken()
    if wanted is None or own is None or wanted >= own + _ROOM:
        return
    what = f"this machine has {wanted:.3g} GB" if gigabytes is None else f"--memory {gigabytes:g}"
    needed = f"{own + _ROOM:.2f} GB, of which Python and its libraries take {own:.2f}"
    raise ConfigError(f"{what}: expected at least {needed}")


def share(gigabytes: float | None, workers: int) -> float | None:
    """Memory that each of several processes may take, GB: ``gigabytes``, or an equal share of the machine's memory.

    Raises:
        ConfigError: if the share is too small.
    """
    whole = of_machine()
    if gigabytes is not None or whole is None:
        return gigabytes
    if (own := taken()) is not None and whole / workers < own + _ROOM:
        raise ConfigError(
            f"--workers {workers}: expected at least {own + _ROOM:.2f} GB for each, this machine has {whole:.3g} GB; "
            f"take at most {max(1, int(whole / (own + _ROOM)))}, or say with --memory what each may take"
        )
    return whole / workers


@contextmanager
def bounded(gigabytes: float | None) -> Iterator[None]:
    """Limit the memory of this process while the context is active, so that allocations fail before the machine stalls.

    Args:
        gigabytes: the bound; None for :func:`of_machine`.

    Raises:
        ConfigError: if a bound is given and cannot be set on this system.
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
    """Limit the memory of this process from now on; an earlier limit that is lower stays. POSIX only."""
    before = resource.getrlimit(resource.RLIMIT_DATA)
    limits = [round(gigabytes * 1e9), *(limit for limit in before if limit != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), before[1]))


def is_shortage(error: BaseException) -> bool:
    """Whether an error is a lack of memory, by its class or its text."""
    return isinstance(error, MemoryError) or any(said in str(error) for said in _SAID)


@contextmanager
def named_shortage(what: object, advice: str = "reduce the scan") -> Iterator[None]:
    """Turn a lack of memory into an error of one line.

    Args:
        what: the scan or other thing that needs more memory.
        advice: what the user can do besides raising the limit.

    Raises:
        MemoryShortage: the text has the limit, if one is set, and the option that sets it.
    """
    try:
        yield
    except (MemoryError, RuntimeError, ImportError, OSError) as error:
        if not is_shortage(error):
            raise
        if "CUDA" in str(error):
            raise MemoryShortage(
                f"{what}: needs more memory than the GPU has; {advice}, or take --device cpu"
            ) from error
        soft = resource.getrlimit(resource.RLIMIT_DATA)[0] if resource else -1  # -1 is no limit
        limit, more = (f"the limit of {soft / 1e9:.3g} GB", ", or raise --memory") if soft >= 0 else ("there is", "")
        raise MemoryShortage(f"{what}: needs more memory than {limit}; {advice}{more}") from error
