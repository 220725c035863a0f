"""Prepared scans."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from toothgraph.data import Scan, ViewPairs
from toothgraph.data.prepared.build import Done, PrepareOptions, done_before, prepare
from toothgraph.data.prepared.file import Header, StoredGraphs, load_scan, read_header, save_scan
from toothgraph.data.prepared.folder import quarantine, read_options, read_prepared, remove_leftovers, scan_file
from toothgraph.data.prepared.layout import is_prepared
from toothgraph.data.prepared.sources import Source, find_sources
from toothgraph.data.scan import without_labels
from toothgraph.data.training_set import read_scans
from toothgraph.errors import ConfigError, DataError
from toothgraph.graph.spec import GraphSpec
from toothgraph.scan_names import long_names
from toothgraph.transforms import ViewOptions

HEADER = Header("a_U", "a", "a_U.stl", "0" * 64, "1" * 16, 0, 2000, True, 2, "0")


def content(folder: Path) -> dict[str, bytes]:
    """All files that are not hidden."""
    files = (file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def assert_same(stored: Scan, scan: Scan) -> None:
    assert len(stored.variants) == len(scan.variants)
    for number, graph in enumerate(scan.variants):
        again = stored.variants[number]
        assert set(again.keys()) == set(graph.keys())
        for name, value in graph.items():
            if isinstance(value, torch.Tensor):
                assert again[name].dtype == value.dtype and torch.equal(again[name], value), name
            else:
                assert again[name] == value


def test_a_scan_reads_back_equal_a_tessellation_at_a_time(scans: list[Scan], tmp_path: Path) -> None:
    scan = scans[0]
    header = Header(scan.scan_id, "p", "x.stl", "0" * 64, "1" * 16, 0, 2000, True, len(scan.variants), "0")
    save_scan(tmp_path / "x.safetensors", scan, header)
    stored = load_scan(tmp_path / "x.safetensors")
    assert_same(stored, scan)
    assert (stored.scan_id, stored.patient, stored.labelled) == (scan.scan_id, "p", True)
    part = stored.variants[1:]
    assert isinstance(part, StoredGraphs) and len(part) == len(scan.variants) - 1
    assert torch.equal(part[0].x, scan.variants[1].x)
    bare = without_labels(stored)
    assert "y" not in bare.variants[0] and bare.variants[0].jaw.tolist() == [-1] and bare.patient == "p"
    pairs = [ViewPairs([each], 0, ViewOptions(radius=1.5))[3, 0] for each in (stored, scan)]
    assert torch.equal(pairs[0][0].x, pairs[1][0].x) and torch.equal(pairs[0][1].match_index, pairs[1][1].match_index)


@pytest.mark.parametrize("damage", ["cut", "other", "header", "type", "empty"])
def test_what_is_no_prepared_scan_is_refused(damage: str, scans: list[Scan], tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    save_scan(file, scans[0], HEADER)
    whole = file.read_bytes()
    damaged = {
        "cut": whole[: len(whole) // 2],
        "other": b"no scan at all",
        "header": whole.replace(b"toothgraph-scan-2", b"toothgraph-scan-1"),
        "type": whole.replace(b'faces\\": 2000', b'faces\\": true'),
        "empty": b"",
    }[damage]
    assert damaged != whole
    file.write_bytes(damaged)
    with pytest.raises(DataError, match=r"x\.safetensors: not a scan prepared"):
        read_header(file)


def test_a_scan_cut_short_later_is_named(scans: list[Scan], tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    save_scan(file, scans[0], HEADER)
    stored = load_scan(file)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DataError, match="prepare it again"):
        stored.variants[0]


def test_long_names() -> None:
    files = [Path(name) for name in ("/d/a/x.stl", "/d/b/x.stl", "/d/b/y.stl", "/d/c/b/x.stl")]
    assert long_names(files) == ["a_x", "b_x", "y", "c_b_x"]
    assert long_names([Path("../b/x.stl"), Path("../c/b/x.stl")]) == ["b_x", "c_b_x"]
    both = [Path("a/b/1_U.stl"), Path("a/b/1_L.stl"), Path("c/b/1_U.stl")]
    assert long_names(both) == ["a_b_1_U", "a_b_1_L", "c_b_1_U"]


def test_lists_name_patients_and_jaws(arches: Path, tmp_path: Path) -> None:
    shutil.copy(arches / "0000_upper.stl", tmp_path / "x.stl")
    listing = tmp_path / "set.csv"
    listing.write_text("path,scan_id,patient,jaw\nx.stl,first,ann,upper\nx.stl,,bob,\nx.stl,third,,unknown\n")
    found = find_sources([listing])
    path = tmp_path / "x.stl"
    assert found == [Source(path, "first", "ann", 0), Source(path, "x", "bob"), Source(path, "third", "third")]
    assert found[0].digest() != found[1].digest()
    for name in ("../x", "a/b", "", ".hidden", "a\x00b", "x" * 300):
        listing.write_text(f"path,scan_id\nx.stl,{name or '/'}\n")
        with pytest.raises(DataError, match="expected a scan name without"):
            find_sources([listing])
    for text, said in (
        ("path,patient\n\n,ann\n", "line 3: expected a file in the column `path`, found none"),
        ("path,jaw\nx.stl,left\n", "expected a jaw of"),
        ("path,jaw\n\n , \n", "found no row"), ("", "found no row"),
    ):  # fmt: skip
        listing.write_text(text)
        with pytest.raises(DataError, match=said):
            find_sources([listing])


def test_listed_scans_of_one_name_get_their_folders_in_front(tmp_path: Path) -> None:
    files = ["anna/upper.stl", "anna/lower.stl", "ben/upper.stl", "ben/upper.stl", "cleo.stl", "dora/upper.stl"]
    for name, some in (("a.csv", files[:4]), ("b.csv", files[4:])):
        (tmp_path / name).write_text(
            "path,scan_id\n" + "".join(f"{file},{'d' * file.startswith('dora')}\n" for file in some)
        )
    found = find_sources([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert [source.scan_id for source in found] == ["anna_upper", "anna_lower", "ben_upper", "ben_upper", "cleo", "d"]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("path;patient;jaw\nanna/upper.stl;Müller, A;upper\n;;\n", "utf-8-sig"),
        ("sep=;\r\npath;patient;jaw\r\nanna/upper.stl;Müller, A;upper\r\n", "utf-8"),
        ("path\tpatient\tjaw\nanna/upper.stl\tMüller, A\tUpper\n", "utf-16"),
        ('path,patient,jaw\n\n,,\nanna\\upper.stl,"Müller, A",upper\n', "utf-8"),
    ],
)
def test_lists_as_other_programs_write_them(text: str, encoding: str, tmp_path: Path) -> None:
    (tmp_path / "anna").mkdir()
    (tmp_path / "anna" / "upper.stl").touch()
    (tmp_path / "set.csv").write_bytes(text.encode(encoding))
    assert find_sources([tmp_path / "set.csv"]) == [Source(tmp_path / "anna" / "upper.stl", "upper", "Müller, A", 0)]


def test_a_list_in_another_encoding_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "set.csv").write_bytes("path,patient\nx.stl,Müller\n".encode("latin-1"))
    with pytest.raises(DataError, match="CSV UTF-8"):
        find_sources([tmp_path / "set.csv"])


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    for name in ("../x", "/etc/x", "a/../../x", "..", ""):
        with pytest.raises(DataError, match="no file can have the name"):
            scan_file(tmp_path, name)
    assert scan_file(tmp_path, "a.b c") == tmp_path / "scans" / "a.b c.safetensors"


def test_labels_beside_a_scan_count_as_its_content(arches: Path, tmp_path: Path) -> None:
    for file in (arches / "0000_upper.stl", arches / "0000_upper.txt"):
        shutil.copy(file, tmp_path)
    source = Source(tmp_path / "0000_upper.stl", "a", "a")
    before = source.digest()
    (tmp_path / "0000_upper.txt").write_text((tmp_path / "0000_upper.txt").read_text().replace("0", "11", 1))
    assert source.digest() != before
    assert Source(source.path, "a", "b").digest() != source.digest()


@pytest.fixture(scope="module")
def options(small_spec: GraphSpec) -> PrepareOptions:
    return PrepareOptions(small_spec, variants=2, bases=1)


@pytest.fixture(scope="module")
def tree(arches: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six good scans, and three that are none."""
    tree = tmp_path_factory.mktemp("tree")
    shutil.copytree(arches, tree / "good")
    whole = (arches / "0000_upper.stl").read_bytes()
    (tree / "cut.stl").write_bytes(whole[:5000])
    (tree / "empty.ply").write_bytes(b"")
    shutil.copy(arches / "0001_upper.stl", tree / "badlabels.stl")
    (tree / "badlabels.txt").write_text("1 2 3")
    return tree


@pytest.fixture(scope="module")
def prepared(tree: Path, options: PrepareOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "new"
    done = prepare(find_sources([tree]), out, options, workers=2)
    assert sorted(one.state for one in done) == ["bad"] * 3 + ["made"] * 6
    return out


def test_the_bad_are_named_and_the_others_prepared(tree: Path, prepared: Path, options: PrepareOptions) -> None:
    bad = {row["scan_id"]: row["reason"] for row in rows(prepared / "quarantine.csv")}
    assert set(bad) == {"cut", "empty", "badlabels"}
    assert "the header promises" in bad["cut"] and "is empty" in bad["empty"] and "expected 2" in bad["badlabels"]
    manifest = rows(prepared / "manifest.csv")
    assert [row["scan_id"] for row in manifest] == sorted(
        f"{n:04d}_{jaw}" for n in range(3) for jaw in ("lower", "upper")
    )
    for row in manifest:
        assert row["source"] == str(tree / "good" / f"{row['scan_id']}.stl") and len(row["sha256"]) == 64
        assert (row["jaw"], row["labelled"], row["tessellations"]) == (str(int("lower" in row["scan_id"])), "True", "2")
        assert 1900 < int(row["faces"]) < 2100 and row["patient"] == row["scan_id"][:4]
    raw = read_scans([tree / "good"], options.graph, variants=2, bases=1, seed=0)
    stored = read_prepared(prepared, options.graph)
    for scan, again in zip(raw, stored, strict=True):
        assert_same(again, scan)
    assert is_prepared(prepared) and not is_prepared(tree)


def test_what_is_done_is_not_done_twice(tree: Path, prepared: Path, options: PrepareOptions, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(prepared, again)
    before = {file: file.stat().st_mtime_ns for file in again.rglob("*.safetensors")}
    seen: list[Done] = []
    prepare(find_sources([tree]), again, options, on_done=seen.append)
    assert sorted(one.state for one in seen) == ["bad"] * 3 + ["kept"] * 6
    assert {file: file.stat().st_mtime_ns for file in again.rglob("*.safetensors")} == before
    assert content(again) == content(prepared)
    with pytest.raises(ConfigError, match="got another variants"):
        prepare([], again, PrepareOptions(options.graph, variants=3, bases=1))
    assert read_options(again)["variants"] == 2


def test_parts_and_interruptions_come_to_the_same(
    tree: Path, prepared: Path, options: PrepareOptions, tmp_path: Path
) -> None:
    sources = find_sources([tree])

    class Interrupted(Exception):
        pass

    def stop(done: Done) -> None:
        raise Interrupted

    out = tmp_path / "parts"
    with pytest.raises(Interrupted):
        prepare(sources, out, options, on_done=stop)
    assert not is_prepared(out)
    (out / "scans" / "0001_lower.safetensors").write_bytes(b"cut short by a full disk")
    (out / "scans" / ".0001_lower-abc.safetensors").write_bytes(b"left by a killed process")
    (out / "quarantine" / "cut.json").write_text('{"scan_')
    prepare(sources, out, options, shard=(2, 2))
    assert 0 < len(rows(out / "manifest.csv")) + len(rows(out / "quarantine.csv")) < 9  # as yet
    prepare(sources, out, options, shard=(1, 2))
    assert content(out) == content(prepared)


def test_leftovers_go_when_nobody_can_be_writing_them(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    old, new, scan = (tmp_path / "scans" / name for name in (".a.safetensors", ".b.safetensors", "c.safetensors"))
    for file in (old, new, scan):
        file.write_bytes(b"x")
    for file in (old, scan):
        os.utime(file, (time.time() - 1000,) * 2)
    remove_leftovers(tmp_path, 500)
    assert not old.exists() and new.exists() and scan.exists()


def test_a_leftover_that_another_run_finishes_meanwhile_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "scans").mkdir()
    listed = tmp_path / "scans" / ".a.safetensors"
    monkeypatch.setattr(Path, "glob", lambda *_: iter([listed]))  # renamed since it was listed
    remove_leftovers(tmp_path, 500)


BEGIN = """
import sys, time
from pathlib import Path
from toothgraph.data.prepared import folder
from toothgraph.errors import ConfigError
write = folder.write_text
folder.write_text = lambda *what: (time.sleep(0.5), write(*what))  # long enough for the other to look
print("ready", flush=True)
sys.stdin.readline()
try:
    folder.open_folder(Path(sys.argv[1]), {"seed": int(sys.argv[2])})
    print("begun")
except ConfigError:
    print("refused")
"""


def test_of_two_runs_with_other_options_one_begins_the_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BEGIN, str(tmp_path / "out")]
    pipe = subprocess.PIPE
    both = [subprocess.Popen([*command, seed], stdin=pipe, stdout=pipe, text=True) for seed in "01"]
    assert [run.stdout.readline() for run in both] == ["ready\n"] * 2
    for run in both:
        run.stdin.write("go\n")
        run.stdin.flush()
    assert sorted(run.communicate()[0] for run in both) == ["begun\n", "refused\n"]


def test_a_scan_that_costs_too_much_is_no_end(arches: Path, options: PrepareOptions, tmp_path: Path) -> None:
    """Its process ends, and the others are prepared all the same."""
    from dataclasses import replace

    fine = Source(arches / "0000_upper.stl", "fine", "a")
    pipe = tmp_path / "pipe.stl"
    os.mkfifo(pipe)  # reading it never ends
    large = Source(arches / "0000_lower.stl", "large", "c")
    done = prepare([Source(pipe, "pipe", "b"), fine], tmp_path / "a", replace(options, seconds=8))
    assert {one.source.scan_id: one.state for one in done} == {"pipe": "bad", "fine": "made"}
    done = prepare([large], tmp_path / "b", replace(options, megabytes=0.05))
    assert "more than the limit of 0.05 MB; use a larger --megabytes" in done[0].reason
    done = prepare([large], tmp_path / "c", replace(options, memory=0.001))
    assert done[0].state == "bad" and "--memory" in done[0].reason


def test_scans_of_one_name(arches: Path, options: PrepareOptions, tmp_path: Path) -> None:
    for suffix in (".stl", ".STL"):
        shutil.copy(arches / "0000_upper.stl", tmp_path / f"x{suffix}")
    done = prepare(find_sources([tmp_path]), tmp_path / "out", options)
    assert sorted(one.state for one in done) == ["bad", "made"]
    (bad,) = rows(tmp_path / "out" / "quarantine.csv")
    assert "has the same name as" in bad["reason"]


@pytest.mark.parametrize("name", ["b\rc", "p" * 246])
def test_a_name_that_no_list_or_file_can_have_stops_nothing(
    name: str, arches: Path, options: PrepareOptions, tmp_path: Path
) -> None:
    for stem in ("a", name):
        shutil.copy(arches / "0000_upper.stl", tmp_path / f"{stem}.stl")
    for state in ("made", "kept"):
        done = prepare(find_sources([tmp_path]), tmp_path / "out", options, workers=0)
        assert [one.state for one in done] in ([state, "bad"], ["bad", state])
    (bad,) = rows(tmp_path / "out" / "quarantine.csv")
    assert bad["reason"] and [scan.scan_id for scan in read_prepared(tmp_path / "out")] == ["a"]


def test_a_manifest_that_is_none(prepared: Path, small_spec: GraphSpec, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(prepared, copy)
    with pytest.raises(ConfigError, match=r"its graphs have .*, the run needs .*prepare the scans again"):
        read_prepared(copy, GraphSpec())
    text = (copy / "manifest.csv").read_text()
    for damaged in (
        text.replace("0000_lower", "../../x", 1),
        text.replace("jaw", "chin"),
        text.replace("True", "Perhaps"),
    ):
        (copy / "manifest.csv").write_text(damaged)
        with pytest.raises(DataError):
            read_prepared(copy, small_spec)
    (copy / "options.json").write_text(json.dumps([1]))
    with pytest.raises(DataError, match="is it a folder of `toothgraph prepare`"):
        read_options(copy)


@pytest.mark.parametrize(("option", "wrong"), [
    ("variants", 0), ("variants", 1.5), ("bases", -1), ("seed", -1), ("seconds", 0), ("megabytes", float("nan")),
    ("memory", 0),
])  # fmt: skip
def test_options_out_of_range_are_refused_at_once(option: str, wrong: float, small_spec: GraphSpec) -> None:
    with pytest.raises(ConfigError, match=f"expected {option} "):
        PrepareOptions(**{"graph": small_spec, "variants": 2, "bases": 1, option: wrong})


@pytest.mark.parametrize("shard", [(3, 2), (0, 2), (1, 0)])
def test_a_part_that_is_not_there(shard: tuple[int, int], options: PrepareOptions, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="of shard"):
        prepare([], tmp_path / "out", options, shard=shard)
    assert not (tmp_path / "out").exists()


def test_indices_take_the_room_they_need(scans: list[Scan], tmp_path: Path) -> None:
    save_scan(tmp_path / "x.safetensors", scans[0], HEADER)
    size = (tmp_path / "x.safetensors").stat().st_size
    in_memory = sum(
        value.numel() * value.element_size()
        for graph in scans[0].variants
        for value in graph.to_dict().values()
        if isinstance(value, torch.Tensor)
    )
    assert size < 0.6 * in_memory


@pytest.mark.parametrize("field", [
    torch.tensor([1_700_000_000_000, 3_000_000_000, -5]),
    torch.tensor([1, 2, 255], dtype=torch.uint8),
    torch.tensor([1, 70_000, -3], dtype=torch.int32),
    torch.tensor([1, 2], dtype=torch.uint16),
    torch.tensor(5),
    torch.tensor([1.125], dtype=torch.float64),
    torch.tensor([True, False]),
])  # fmt: skip
def test_fields_of_ones_own_come_back_as_they_were(field: torch.Tensor, scans: list[Scan], tmp_path: Path) -> None:
    graphs = [graph.clone() for graph in scans[0].variants]
    for graph in graphs:
        graph.own = graph.shared = field  # of one memory, as a transform may leave them
    save_scan(tmp_path / "x.safetensors", Scan("a_U", graphs), HEADER)
    stored = load_scan(tmp_path / "x.safetensors")
    for name in ("own", "shared"):
        assert stored.variants[1][name].dtype == field.dtype and torch.equal(stored.variants[1][name], field)
    assert stored.variants[1].y.dtype == torch.int64 and stored.variants[1].neighbor_index.dtype == torch.int32


@pytest.mark.parametrize(
    ("field", "kind"), [(torch.zeros(3, dtype=torch.complex64), "complex"), (torch.eye(3).to_sparse(), "sparse")]
)
def test_fields_that_are_not_stored_are_named(
    field: torch.Tensor, kind: str, scans: list[Scan], tmp_path: Path
) -> None:
    graph = scans[0].variants[0].clone()
    graph.own = field
    with pytest.raises(DataError, match=f"a_U.stl: expected own of its graph as a dense tensor .* got a {kind} one"):
        save_scan(tmp_path / "x.safetensors", Scan("a_U", [graph]), HEADER)


def test_a_file_that_may_not_be_read_is_known_until_it_may(tmp_path, monkeypatch):
    source = Source(tmp_path / "a.stl", "a", "a")
    source.path.write_bytes(b"solid")
    digest = Source.digest

    def refused(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Source, "digest", refused)
    (tmp_path / "out" / "quarantine").mkdir(parents=True)
    quarantine(tmp_path / "out", source, "options", "may not be read")
    before = done_before(tmp_path / "out", source, "options")
    assert before is not None and (before.state, before.reason) == ("bad", "may not be read")
    assert done_before(tmp_path / "out", source, "others") is None
    monkeypatch.setattr(Source, "digest", digest)
    assert done_before(tmp_path / "out", source, "options") is None
