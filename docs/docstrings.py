"""Docstrings as plain text, for pages that Sphinx does not build."""

from __future__ import annotations

import re


def in_a_line(paragraph: str, quote: str) -> str:
    """Return a paragraph of a docstring as one line, with ``quote`` around names in roles and around literals."""
    marked = r":\w+:`~?([\w.]+)`|``(.+?)``"
    return re.sub(marked, lambda found: f"{quote}{found[1] or found[2]}{quote}", " ".join(paragraph.split()))
