from __future__ import annotations

import pytest

from toothgraph.cli.prepare import speed_of


@pytest.mark.parametrize(
    ("made", "seconds", "said"),
    [(0, 9.0, ""), (30, 10.0, " (3.0 per second)"), (3, 10.0, " (3.3 seconds each)"), (2, 0.0, None)],
)
def test_how_fast_it_goes_is_never_nothing(made: int, seconds: float, said: str | None) -> None:
    assert speed_of(made, seconds) == said or (said is None and "(0.0 " not in speed_of(made, seconds))
