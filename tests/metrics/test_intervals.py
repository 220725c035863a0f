from __future__ import annotations

import numpy as np
import pytest

from toothgraph.metrics.intervals import compared, intervals, mean_interval


def test_both_jaws_of_a_patient_are_drawn_together() -> None:
    rng = np.random.default_rng(1)
    own = rng.normal(0.9, 0.05, 30)
    values, patients = np.repeat(own, 2).tolist(), [f"p{n // 2}" for n in range(60)]
    low, high = mean_interval(values, patients) or (0, 0)
    wide = 2 * 1.96 * own.std() / np.sqrt(len(own))
    assert low < np.mean(values) < high and high - low == pytest.approx(wide, rel=0.1)
    alone = mean_interval(values, [str(n) for n in range(60)]) or (0, 0)  # as if jaws were people: too narrow
    assert alone[1] - alone[0] < 0.8 * (high - low)
    assert mean_interval([0.5, 0.6], ["one", "one"]) is None


@pytest.mark.parametrize(("key", "other"), [("patient", "b"), ("faces", 9), ("surface", "e4")])
def test_other_scans_of_one_name_are_not_compared(key: str, other: object) -> None:
    row = {"scan_id": "upper", "patient": "a", "faces": 8, "surface": "d3", "miou": 0.9}
    assert compared([row], [row])["scans"] == 1
    assert compared([row], [{name: value for name, value in row.items() if name != key}])["scans"] == 1
    found = compared([row], [{**row, key: other}])
    assert (found["scans"], found["unlike"]) == (0, 1)


def test_two_results_are_compared_on_the_scans_that_both_have() -> None:
    ours = [{"scan_id": f"{n}_L", "patient": str(n), "miou": 0.9 + 0.01 * n, "accuracy": None} for n in range(5)]
    theirs = [{"scan_id": f"{n}_L", "miou": 0.8 + 0.01 * n} for n in range(1, 9)]
    found = compared(ours, theirs)
    assert (found["scans"], found["patients"], list(found["scores"])) == (4, 4, ["miou"])
    miou = found["scores"]["miou"]
    assert miou["difference"] == pytest.approx(0.1) and miou["interval"] == pytest.approx((0.1, 0.1))
    assert (miou["this"], miou["other"]) == (pytest.approx(0.925), pytest.approx(0.825))
    assert intervals(ours)["accuracy"] is None and intervals(ours)["miou"] is not None
