from __future__ import annotations

import pytest

from toothgraph.fdi import LOWER, UNKNOWN_JAW, UPPER
from toothgraph.scan_names import jaw_from_name


@pytest.mark.parametrize(
    ("name", "jaw"),
    [
        ("007_L.ply", LOWER),
        ("007_U.ply", UPPER),
        ("013TXGFK_upper.ply", UPPER),
        ("/upper/Scan-LOWER.stl", LOWER),
        ("follower.stl", UNKNOWN_JAW),
        ("u_l.stl", UNKNOWN_JAW),
        ("upper_lower.stl", UNKNOWN_JAW),
        ("ULNA.stl", UNKNOWN_JAW),
        ("Smith_UpperJawScan.stl", UPPER),
        ("LowerJaw.stl", LOWER),
        ("LOWERJAW.stl", LOWER),
        ("shell_occlusion_u.stl", UPPER),
        ("shell_occlusion_l.stl", LOWER),
        ("12345_maxillary.stl", UPPER),
        ("Mandible 3.stl", LOWER),
        ("Anna_L_Upper.stl", UPPER),
        ("J. L. Smith upper.stl", UPPER),
        ("FollowerUp.stl", UNKNOWN_JAW),
        ("scan_lowermost.stl", UNKNOWN_JAW),
        ("model_ul.stl", UNKNOWN_JAW),
        ("model_1_l.stl", LOWER),
        ("7_u.stl", UPPER),
    ],
)
def test_jaw_from_name(name: str, jaw: int) -> None:
    assert jaw_from_name(name) == jaw
