"""Who is held out where no split file says it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import meshio
import numpy as np
import pytest

from toothgraph.data import Scan, load_training_set, read_scans, training_set
from toothgraph.errors import ConfigError
from toothgraph.graph import GraphSpec
from toothgraph.io.write import write_labelled
from toothgraph.mesh.label_origin import CORRECTED, FOUND, GIVEN, LabelOrigin
from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import synthetic_arch

KINDS = {"g": GIVEN, "f": FOUND, "c": CORRECTED}


@pytest.fixture
def held_out(scan: Scan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., set[str]]:
    """Who is held out of scans of one patient each; a letter says where the labels of one come from."""
    (tmp_path / "a.stl").touch()

    def held_out(kinds: str, **options: float | bool) -> set[str]:
        names = [(f"{kind}{n}", LabelOrigin(KINDS[kind])) for n, kind in enumerate(kinds)]
        scans = [Scan(name, scan.variants[:1], label_origin=origin) for name, origin in names]
        monkeypatch.setattr(training_set, "read_scans", lambda *args, **kwargs: scans)
        split = load_training_set([tmp_path], GraphSpec(), variants=1, seed=0, **options)[1]
        assert split.train and {*split.train, *split.val} == {name for name, _ in names}
        return set(split.val)

    return held_out


@pytest.mark.parametrize(("kinds", "held"), [
    ("c", set()),  # a single corrected patient
    ("g", set()),
    ("f", set()),
    ("cf", set()),  # what is corrected is to be learned, and what is found is no measure
    ("ccc", set()),
    ("cg", {"g1"}),  # validates on the given one
    ("cfg", {"g2"}),
    ("fg", set()),  # the only labels of a person are to be learned
    ("ff", set()),
])  # fmt: skip
def test_only_given_labels_are_held_out(kinds, held, held_out):
    assert held_out(kinds, val_fraction=0.3) == held


def test_given_labels_beside_found_ones_do_both(held_out):
    assert len(held_out("fgg")) == 1 and held_out("fgg") < {"g1", "g2"}


def test_without_found_labels_all_may_be_held_out(held_out):
    assert len(held_out("gggg", val_fraction=0.5)) == 2
    assert held_out("gggg", val_fraction=0.0) == set()


def test_of_scans_without_labels_one_says_what_may_be_some(arch: Mesh, tmp_path: Path, caplog) -> None:
    meshio.Mesh(arch.vertices, [("triangle", arch.faces)]).write(tmp_path / "mine.stl")
    np.save(tmp_path / "mine.npy", arch.labels)
    assert not read_scans([tmp_path], GraphSpec(faces=300), variants=1, seed=0)[0].labelled
    assert "no labels were found for any scan; " in caplog.text and "mine.npy is not read" in caplog.text
    caplog.clear()
    read_scans([tmp_path], GraphSpec(faces=300), variants=1, seed=0, labels=False)
    assert not caplog.text


def test_pre_training_looks_at_no_labels(held_out):
    assert len(held_out("fff", labels=False)) == 1


def test_a_scan_beside_what_predict_wrote_for_it_is_told(arch: Mesh, tmp_path: Path, caplog) -> None:
    ours = [tmp_path / "labelled", tmp_path / "scans", tmp_path / "other"]
    for folder, model in zip(ours, ("net", None, None), strict=True):
        write_labelled(folder, "a_upper", arch, arch.labels, ["ply"], model=model)
    options = {"variants": 1, "seed": 0}
    read_scans(ours[1:], GraphSpec(faces=200, k=4), **options)  # by no model: two patients, as far as anybody knows
    assert "the same name" not in caplog.text
    read_scans(ours[:2], GraphSpec(faces=200, k=4), **options)
    assert (
        f"{ours[0]}/a_upper.ply, {ours[1]}/a_upper.ply: these files have the same name, and toothgraph wrote one"
        in caplog.text
    )


@pytest.mark.parametrize("split", [False, True])
def test_names_that_part_the_jaws_of_a_patient_are_told(arch: Mesh, tmp_path: Path, split, caplog) -> None:
    for name in ("a1", "a2", "b1", "b2"):
        own = arch if name[1] == "1" else synthetic_arch(2, jaw=1, faces=2000)
        write_labelled(tmp_path, name, own, own.labels, ("ply",))
    (tmp_path / "split.json").write_text('{"train": ["a1", "a2"], "val": ["b1", "b2"]}')
    load_training_set([tmp_path], GraphSpec(faces=300, k=6), variants=1, seed=0,
                      split=tmp_path / "split.json" if split else None)  # fmt: skip
    assert ("no two of the 4 labelled scans have the name of one patient" in caplog.text) is not split


def test_copies_and_visits_are_told_where_scans_are_read(arch: Mesh, tmp_path: Path, caplog) -> None:
    for place in ("anna/2023-01-10", "anna/2024-06-20", "ben/2023-02-03"):
        write_labelled(tmp_path / place, "upper", arch, arch.labels, ("ply",))
    load_training_set([tmp_path], GraphSpec(faces=200, k=4), variants=1, seed=0)
    assert f"in training and in validation; keep one of them: {tmp_path}/anna/2023-01-10/upper.ply = " in caplog.text
    assert f"in {tmp_path / 'anna'}, each folder named by a date counts as one patient. " in caplog.text


def test_one_path_is_no_list(tmp_path):
    for load in (load_training_set, read_scans):
        for path in ("my-scans", Path("my-scans")):
            with pytest.raises(ConfigError, match=r"paths as a list .*a list of one is \['my-scans'\]"):
                load(path, GraphSpec(), variants=1, seed=0)
