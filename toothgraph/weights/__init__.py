"""The weights that come with the package, and what may be done with them."""

from __future__ import annotations

from pathlib import Path

from toothgraph.errors import CheckpointError

DEFAULT = "default"  # stands for them wherever a model is asked for
FILE = Path(__file__).resolve().parent / "default.safetensors"
MODEL_FILE = "model.safetensors"  # of a run folder, and of an exported one


def model_file(path: str | Path) -> Path:
    """The file of a model.

    Args:
        path: file or folder; ``default`` means the weights in the package, unless a file of that name exists.

    Raises:
        CheckpointError: if there is none.
    """
    path = FILE if str(path) == DEFAULT and not Path(path).exists() else Path(path)
    file = path / MODEL_FILE if path.is_dir() else path
    if not file.is_file():
        hint = " (has its training finished?)" if path.is_dir() else "; check the path"
        raise CheckpointError(f"{file}: no such model file{hint}")
    return file


def notice() -> str:
    """Their own terms, which the package's licence does not cover."""
    return (FILE.parent / "NOTICE").read_text(encoding="utf-8").strip()
