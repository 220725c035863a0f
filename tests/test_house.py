"""Which rooms of the package may import which: the arrows point down, and stay so."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "toothgraph"

# Each room and what it may import besides itself. The ground floor are files that import next to nothing.
GROUND = {"_version", "choices", "config", "errors", "fdi", "rules", "scan_names", "seeding", "stages", "weights"}
ROOMS = {
    "system": set(),
    "nn": set(),
    "mesh": set(),
    "anatomy": {"mesh"},
    "io": {"anatomy", "mesh", "system"},
    "synthetic": {"anatomy", "io", "mesh", "system"},
    "graph": {"mesh"},
    "transforms": {"anatomy", "graph", "mesh"},
    "model": {"graph", "nn", "system"},
    "data": {"anatomy", "graph", "io", "mesh", "synthetic", "system", "transforms"},
    "datasets": {"data", "graph", "io", "synthetic", "system"},
    "training": {"anatomy", "data", "graph", "inference", "io", "mesh", "metrics", "model", "nn", "report",
                 "system", "transforms"},
    "metrics": {"mesh"},
    "postprocess": {"anatomy", "mesh"},
    "inference": {"anatomy", "graph", "mesh", "model", "postprocess", "transforms"},
    "report": {"anatomy", "mesh", "system"},
    "segmentation": {"anatomy", "inference", "io", "mesh", "model", "postprocess", "report"},
    "both_jaws": {"anatomy", "inference", "io", "mesh", "model", "postprocess", "report", "segmentation"},
    "evaluation": {"anatomy", "both_jaws", "inference", "io", "mesh", "metrics", "model", "segmentation"},
    "review": {"anatomy", "both_jaws", "graph", "io", "mesh", "model", "postprocess", "report", "system"},
    "cli": {"anatomy", "both_jaws", "data", "evaluation", "graph", "inference", "io", "mesh", "metrics", "model", "nn",
            "report", "review", "segmentation", "synthetic", "system", "training"},
    "__main__": {"cli"},
}  # fmt: skip
OF_GROUND = {
    "choices",
    "errors",
    "fdi",
    "_version",
    "config",
    "rules",
    "scan_names",
}  # what the ground floor may import of itself
NEVER = {
    "nn": {"scipy", "meshio", "lightning", "matplotlib", "fast_simplification", "networkx"},  # at import
    "mesh": {"torch", "torch_geometric", "meshio", "json"},
    "anatomy": {"torch", "torch_geometric"},
    "io": {"torch", "torch_geometric"},
    "postprocess": {"torch", "torch_geometric"},
    "metrics": {"torch", "torch_geometric"},
    "report": {"torch", "torch_geometric"},
}


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(file for file in PACKAGE.rglob("*.py") if file != PACKAGE / "__init__.py")


def imports(file: Path) -> set[str]:
    """Full names of what a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_arrows_point_down(file: Path) -> None:
    room, rooms = room_of(file), set()
    for name in imports(file):
        first, *rest = name.split(".")
        if first == "toothgraph":
            assert rest, "the package's face is for its users"
            assert (PACKAGE / rest[0]).is_dir() or (PACKAGE / f"{rest[0]}.py").exists(), (
                f"{name}: of the package's face"
            )
            rooms.add(rest[0])
        else:
            assert first not in NEVER.get(room, ()) or _inside_a_function(file, first), f"{room} never imports {first}"
    rooms.discard(room)
    if room in GROUND:
        assert rooms <= OF_GROUND
    elif room == "nn":
        assert rooms <= {"errors"}
    else:
        assert rooms - GROUND <= ROOMS[room]


def _inside_a_function(file: Path, package: str) -> bool:
    """Whether ``nn`` imports a package only when a function of it runs."""
    top = ast.parse(file.read_text(encoding="utf-8")).body
    at_import = {alias.name for node in top if isinstance(node, ast.Import) for alias in node.names}
    at_import |= {node.module or "" for node in top if isinstance(node, ast.ImportFrom)}
    return room_of(file) == "nn" and not any(name.split(".")[0] == package for name in at_import)


def test_every_room_is_known() -> None:
    assert {room_of(file) for file in FILES} == GROUND | set(ROOMS)


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("toothgraph.nn", NEVER["nn"]),
        ("toothgraph", {"torch", "numpy", "scipy"}),
        ("toothgraph.io.read", {"torch", "matplotlib", "lightning"}),
        ("toothgraph.report.page", {"torch", "matplotlib", "lightning"}),
        ("toothgraph.postprocess.assign_numbers", {"torch", "matplotlib", "lightning"}),
    ],
)
def test_what_an_import_loads(module: str, never: set[str]) -> None:
    script = f"import sys, {module}; print([name for name in {sorted(never)!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
