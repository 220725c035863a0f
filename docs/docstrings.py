"""Docstrings for pages that Sphinx does not make."""

from __future__ import annotations

import re


def in_a_line(paragraph: str, quote: str) -> str:
    """A paragraph of a docstring as one line, with its roles and literals between ``quote``."""
    marked = r":\w+:`~?([\w.]+)`|``(.+?)``"
    return re.sub(marked, lambda found: f"{quote}{found[1] or found[2]}{quote}", " ".join(paragraph.split()))
