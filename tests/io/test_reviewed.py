"""Labels that a review has approved, read beside the scan they are of."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import ConfigError, LabelError
from toothgraph.io.label_sources import labels_in
from toothgraph.io.labels import as_fdi
from toothgraph.io.read import read_mesh
from toothgraph.io.renumber import renumber
from toothgraph.io.review_file import review_entry
from toothgraph.io.reviewed import approved_labels, corrected_in, face_labels, name_in, read_approved
from toothgraph.io.write import write_labelled, write_teeth3ds_json
from toothgraph.mesh.mesh import Mesh
from toothgraph.mesh.original import vertices_to_original
from toothgraph.review.session import take
from toothgraph.review.store import Start, Store
from toothgraph.review.surface import Surface
from toothgraph.synthetic import synthetic_arch


def write_review(folder: Path, arch: Mesh, state: str) -> None:
    write_teeth3ds_json(folder / "one.json", vertices_to_original(arch, arch.labels), jaw=0)
    content = json.loads((folder / "one.json").read_text())
    (folder / "one.json").write_text(json.dumps({**content, "review": review_entry(state, 3, "a model")}))


def approve(store: Store, mesh: Mesh, labels: np.ndarray) -> None:
    store.begin(mesh, Start(labels, None, "a model", 0, False, [], {}, None, ""))
    start, session = store.load(mesh)
    store.save(mesh, start, take(Surface(mesh), session, {"kind": "approve"}))


def test_only_what_was_approved_is_read(arch: Mesh, tmp_path: Path) -> None:
    (scan,) = write_labelled(tmp_path / "scans", "one", arch, np.zeros(len(arch.faces), dtype=int), ("vtp",))
    assert approved_labels(tmp_path, "one") is None
    with pytest.raises(LabelError, match="not approved in"):
        read_approved(scan, tmp_path, "one")
    write_review(tmp_path, arch, "corrected")
    with pytest.raises(LabelError, match="not approved in"):
        read_approved(scan, tmp_path, "one")
    write_review(tmp_path, arch, "approved")
    mesh = read_approved(scan, tmp_path, "one")
    assert mesh.labels is not None and (mesh.labels == arch.labels).mean() > 0.9  # by vertices, so borders may move
    assert (mesh.label_origin.kind, mesh.label_origin.model, mesh.jaw) == ("corrected", "a model", 0)


def test_the_log_of_a_review_tells_the_label_of_each_face(arch: Mesh, tmp_path: Path) -> None:
    (scan,) = write_labelled(tmp_path / "scans", "one", arch, np.zeros(len(arch.faces), dtype=int), ("vtp",))
    mesh = read_mesh(scan)
    assert face_labels(tmp_path, "one", mesh) is None
    approve(Store(tmp_path, "one"), mesh, arch.labels)
    by_vertices = as_fdi(mesh, labels_in(tmp_path / "one.json", mesh))[0]
    assert not np.array_equal(by_vertices, arch.labels)  # else this test would not tell
    np.testing.assert_array_equal(read_approved(scan, tmp_path, "one").labels, arch.labels)
    renumber(tmp_path / "one.json", {16: 15, 15: 16})
    swapped = np.select([arch.labels == 16, arch.labels == 15], [15, 16], arch.labels)
    np.testing.assert_array_equal(read_approved(scan, tmp_path, "one").labels, swapped)
    np.testing.assert_array_equal(face_labels(tmp_path, "one", mesh), swapped)
    (tmp_path / "one.log.jsonl").write_text("nonsense\n")
    with pytest.raises(LabelError, match="expected the log of a review"):
        read_approved(scan, tmp_path, "one")


@pytest.mark.parametrize("before", ["upper", "clinic_anna_upper"])
def test_a_scan_is_found_under_the_name_that_it_had(before: str, command, arch: Mesh, tmp_path: Path) -> None:
    """Names have folders in front, more or fewer of them, by what other scans there are."""
    scans, reviewed, out = tmp_path / "clinic", tmp_path / "reviewed", tmp_path / "out"
    for patient, mesh in (("anna", arch), ("ben", synthetic_arch(2, jaw=0, faces=2000))):
        write_labelled(scans / patient, "upper", mesh, np.zeros(len(mesh.faces), dtype=int), ("ply",))
    anna, ben = (scans / patient / "upper.ply" for patient in ("anna", "ben"))
    approve(Store(reviewed, before), read_mesh(anna), arch.labels)
    np.testing.assert_array_equal(read_approved(anna, reviewed, "anna_upper").labels, arch.labels)
    hint = (
        r"approve it with `toothgraph review`; \S+/upper\.\* belong to another surface$"
        if before == "upper"
        else r"approve it with `toothgraph review`$"
    )
    with pytest.raises(LabelError, match=hint):
        read_approved(ben, reviewed, "ben_upper")
    done = command("convert", scans, "--labels", reviewed, "--out", out, "--format", "txt")
    assert done.code == 0 and "left out: ben_upper has no labels" in done.err
    np.testing.assert_array_equal(np.loadtxt(out / "anna_upper.txt", dtype=int), arch.labels)


def test_labels_that_are_not_reviewed_are_found_by_their_record(arch: Mesh, tmp_path: Path) -> None:
    scan, other = tmp_path / "anna" / "upper.ply", synthetic_arch(2, jaw=0, faces=2000)
    write_labelled(tmp_path / "out", "upper", arch, arch.labels, ("txt",), model="m")
    assert name_in(tmp_path / "out", "anna_upper", scan, lambda: arch) == "upper"
    assert name_in(tmp_path / "out", "anna_upper", scan, lambda: other) == "anna_upper"
    write_labelled(tmp_path / "out", "anna_upper", arch, arch.labels, ("txt",), model="m")
    assert name_in(tmp_path / "out", "anna_upper", scan, lambda: arch) == "anna_upper"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"review": 3}', '{"labels": []}'])
def test_another_file_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(content)
    with pytest.raises(LabelError, match="expected a label file of `toothgraph review`"):
        approved_labels(tmp_path, "one")


def test_labels_of_another_scan_are_refused(arch: Mesh, tmp_path: Path) -> None:
    (scan,) = write_labelled(tmp_path / "scans", "one", arch, arch.labels, ("vtp",))
    (tmp_path / "one.json").write_text(json.dumps({"labels": [0, 1], "review": review_entry("approved", 1, "")}))
    with pytest.raises(LabelError, match=r"expected .* labels, one per vertex"):
        read_approved(scan, tmp_path, "one")


@pytest.mark.parametrize("state", ["corrected", "approved"])
def test_nothing_is_written_over_what_a_person_has_corrected(state: str, arch: Mesh, tmp_path: Path) -> None:
    (file,) = write_labelled(tmp_path, "one_U", arch, arch.labels, ("json",))
    content = {**json.loads(file.read_text()), "review": review_entry("unseen", 0, "net")}
    for now in ("unseen", state):
        content["review"]["state"] = now
        file.write_text(json.dumps(content))
        if now == "unseen":
            write_labelled(tmp_path, "one_U", arch, arch.labels, ("ply",))
            continue
        with pytest.raises(ConfigError, match=r"one_U.json: contains corrections of a review"):
            write_labelled(tmp_path, "one_U", arch, arch.labels, ("ply",))
        assert json.loads(file.read_text()) == content and corrected_in(tmp_path, "one_U") == file
    write_labelled(tmp_path, "two_U", arch, arch.labels, ("ply",))
