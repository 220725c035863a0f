from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch_geometric.transforms as T
from torch_geometric.data import Data
from torch_geometric.data import Dataset as PyGDataset
from torch_geometric.loader import DataLoader

from toothgraph.data import load_training_set, make_split, read_scans
from toothgraph.data.prepared.layout import is_prepared
from toothgraph.datasets import ScanFolder, SyntheticArches
from toothgraph.errors import ConfigError, DataError, ShapeError
from toothgraph.graph import GraphSpec
from toothgraph.io.formats.stl import write_stl
from toothgraph.synthetic import synthetic_arch
from toothgraph.transforms import MirrorArch, RandomRotate, RemoveTeeth, TwoViews, ViewOptions

SPEC = GraphSpec(faces=300, k=4, spacings=(0.0, 3.0))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with four arches of two patients in ``raw``, and a file that is no scan. Shared."""
    root = tmp_path_factory.mktemp("set")
    made = SyntheticArches(tmp_path_factory.mktemp("made"), 4, faces=2000, spec=SPEC, log=False)
    shutil.copytree(made.raw_dir, root / "raw")
    (root / "raw" / "0009_upper.stl").write_text("solid nothing\nendsolid\n")
    return root


@pytest.fixture(scope="module")
def dataset(root: Path) -> ScanFolder:
    return ScanFolder(root, spec=SPEC, variants=2, log=False)


def test_items_are_the_graphs_that_training_reads(root: Path, dataset: ScanFolder) -> None:
    theirs = read_scans([root / "raw"], SPEC, variants=2, seed=0)
    assert [graph.scan_id for graph in dataset] == [scan.scan_id for scan in theirs]
    for ours, scan in zip(dataset.scans, theirs, strict=True):
        for number in range(2):
            for name, value in scan.variants[number].items():
                again = ours.variants[number][name]
                assert torch.equal(again, value) if isinstance(value, torch.Tensor) else again == value, name
    assert torch.equal(dataset[0].x, theirs[0].variants[0].x)


def test_the_interface_of_torch_geometric(root: Path, dataset: ScanFolder) -> None:
    assert isinstance(dataset, PyGDataset) and isinstance(dataset[0], Data)
    assert len(dataset) == dataset.len() == 4 and repr(dataset) == "ScanFolder(4)"
    assert (dataset.num_features, dataset.num_classes) == (15, 33)
    assert dataset.raw_dir == str(root / "raw") and "0000_lower.stl" in dataset.raw_file_names
    assert all(map(Path.exists, map(Path, [*dataset.raw_paths, *dataset.processed_paths])))
    mask = torch.tensor([True, False, False, True])
    names = [graph.scan_id for graph in dataset]
    for part in (dataset[mask], dataset[mask.numpy()], dataset[[0, 3]], dataset[np.array([0, 3])], dataset[::3]):
        assert isinstance(part, ScanFolder) and [scan.scan_id for scan in part.scans] == [names[0], names[3]]
        assert part[1].scan_id == names[3]
    assert {graph.scan_id for graph in dataset.shuffle()} == set(names)
    batch = next(iter(DataLoader(dataset[:3], batch_size=3)))
    assert batch.num_graphs == 3 and batch.neighbor_index.max() < batch.num_nodes


def test_patients_are_split_whole(dataset: ScanFolder) -> None:
    split = make_split(dataset.patients, 0.5, seed=0)
    train, val = dataset.of_patients(split.train), dataset.of_patients(split.val)
    assert len(train) == len(val) == 2 and set(train.patients) == set(split.train)
    assert val[:1].of_patients(split.train).scans == []


def test_a_patient_without_a_scan_is_named(dataset: ScanFolder) -> None:
    with pytest.raises(ConfigError, match="such as 0000, 0001, found no scan of 00; did you mean"):
        dataset.of_patients(["0000", "00"])
    with pytest.raises(ConfigError, match="patients as a list of names, got the text '0000'"):
        dataset.of_patients("0000")


def test_a_number_is_no_specification(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="expected spec: a GraphSpec, got int"):
        ScanFolder(tmp_path, spec=2000)


def test_what_cannot_be_read_is_named_and_the_rest_is_there(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = ScanFolder(root, spec=SPEC, variants=2, log=False)
    assert "1 of 5 scans are left out; why: " in caplog.text
    assert "0009_upper" in (Path(dataset.processed_dir) / "quarantine.csv").read_text()


def test_parameters_make_another_folder_and_the_same_ones_read_nothing(
    root: Path, dataset: ScanFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toothgraph.datasets import scan_folder

    folders = {dataset.processed_dir}
    for change in ({"seed": 1}, {"unit": "cm"}, {"variants": 1}, {"pre_transform": T.Center()}):
        options = {"spec": SPEC, "variants": 2, **change}
        folders.add(ScanFolder.processed_dir.fget(_unread(root, monkeypatch, options)))
    assert len(folders) == 5 and all(Path(folder).name.startswith("processed-") for folder in folders)

    def fail(*args: object, **options: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(scan_folder, "prepare", fail)
    assert len(ScanFolder(root, spec=SPEC, variants=2)) == 4
    with pytest.raises(AssertionError, match="read again"):
        ScanFolder(root, spec=SPEC, variants=2, force_reload=True)


def _unread(root: Path, monkeypatch: pytest.MonkeyPatch, options: dict) -> ScanFolder:
    """A data set of which nothing is read."""
    with monkeypatch.context() as patch:
        patch.setattr(ScanFolder, "_process", lambda self: None)
        patch.setattr(ScanFolder, "_opened", lambda self: [])
        return ScanFolder(root, **options)


def test_a_scan_that_is_added_is_read_alone(root: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    shutil.copytree(root / "raw", own, ignore=shutil.ignore_patterns("*upper*"))
    first = ScanFolder(own, spec=SPEC, log=False)
    files = {file: file.stat().st_mtime_ns for file in Path(first.processed_dir).glob("scans/*")}
    for suffix in (".stl", ".txt"):
        shutil.copy(root / "raw" / f"0000_upper{suffix}", own)
    second = ScanFolder(own, spec=SPEC, log=False)
    assert (len(first), len(second)) == (2, 3) and second.processed_dir == first.processed_dir
    assert all(file.stat().st_mtime_ns == when for file, when in files.items())


def test_transforms_before_and_after_storing(root: Path, tmp_path: Path) -> None:
    def add_height(data: Data) -> Data:
        data.height = data.pos[:, 1:2] * 2
        data.high = data.height[:, 0] > 0
        data.rank = data.pos[:, 1].argsort()
        data.pos = data.pos + 1
        return data

    one = root / "raw" / "0000_upper.stl"
    dataset = ScanFolder(tmp_path, one, spec=SPEC, pre_transform=add_height, transform=RandomRotate(), log=False)
    raw = ScanFolder(tmp_path, one, spec=SPEC, log=False)[0]
    dataset.transform = None
    stored = dataset[0]
    for name, value in add_height(raw.clone()).items():
        assert torch.equal(stored[name], value) if isinstance(value, torch.Tensor) else stored[name] == value, name
        assert not isinstance(value, torch.Tensor) or stored[name].dtype == value.dtype
    dataset.transform = T.Compose([RandomRotate(), T.Center()])
    assert not torch.equal(dataset[0].pos, dataset[0].pos)
    pairs = ScanFolder(tmp_path, one, spec=SPEC, transform=TwoViews(ViewOptions(quota=200)), log=False)
    first, second = next(iter(DataLoader(pairs)))
    assert len(first.match_index) == len(second.match_index) > 10


def test_the_stored_folder_is_one_of_prepare(dataset: ScanFolder) -> None:
    folder = Path(dataset.processed_dir)
    assert is_prepared(folder)
    scans, _ = load_training_set([folder], SPEC, variants=2, seed=0)
    assert [scan.scan_id for scan in scans] == [graph.scan_id for graph in dataset]
    again = ScanFolder(folder)
    assert len(again) == 4 and torch.equal(again[1].x, dataset[1].x) and again.processed_dir == str(folder)
    with pytest.raises(ConfigError, match="its graphs have faces 300"):
        ScanFolder(folder, spec=GraphSpec(faces=7))
    with pytest.raises(ConfigError, match="has graphs already; use transform instead"):
        ScanFolder(folder, pre_transform=T.Center())


def test_without_a_scan_that_can_be_used_it_says_why(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        ScanFolder(tmp_path / "none")
    with pytest.raises(DataError, match="found no scans"):
        ScanFolder(tmp_path)
    with pytest.raises(DataError, match=r"none of 1 scans can be used; the reason for the first: .*0009_upper"):
        ScanFolder(tmp_path, root / "raw" / "0009_upper.stl", log=False)
    with pytest.raises(DataError, match="expected area of its graph as a tensor, got NoneType"):
        ScanFolder(tmp_path, root / "raw" / "0000_upper.stl", spec=SPEC, pre_transform=without_area, log=False)


def without_area(data: Data) -> Data:
    del data.area
    return data


def test_arches_are_made_once_and_more_begin_with_the_same(tmp_path: Path) -> None:
    two = SyntheticArches(tmp_path, 2, faces=2000, seed=3, spec=SPEC, log=False)
    times = {file: file.stat().st_mtime_ns for file in Path(two.raw_dir).iterdir()}
    again = SyntheticArches(tmp_path, 2, faces=2000, seed=3, spec=SPEC, log=False)
    assert {file: file.stat().st_mtime_ns for file in Path(two.raw_dir).iterdir()} == times and len(times) == 4
    assert repr(again) == "SyntheticArches(2)" and [graph.jaw.item() for graph in again] == [0, 1]
    one = SyntheticArches(tmp_path, 1, faces=2000, seed=3, spec=SPEC, log=False)
    assert len(one) == 1 and torch.equal(one[0].x, two[0].x)
    assert (two[0].y > 0).any() and json.loads((Path(two.processed_dir) / "options.json").read_text())["seed"] == 3
    with pytest.raises(ConfigError, match="expected arches of at least 1"):
        SyntheticArches(tmp_path, 0)


class ToothOrGum(T.BaseTransform):
    def forward(self, data: Data) -> Data:
        data.y = (data.y > 0).long()
        return data


class Named(T.BaseTransform):
    def forward(self, data: Data) -> Data:
        data.seen = True
        return data


def test_the_number_of_classes_is_that_of_the_items(root: Path, dataset: ScanFolder, tmp_path: Path) -> None:
    def classes(**given: T.BaseTransform) -> int:
        own = tmp_path if "pre_transform" in given else root
        return ScanFolder(own, root / "raw", spec=SPEC, variants=2, log=False, **given).num_classes

    assert classes(transform=ToothOrGum()) == 2 and classes(pre_transform=ToothOrGum()) == 2
    assert classes(transform=T.Compose([RandomRotate(10), ToothOrGum()])) == 2
    keep = (RandomRotate(10), MirrorArch(p=1.0), RemoveTeeth(), Named(), T.Compose([T.NormalizeFeatures(), Named()]))
    assert {classes(transform=each) for each in keep} == {33}


def test_scans_of_other_places_have_graphs_of_their_own(tmp_path: Path) -> None:
    for seed, folder in enumerate(("A", "B")):
        mesh = synthetic_arch(seed, jaw=0, faces=2000)
        write_stl(tmp_path / folder / "0000_upper.stl", mesh.vertices, mesh.faces)
    one, other = (ScanFolder(tmp_path / "cache", scans=tmp_path / name, spec=SPEC, log=False) for name in "AB")
    assert one.processed_dir != other.processed_dir and not torch.equal(one[0].pos, other[0].pos)
    again = ScanFolder(tmp_path / "cache", scans=[tmp_path / "A"], spec=SPEC, log=False)
    assert again.processed_dir == one.processed_dir


def test_a_relative_root_stays_where_it_was(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(root / "raw", tmp_path / "set" / "raw")
    monkeypatch.chdir(tmp_path)
    dataset = ScanFolder("set", spec=SPEC, log=False)
    monkeypatch.chdir(tmp_path / "set")
    assert dataset[0].scan_id == "0000_lower"


def test_a_file_is_no_folder_of_graphs(root: Path) -> None:
    with pytest.raises(DataError, match="give a scan as scans="):
        ScanFolder(root / "raw" / "0000_lower.stl", spec=SPEC, log=False)
