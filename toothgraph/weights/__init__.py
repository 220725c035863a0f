"""The weights that come with the package, and what may be done with them."""

from __future__ import annotations

from pathlib import Path

DEFAULT = "default"  # stands for them wherever a model is asked for
FILE = Path(__file__).resolve().parent / "default.safetensors"


def notice() -> str:
    """Their own terms, which the package's licence does not cover."""
    return (FILE.parent / "NOTICE").read_text(encoding="utf-8").strip()
