from __future__ import annotations

import csv
from pathlib import Path

import pytest

from toothgraph.cli.summary import COLUMNS, FAILED, LABELLED, SUMMARY, Row, merge_summary, read_summary, row_of
from toothgraph.errors import ConfigError


def test_rows_of_several_runs(tmp_path: Path) -> None:
    assert read_summary(tmp_path) == []
    strange = Row('b "x", y', FAILED, error="a\nline, and \u0928")
    merge_summary(tmp_path, [Row("c", LABELLED, "upper", "2", "11 21", "", "1.50"), strange])
    merge_summary(tmp_path, [Row("c", FAILED, error="gone"), Row("a", LABELLED)])
    assert read_summary(tmp_path) == [Row("a", LABELLED), strange, Row("c", FAILED, error="gone")]
    with (tmp_path / SUMMARY).open(newline="", encoding="utf-8") as file:
        assert [row["scan"] for row in csv.DictReader(file)] == ["a", strange.scan, "c"]


@pytest.mark.parametrize("text", ["fdi,faces\n11,5\n", "\udcff", ",".join(COLUMNS) + "\na,b\n"])
def test_another_table_is_not_replaced(text: str, tmp_path: Path) -> None:
    content = text.encode(errors="surrogateescape")
    (tmp_path / SUMMARY).write_bytes(content)
    with pytest.raises(ConfigError, match=r"summary\.csv: expected the table of an earlier run"):
        merge_summary(tmp_path, [Row("a", LABELLED)])
    assert (tmp_path / SUMMARY).read_bytes() == content


def test_a_row_has_its_columns() -> None:
    with pytest.raises(ValueError, match="expected the columns scan, state"):
        row_of({"scan": "a"})
