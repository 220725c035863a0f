"""The default weights that come with the package, and their terms of use."""

from __future__ import annotations

import json
from pathlib import Path

from toothgraph.errors import CheckpointError, not_there

DEFAULT = "default"  # means these weights wherever a model is asked for
FILE = Path(__file__).resolve().parent / "default.safetensors"
MODEL_FILE = "model.safetensors"  # in the folder of a run, and in an exported folder
CONFIG_FILE, MODEL_TYPE = "config.json", "toothgraph"  # in an exported folder


def is_default(path: str | Path) -> bool:
    """Whether ``path`` is the word ``default`` for the weights in the package, and no file of this name exists."""
    return str(path) == DEFAULT and not Path(path).exists()


def model_file(path: str | Path) -> Path:
    """The file of a model.

    Args:
        path: file or folder; ``default`` means the weights in the package, unless a file of that name exists.

    Raises:
        CheckpointError: if the path does not exist, or the folder has no model.
    """
    path = FILE if is_default(path) else Path(path)
    file = path / MODEL_FILE if path.is_dir() else path
    if not path.exists():
        raise CheckpointError(not_there(path))
    if not file.is_file():
        raise CheckpointError(f"{path}: expected {MODEL_FILE} in this folder, found none; has its training finished?")
    return file


def is_export(folder: Path) -> bool:
    """Whether a folder is what :func:`toothgraph.model.folder.export_folder` writes."""
    try:
        content = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("model_type") == MODEL_TYPE


def notice() -> str:
    """The terms of the default weights, which the package's licence does not cover."""
    return (FILE.parent / "NOTICE").read_text(encoding="utf-8").strip()
