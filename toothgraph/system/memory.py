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
_STATUS = Path("/proc/self/status")
_ROOM = 0.25  # GB beside the libraries, for buffers of theirs and the smallest scan; below it they end the process
# By torch in a RuntimeError, by Python and the loader of libraries in others.
_SAID = ("not enough memory", "can't allocate memory", "out of memory", "Cannot allocate memory", "bad_alloc",
         "can't start new thread", "failed to map segment", "killed by signal: Killed")  # fmt: skip


def of_machine() -> float | None:
    """GB that this machine, or the container, has; None where that is not known or a GPU's driver is at work."""
    if not sys.platform.startswith("linux") or any(Path(gpu).exists() for gpu in _GPUS):
        return None
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    limit = _CGROUP.read_text().strip() if _CGROUP.exists() else "max"
    return min(found, int(limit) / 1e9) if limit.isdigit() else found


def taken() -> float | None:
    """GB of this process that count towards a bound; None where that is not known. Linux."""
    if not _STATUS.exists():
        return None
    data = next((line for line in _STATUS.read_text().splitlines() if line.startswith("VmData:")), "")
    return int(data.split()[1]) * 1024 / 1e9 if data else None


def check_bound(gigabytes: float | None) -> None:
    """Whether a bound leaves room beside what the libraries take: to be asked once they are imported.

    Below it allocations do not fail one by one: a library ends the process, or cannot be loaded.

    Args:
        gigabytes: the bound; None for :func:`of_machine`.

    Raises:
        ConfigError: with the least that is needed.
    """
    wanted, own = (of_machine() if gigabytes is None else gigabytes), taken()
    if wanted is None or own is None or wanted >= own + _ROOM:
        return
    what = f"this machine has {wanted:.3g} GB" if gigabytes is None else f"--memory {gigabytes:g}"
    needed = f"{own + _ROOM:.2f} GB, of which Python and its libraries take {own:.2f}"
    raise ConfigError(f"{what}: expected at least {needed}")


def share(gigabytes: float | None, workers: int) -> float | None:
    """GB that each of several processes may take: what was asked for, or else equal parts of what the machine has.

    Raises:
        ConfigError: if the parts are too small.
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


def is_shortage(error: BaseException) -> bool:
    """Whether an error is a lack of memory, in whatever words."""
    return isinstance(error, MemoryError) or any(said in str(error) for said in _SAID)


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
    except (MemoryError, RuntimeError, ImportError, OSError) as error:
        if not is_shortage(error):
            raise
        if "CUDA" in str(error):
            raise MemoryShortage(
                f"{what}: needs more memory than the GPU has; {advice}, or take --device cpu"
            ) from error
        soft = resource.getrlimit(resource.RLIMIT_DATA)[0] if resource else -1  # -1 is no limit
        limit = f"the limit of {soft / 1e9:.3g} GB" if soft >= 0 else "there is"
        raise MemoryShortage(f"{what}: needs more memory than {limit}; {advice}, or raise --memory") from error
