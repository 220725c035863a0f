from __future__ import annotations

import json
from pathlib import Path

import pytest

from toothgraph.io.review import Review, review_of


def test_what_was_said_of_a_scan_is_read_beside_it(tmp_path: Path) -> None:
    said = {"labels": [], "confidence": {"17": 0.5, "16": 1}, "doubts": ["review 17"]}
    (tmp_path / "a.json").write_text(json.dumps(said))
    assert review_of(tmp_path / "a.ply") == Review(["review 17"], {17: 0.5, 16: 1.0})


@pytest.mark.parametrize(
    "content", ["", "[]", '{"labels": [1]}', '{"confidence": {"x": 1}}', '{"confidence": [1]}', "7"]
)
def test_nothing_is_said_by_a_file_of_another_program(content: str, tmp_path: Path) -> None:
    assert review_of(tmp_path / "b.ply") == Review()
    (tmp_path / "b.json").write_text(content)
    assert review_of(tmp_path / "b.ply") == Review()
