from __future__ import annotations

import numpy as np
import pytest

from toothgraph.anatomy.molars import SURE, molar_odds


def test_what_a_molar_is() -> None:
    """Crowns as they are in textbooks: mesiodistal, buccolingual, mm; lower jaw."""
    premolar, milk, first, second = (np.array(size) for size in ((7.0, 8.0), (9.9, 8.8), (11.0, 10.5), (10.5, 10.5)))
    assert molar_odds(first, second) > SURE
    assert molar_odds(premolar, first) < -SURE
    assert molar_odds(milk, first) < 0
    for scale in (0.9, 1.1):  # of a small or a large person
        assert molar_odds(scale * first, scale * second) == pytest.approx(molar_odds(first, second))
