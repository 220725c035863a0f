from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of what is installed


@pytest.fixture(autouse=True, scope="session")
def studies(light_runs: Callable[..., None]) -> None:
    """Their runs are light, too."""


@pytest.fixture
def one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scans are scored after one look of the net. A net of few steps sees no teeth, and all of prediction, which then
    tries every pose, would take longer than the rest of a study."""
    from benchmarks.studies import rows
    from toothgraph.evaluation import score_file
    from toothgraph.inference import PredictOptions

    options = PredictOptions(tessellations=1, find_pose=False)
    monkeypatch.setattr(rows, "score_file", partial(score_file, options=options))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The benchmarks read memory from /proc."""
    if not sys.platform.startswith("linux"):
        for item in items:
            if Path(item.path).parent == Path(__file__).parent:
                item.add_marker(pytest.mark.skip(reason="memory is read from /proc"))
