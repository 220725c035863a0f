from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of what is installed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The benchmarks read memory from /proc."""
    if not sys.platform.startswith("linux"):
        for item in items:
            if Path(item.path).parent == Path(__file__).parent:
                item.add_marker(pytest.mark.skip(reason="memory is read from /proc"))
