"""Record where a figure comes from: versions, hardware, revision, date."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from toothgraph._version import __version__

_PACKAGES = (
    "torch",
    "torch-geometric",
    "torch-scatter",
    "triton",
    "lightning",
    "numpy",
    "scipy",
    "fast-simplification",
)


def package_version(name: str) -> str | None:
    """The installed version of a package; None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """The versions of toothgraph, Python and installed packages on which a figure depends."""
    found = {"toothgraph": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        number = package_version(name)
        if number is not None:
            found[name] = number
    return found


def hardware() -> dict[str, Any]:
    """Processor, cores, threads in use, and GPUs."""
    import torch  # imported here, because it takes a second to load

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())],
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def git_revision() -> str | None:
    """The revision of the source tree this package is run from; None outside a git checkout."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None

    def said(*command: str) -> str:
        # Not `describe --dirty`: it locks the index, and a process that is killed meanwhile leaves it locked.
        line = ["git", "--no-optional-locks", "-C", str(here), *command]
        return subprocess.run(line, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = said("status", "--porcelain", "--untracked-files=no")
        return said("describe", "--always") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


REVISION = git_revision()  # of the code that runs, even if a commit is made meanwhile


def facts() -> dict[str, Any]:
    """The versions, the hardware, the git revision and the date (UTC), as a dictionary."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": versions(),
        "hardware": hardware(),
        "git": REVISION,
    }


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
