"""Whom a student learns from."""

from __future__ import annotations

from types import SimpleNamespace

from toothgraph.data.split import Split
from toothgraph.training import self_training


def test_patients_who_test_are_not_learned_from() -> None:
    """A test side that a student learns from is none, with or without labels."""
    scans = [SimpleNamespace(source=SimpleNamespace(patient=who, scan_id=f"{who}_L")) for who in ("a", "v", "t")]
    split = Split(("b",), ("v",), {}, ("t",))
    free = self_training._usable(scans, SimpleNamespace(train=[], val=[]), split)  # type: ignore[arg-type]
    assert [one.source.patient for one in free] == ["a"]
