"""Time and size of an installation: the wheel in a clean environment, then the first scan that it labels.

python -m benchmarks.speed.install dist/toothgraph-VERSION-py3-none-linux_x86_64.whl

It also checks the wheel: it must have the net, the pages and the licences, and no tests or scans.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from benchmarks.options import facts_of_children, parse, parser_of, run
from benchmarks.paths import RESULTS
from toothgraph.errors import DataError
from toothgraph.system.files import write_text

WANTED = (
    "toothgraph/weights/default.safetensors", "toothgraph/weights/NOTICE", "toothgraph/report/web/page.html",
    "toothgraph/review/web/list.html", "toothgraph/py.typed", "toothgraph/__init__.pyi", "licenses/LICENSE",
    *(("toothgraph/nn/kernels/compiled.lib",) if sys.platform == "linux" else ()),
)  # fmt: skip
SCANS = (".stl", ".ply", ".obj", ".off", ".vtp", ".vtk", ".gz", ".zip", ".dcm")
TRAINING = ("lightning", "tensorboard")  # needed for training, but not for labelling

# Runs in the new environment. Prints each distribution with its size in bytes and its requirements.
LIST = """
import json, re
from importlib.metadata import distributions
plain = lambda name: re.sub("[-_.]+", "-", name).lower()
print(json.dumps({plain(each.name): [
    sum(file.size or 0 for file in each.files or ()),
    [plain(re.match("[A-Za-z0-9._-]+", one)[0]) for one in each.requires or () if "extra ==" not in one],
] for each in distributions()}))
"""


def check_wheel(wheel: Path) -> None:
    """Stop if a wheel lacks a file, or has a file that it should not have.

    Raises:
        DataError: if the file is no wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as file:
            names = file.namelist()
    except zipfile.BadZipFile as error:
        raise DataError(f"{wheel}: expected a wheel, such as `make dist` makes, found no zip file") from error
    missing = [wanted for wanted in WANTED if not any(name.endswith(wanted) for name in names)]
    strange = [name for name in names if name.endswith(SCANS) or not name.startswith("toothgraph")]
    if missing or strange:
        raise SystemExit(f"{wheel.name}: misses {missing or 'nothing'}, has {strange or 'nothing'} too much")


def timed(*command: object, stdin: str | None = None, codes: tuple[int, ...] = (0,)) -> tuple[float, str]:
    """Run a command that does not see this checkout, and return its seconds and output. Stop if it fails."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    begun = time.perf_counter()
    done = subprocess.run(
        [*map(str, command)], input=stdin, text=True, stdout=subprocess.PIPE, check=False, env=clean,
        cwd=tempfile.gettempdir(),
    )  # fmt: skip
    if done.returncode not in codes:
        raise SystemExit(f"{command}: exit code {done.returncode}\n{done.stdout}")
    return time.perf_counter() - begun, done.stdout


def needed(roots: set[str], asked: dict[str, list[str]], without: tuple[str, ...]) -> set[str]:
    """The installed distributions that ``roots`` require, directly or indirectly, except those in ``without``."""
    found, left = set(), set(roots)
    while left:
        name = left.pop()
        if name in asked and name not in found and name not in without:
            found.add(name)
            left.update(asked[name])
    return found


def sizes(python: Path) -> dict[str, Any]:
    """Bytes of the installed distributions: all, the largest ones, and all that are needed without training."""
    listed = json.loads(timed(python, "-", stdin=LIST)[1])
    size = {name: bytes_ for name, (bytes_, _) in listed.items()}
    asked = {name: wants for name, (_, wants) in listed.items()}
    whole, labels = (needed({"toothgraph"}, asked, without) for without in ((), TRAINING))
    largest = sorted(whole, key=lambda name: -size[name])[:8]
    return {
        "distributions": len(whole),
        "bytes": sum(size[name] for name in whole),
        "largest": {name: size[name] for name in largest},
        "bytes_without_training": sum(size[name] for name in labels),
    }


def measure(wheel: Path, folder: Path, torch: str) -> dict[str, Any]:
    """Install into a new environment, label the two scans of the demo, and then label one of them again."""
    python = folder / "venv" / "bin" / "python"
    seconds = {"environment": timed(sys.executable, "-m", "venv", folder / "venv")[0]}
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    seconds["torch"] = timed(*pip, torch)[0]
    seconds["the rest"] = timed(*pip, wheel)[0]
    toothgraph = python.with_name("toothgraph")
    seconds["demo: two scans, pages, the first start"] = timed(toothgraph, "demo", folder / "demo", codes=(0, 3))[0]
    scan = next((folder / "demo" / "scans").glob("*_upper.stl"))
    seconds["predict: one scan"], said = timed(toothgraph, "predict", scan, "--out", folder / "again", codes=(0, 3))
    if "upper jaw" not in said or not (folder / "again" / f"{scan.stem}.ply").exists():
        raise SystemExit(f"predict labelled nothing:\n{said}")
    return {"seconds": seconds, "installed": sizes(python)}


def main(argv: list[str] | None = None) -> None:
    """Check, measure, write."""
    parser = parser_of(__doc__, quick="without effect: the whole installation is measured", threads="without effect")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--torch", default="torch", help="what pip is asked for before the wheel")
    options = parse(parser, argv, RESULTS / "install.json")
    wheel = options.wheel.resolve()
    check_wheel(wheel)
    load = os.getloadavg()[1]  # mean of the last five minutes
    with tempfile.TemporaryDirectory() as folder:
        found = measure(wheel, Path(folder), options.torch)
    content = {
        "facts": facts_of_children(),
        "torch": options.torch,
        "load": load,
        "wheel_bytes": wheel.stat().st_size,
        **found,
    }
    write_text(options.out, json.dumps(content, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    run(main)
