"""The speed benchmarks run, with tiny sizes, and their page can be rendered from what they write."""

from __future__ import annotations

import importlib
import io
import json
import os
import shutil
import subprocess
import sys
from argparse import Namespace
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from benchmarks.options import facts_of_children
from benchmarks.pages.speed import CPU_ONLY, beside_table, limit_of, section_table, speed_page
from benchmarks.pages.speed import SCRIPTS as PAGE_SCRIPTS
from benchmarks.paths import RESULTS, ROOT
from benchmarks.speed import archive, backbone, beside, edge_conv, gpu, harness, knn, predict, prepare, surfaces
from toothgraph.errors import ConfigError
from toothgraph.graph import GraphSpec
from toothgraph.io.formats.stl import write_stl
from toothgraph.model import PaperBackbone
from toothgraph.nn.kernels import backend

SCRIPTS = (
    "backbone",
    "edge_conv",
    "info_nce",
    "knn",
    "mlp_edge_conv",
    "predict",
    "prepare",
    "pretrain_step",
)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MACHINE = {"copy_bytes_per_s": 1e9, "matmul_flop_per_s": 1e9}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # inside the compiler
@pytest.mark.parametrize("script", SCRIPTS)
def test_script_writes_its_measurements(script: str, results: Path, capsys: pytest.CaptureFixture) -> None:
    out = results / f"{script}.json"
    importlib.import_module(f"benchmarks.speed.{script}").main(["--quick", "--out", str(out)])
    content = json.loads(out.read_text())
    assert content["quick"] and content["facts"].keys() == {"date", "versions", "hardware", "git"}
    assert min(content["machine"].values()) > 1e6
    assert content["float32"] == {"matmul": "highest", "cudnn_tf32": False}
    assert content["backend"] == backend.choose_backend(torch.ones(1, 64))
    ways = [way for part in content["sections"] for case in part["cases"] for way in case["ways"].values()]
    assert ways
    for way in ways:
        assert 0 < way["seconds"]["min"] <= way["seconds"]["median"] <= way["seconds"]["max"]
        assert way["peak_bytes"] >= 0
    assert all(part["note"] and part["title"] for part in content["sections"])
    assert " s (" in capsys.readouterr().out
    page = speed_page(results)
    assert f"its own: `{content['backend']}`." in " ".join(page.split())
    assert f"## `{script}`" in page and content["question"] in page
    assert all(part["title"] in page for part in content["sections"])


def test_page_says_what_is_missing(tmp_path: Path) -> None:
    page = speed_page(tmp_path)
    assert page.count("**CPU.** Not yet measured.") == 13 and page.count("**CUDA.** Not yet measured.") == 7


def test_limit_is_the_slower_of_bytes_and_operations() -> None:
    machine = {"copy_bytes_per_s": 10.0, "matmul_flop_per_s": 100.0}
    assert limit_of({"bytes": 20, "flop": 100}, machine) == 2
    assert limit_of({"bytes": 20, "flop": 500}, machine) == 5
    assert limit_of({"bytes": 0, "flop": 0}, machine) is None


@pytest.mark.parametrize("variable", [None, "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"])
def test_float32_has_no_short_cuts(variable: str | None, tmp_path: Path) -> None:
    """Whatever the environment asks for, or what ran before."""
    script = (
        "import torch; from benchmarks.speed import harness\n"
        "if {set_before}: torch.set_float32_matmul_precision('high')\n"
        "assert torch.get_float32_matmul_precision() == 'high'\n"
        "options = harness.start(harness.arguments('words'), ['--quick', '--out', {out!r}])\n"
        "assert not torch.backends.cuda.matmul.allow_tf32 and not torch.backends.cudnn.allow_tf32\n"
        "harness.write(options, 'words.py', 'why?', [])\n"
    ).format(set_before=variable is None, out=str(tmp_path / "out.json"))
    env = {**os.environ, **({variable: "1"} if variable else {})}
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], cwd=ROOT, env=env, check=True)
    assert json.loads((tmp_path / "out.json").read_text())["float32"] == {"matmul": "highest", "cudnn_tf32": False}


def test_quick_figures_never_replace_real_ones(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        knn.main(["--quick"])
    assert "--out" in capsys.readouterr().err


def test_peak_memory_of_a_call() -> None:
    peak = harness.peak_extra(lambda: torch.ones(25_000_000).sum(), "cpu")
    assert 95e6 < peak < 130e6  # 100 MB of float32; the kernel counts pages in batches


def test_peak_memory_is_that_of_a_later_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the first call took, what it sets up does not count; the gradients of a call do."""
    monkeypatch.setattr(harness.time, "perf_counter", count(step=10).__next__)  # every call takes ten seconds
    kept: list[torch.Tensor] = []

    def sets_up() -> None:
        if not kept:
            kept.append(torch.ones(25_000_000))

    leaf = torch.ones(25_000_000, requires_grad=True)
    ways = {"sets up": sets_up, "backward": harness.forward_backward(lambda: leaf.sum(), leaf)}
    found = harness.compare(ways, Namespace(device="cpu", quick=True))
    assert found["sets up"]["peak_bytes"] < 10e6
    assert 95e6 < found["backward"]["peak_bytes"] < 130e6  # the gradient: 100 MB
    assert leaf.grad is None


@pytest.mark.parametrize("fails", [1, 3], ids=["where memory is measured", "in a timed round"])
@pytest.mark.parametrize("way", ["first", "second"])
@pytest.mark.parametrize(
    ("error", "left_out"),
    [
        (torch.cuda.OutOfMemoryError("out of memory"), {"left_out": "does not fit", "reason": "out of memory"}),
        (harness.LeftOut("not compiled", "no\ncompiler"), {"left_out": "not compiled", "reason": "no compiler"}),
    ],
    ids=["memory", "compiler"],
)
def test_what_cannot_be_taken_is_left_out(fails: int, way: str, error: Exception, left_out: dict[str, str]) -> None:
    calls = count(1)

    def failing() -> None:
        if next(calls) >= fails:
            raise error

    ways: dict[str, harness.Way] = {name: lambda: None for name in ("first", "second", "third")}
    found = harness.compare(ways | {way: failing}, Namespace(device="cpu", quick=True))
    assert found[way] == left_out and ("ratio" in found["third"]) == (way == "second")
    page = section_table([harness.case("words", {"N": 7}, found, per=7)], MACHINE)
    head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines())
    assert all(len(row) == len(head) for row in rows)
    cells = {name: (time_, ratio) for _, name, time_, ratio, *_ in rows}
    assert cells.pop(way) == (left_out["left_out"], "")
    assert [ratio == "1" for _, ratio in cells.values()] == [name == "first" for name in cells]
    assert (cells["third"][1] == "–") == (way == "first")


def test_other_failures_of_a_way_are_told() -> None:
    with pytest.raises(ZeroDivisionError):
        harness.compare({"wrong": lambda: 1 / 0}, Namespace(device="cpu", quick=True))


def test_a_compiler_that_fails_takes_only_its_own_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*args: object, **keywords: object) -> None:
        raise RuntimeError("no working C++ compiler")

    monkeypatch.setattr(torch, "compile", lambda call, backend: no_compiler)
    for case in edge_conv.against_compilers((300, 3, 8), Namespace(device="cpu", quick=True)):
        for name, way in case["ways"].items():
            reason = "RuntimeError: no working C++ compiler" if name.endswith(", compiled") else None
            assert way.get("reason") == reason and ("seconds" in way) == (reason is None)


def test_triton_that_does_not_run_is_no_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("no C compiler")

    for name, value in {"_HAS_TRITON": True, "_INTERPRETED": True, "_triton": backend._Triton()}.items():
        monkeypatch.setattr(backend, name, value)
    monkeypatch.setattr(backend, "triton_reduce", broken)
    found = edge_conv.usable_backends(torch.ones(4, 8))
    assert "native" in found and "triton" not in found


def test_a_prediction_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left_out = {"left_out": "does not fit", "reason": "out of memory"}
    monkeypatch.setattr(predict, "compare", lambda ways, *_: dict.fromkeys(ways, left_out))
    predict.main(["--quick", "--out", str(tmp_path / "predict.json")])
    assert speed_page(tmp_path).count("| does not fit |") == 6


def test_plain_paper_net_is_the_same_net() -> None:
    data = surfaces.graph(300, GraphSpec(k=0, spacings=()))
    torch.manual_seed(0)
    data.x = data.x.double()
    net = PaperBackbone(k=8).double()
    expected = net(data)
    torch.testing.assert_close(backbone.PlainPaper(net)(data), expected, rtol=1e-6, atol=1e-8)


def test_subdivided_surface_is_the_same_surface() -> None:
    coarse = surfaces.arch(500)
    fine = surfaces.subdivide(coarse)
    assert len(fine.faces) == 4 * len(coarse.faces)
    np.testing.assert_allclose(fine.areas.reshape(-1, 4).sum(axis=1), coarse.areas)
    np.testing.assert_allclose(fine.normals.reshape(-1, 4, 3), coarse.normals[:, None].repeat(4, axis=1), atol=1e-9)
    edges = len(np.unique(np.sort(coarse.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0))
    assert len(fine.vertices) == len(coarse.vertices) + edges


@pytest.mark.slow
def test_threads_and_another_checkout(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.speed import threads
    from toothgraph.synthetic import write_synthetic

    threads.main(["--quick", "--out", str(results / "threads.json")])
    rows = json.loads((results / "threads.json").read_text())["rows"]
    assert [row["found"][0]["threads"] for row in rows][1] == 1
    assert "threads" not in json.loads((results / "threads.json").read_text())["facts"]["hardware"]
    (scan, *_) = write_synthetic(tmp_path, 1, 3000, 0)
    root = Path(__file__).resolve().parents[2]
    beside.main(["--quick", "--out", str(results / "beside.json"), str(root), str(scan)])
    rows = json.loads((results / "beside.json").read_text())["rows"]
    assert all(row["same result"] and row["ratio"]["min"] > 0 for row in rows)
    assert [row["waiting threads"] for row in rows[:: len(beside.TASKS)]] == list(beside.WAITING)
    page = speed_page(results)
    assert "| one thread | 1 |" in page and f"| {scan.name} |" in page


@pytest.mark.slow
def test_another_loss_is_another_training_step(tmp_path: Path) -> None:
    """The labels of a prediction stay the same."""
    from toothgraph.synthetic import write_synthetic

    shutil.copytree(ROOT / "toothgraph", tmp_path / "toothgraph", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "toothgraph" / "nn" / "segmentation.py").open("a", encoding="utf-8") as file:
        file.write("\n\n_before = segmentation_loss\n\n\ndef segmentation_loss(*args, **keywords):\n")
        file.write("    return 1.01 * _before(*args, **keywords)\n")
    scan = write_synthetic(tmp_path, 1, 3000, 0)[0]
    ours, theirs = (beside.Worker(checkout, 1, {}) for checkout in (ROOT, tmp_path))
    rows = {task: beside.rounds(ours, theirs, task, scan, 1) for task in ("predict", "training step")}
    ours.end()
    theirs.end()
    assert rows["predict"]["same result"] and not rows["training step"]["same result"]


class Pretended(beside.Worker):
    """A worker without a process; its fourth turn fails."""

    def __init__(self, checkout: Path, threads: int, waiting: dict[str, str]) -> None:
        self.checkout, self.backend = checkout, "compiled" if checkout == ROOT else "native"
        self.turns = iter([(1.0, "a")] * 3)

    def turn(self, task: str, file: Path) -> tuple[float, beside.Made]:
        return next(self.turns)


def test_beside_keeps_its_rows_and_says_that_the_backends_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, given = tmp_path / "beside.json", [str(tmp_path / "other"), "a.stl", "--rounds", "1"]
    monkeypatch.setattr(beside, "Worker", Pretended)
    monkeypatch.setattr(beside, "revision", lambda checkout: "abc")
    with pytest.raises(StopIteration):
        beside.main([*given, "--out", str(out)])
    content = json.loads(out.read_text())
    assert len(content["rows"]) == 1 and content["other"] == "abc"
    assert content["backends"] == {"ours": "compiled", "theirs": "native"}
    assert "other native; for the same backend, build both" in capsys.readouterr().out
    words = " ".join(speed_page(tmp_path).split())
    assert "The other revision: abc. Backend of the layers: `compiled`, and `native` of the other. |" in words


def test_beside_asks_for_the_revision_before_it_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "Worker", lambda *args: pytest.fail("measured before"))
    with pytest.raises(ConfigError, match="expected a git checkout of this repository, found none"):
        beside.main([str(tmp_path), "a.stl", "--out", str(tmp_path / "beside.json")])


def test_other_processes_have_the_memory_of_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.speed import threads

    monkeypatch.delenv("THP_MEM_ALLOC_ENABLE")  # which the harness has set here
    found = []

    def begun(command: list[str], env: dict[str, str], **given: Any) -> Mock:
        found.append(env)
        return Mock(stdout=io.StringIO("native\n"), communicate=lambda: ("{}\n", ""))

    monkeypatch.setattr(subprocess, "Popen", begun)
    assert beside.Worker(ROOT, 1, {}).backend == "native"
    threads.measured("one thread", 1, True)
    assert [env["THP_MEM_ALLOC_ENABLE"] for env in found] == ["1", "1"]


def test_a_middle_of_two_rounds_lies_between_them() -> None:
    ours = Mock(turn=Mock(side_effect=[(9.0, "a"), (1.0, "a"), (3.0, "a")]))
    theirs = Mock(turn=lambda task, file: (1.0, "a"))
    row = beside.rounds(ours, theirs, "a task", Path("a.stl"), 2)
    assert row["ratio"] == {"median": 2.0, "min": 1.0, "max": 3.0} and row["seconds"]["ours"] == 2.0


@pytest.mark.parametrize(
    ("made", "same"),
    [("abc", True), ("abd", False), ([2.0, 3.0], True), ([2.00001, 3.0], True), ([2.1, 3.0], False),
     ([2.0, 3.1], False), ([2.0, float("nan")], False)],
)  # fmt: skip
def test_two_revisions_made_the_same(made: beside.Made, same: bool) -> None:
    ours = Mock(turn=lambda task, file: (1.0, "abc" if isinstance(made, str) else [2.0, 3.0]))
    theirs = Mock(turn=lambda task, file: (2.0, made))
    row = beside.rounds(ours, theirs, "a task", Path("a.stl"), 1)
    assert row["same result"] == same and row["ratio"]["median"] == 0.5


@pytest.mark.parametrize(
    ("row", "cell"),
    [
        ({"task": "predict", "same labels": True}, "yes"),
        ({"task": "predict", "same labels": False}, "no"),
        ({"task": "training step", "same labels": True}, "–"),  # compared nothing
        ({"task": "training step", "same result": True}, "yes"),
        ({"task": "training step", "same result": False}, "no"),
    ],
)
def test_page_says_yes_only_of_what_was_compared(row: dict[str, Any], cell: str) -> None:
    rest = {"waiting threads": "sleep", "file": "a.stl", "seconds": {"ours": 1.0, "theirs": 2.0}}
    ratio = {"ratio": {"median": 0.5, "min": 0.5, "max": 0.5}}
    assert beside_table({"rows": [{**rest, **ratio, **row}]}).splitlines()[-1].endswith(f"| {cell} |")


def test_cost(results: Path) -> None:
    from benchmarks.speed import cost

    cost.main(["--quick", "--out", str(results / "cost.json")])
    found = json.loads((results / "cost.json").read_text())
    assert found["parameters"] > 1e6
    once, one, whole = (found["gflop"][name] for name in ("net", "predict, one tessellation", "predict"))
    assert 1 < once <= one < whole < 30
    assert f"{found['parameters']:,} parameters" in speed_page(results) and f"{once:.2f}" in speed_page(results)


def test_archive_says_the_threads_of_what_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive.threads, "choice", lambda wanted: (3, "cores are free"))
    taken = {(workers, wanted): archive.threads_of(workers, wanted) for workers in (1, 2) for wanted in (None, 4)}
    assert taken == {(1, None): 3, (1, 4): 4, (2, None): 1, (2, 4): 4}


def test_archive_says_why_scans_are_not_labelled(tmp_path: Path) -> None:
    for name in ("a.stl", "b.stl"):
        (tmp_path / name).write_bytes(b"no mesh")
    out = ["--workers", "1", "--out", str(tmp_path / "archive.json")]
    with pytest.raises(ConfigError, match=r"expected 2 labelled scans, found 0 \(exit code \d\): .*[ab]\.stl"):
        archive.main([str(tmp_path), *out])
    with pytest.raises(ConfigError, match=r"expected two scans or more, .*, got 1"):
        archive.main([str(tmp_path / "a.stl"), *out])


def test_features_are_measured_on_a_mesh_that_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, seen = tmp_path / "arch.stl", []
    mesh = surfaces.arch(500)
    write_stl(file, mesh.vertices, mesh.faces)
    monkeypatch.setattr(prepare, "compare", lambda ways, *rest: ways)
    monkeypatch.setattr(prepare, "face_features", lambda given: seen.append("centroids" in vars(given)))
    ways = prepare.stages(file, GraphSpec(faces=200), Namespace())
    ways["features"]()
    ways["features"]()
    assert seen == [False, False]


@pytest.mark.parametrize("script", ["archive", "threads", "install"])
def test_page_says_no_threads_of_a_process_that_only_waits(script: str, tmp_path: Path) -> None:
    before = json.loads((RESULTS / f"{script}.json").read_text())
    before["facts"]["hardware"]["threads"] = 77
    (tmp_path / f"{script}.json").write_text(json.dumps(before))
    page = speed_page(tmp_path)
    assert before["facts"]["git"] in page and "77 threads" not in page
    assert "threads" not in facts_of_children()["hardware"]


@pytest.mark.slow
def test_archive(results: Path) -> None:
    archive.main(["--quick", "--workers", "1", "2", "--out", str(results / "archive.json")])
    rows = json.loads((results / "archive.json").read_text())["rows"]
    assert [(row["workers"], row["scans"]) for row in rows] == [(1, 3), (2, 3)]
    assert all(row["per minute"]["running"] > 0 and row["per minute"]["whole"] > 0 for row in rows)
    assert "| 2 | 1 | 3 |" in speed_page(results)


def test_gpu_writes_rows_as_they_are_found(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """On a machine without a GPU on its CPU, to try it."""
    rows_file = tmp_path / "rows.jsonl"
    gpu.main(["--quick", "--out", str(rows_file), "--only", "edge_conv", "--only", "info_nce"])
    first, *rows = map(json.loads, rows_file.read_text().splitlines())
    measured = [row for row in rows if "ended" not in row]
    for script in ("edge_conv", "info_nce"):
        content = json.loads((tmp_path / f"{script}-{DEVICE}.json").read_text())
        cases = [{"script": script, "section": part["title"], **case}
                 for part in content["sections"] for case in part["cases"]]  # fmt: skip
        assert all(cases.count(case) == 1 and case in measured for case in cases)
        head = {"script": script, **{name: content[name] for name in ("machine", "float32", "backend")}}
        own = [row for row in measured if row["script"] == script]
        assert own[0] == head and len(own) == 1 + len(cases)
    assert len({str((row["section"], row["sizes"])) for row in measured if "sizes" in row}) == len(measured) - 2
    assert first["quick"] and first["facts"]["versions"]
    edge_conv, info_nce = ([row for row in rows if row["script"] == name] for name in ("edge_conv", "info_nce"))
    assert rows == [*edge_conv, *info_nce] and len(edge_conv) > 3 and len(info_nce) == 3
    assert all(own[-1]["ended"].startswith("finished") for own in (edge_conv, info_nce))
    assert any({"PyG EdgeConv, compiled", "three lines, compiled"} < set(row.get("ways", ())) for row in edge_conv)
    assert "edge_conv: finished" in capfd.readouterr().out


def test_gpu_keeps_the_rows_of_earlier_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a folder that is not there yet; each run has its head."""
    commands = []

    def command(script: str, options: Namespace) -> list[str]:
        commands.append(real(script, options))
        return [sys.executable, "-S", "-c", "pass"]

    real = gpu.command
    monkeypatch.setattr(gpu, "command", command)
    out = tmp_path / "new" / "rows.jsonl"
    quick = ["--quick", "--out", str(out), "--threads", str(torch.get_num_threads())]
    gpu.main([*quick, "--only", "knn"])
    gpu.main([*quick, "--only", "info_nce"])
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row.get("script", "head") for row in rows] == ["head", "knn", "head", "info_nce"]
    assert all(" ".join(words).endswith(f"--quick --threads {torch.get_num_threads()}") for words in commands)


def test_gpu_measures_all_that_the_page_shows_of_a_gpu() -> None:
    assert set(gpu.SHARES) == set(PAGE_SCRIPTS) - set(CPU_ONLY) and sum(gpu.SHARES.values()) == pytest.approx(1)


@pytest.mark.parametrize("option", ["--rows", "--out"])
def test_a_file_in_a_new_folder(tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made before anything is measured, which may take long."""
    out = tmp_path / "new" / "file"
    monkeypatch.setattr(harness, "machine", lambda options: out.parent.is_dir() or pytest.fail("measured before"))
    options = harness.start(harness.arguments("words"), ["--quick", "--out", str(tmp_path / "out"), option, str(out)])
    assert out.parent.is_dir() and options.quick
    (tmp_path / "plain").touch()
    with pytest.raises(OSError, match="plain"):
        harness.start(harness.arguments("words"), ["--quick", "--out", str(tmp_path / "plain" / "out")])


def test_gpu_stops_a_script_at_its_share_and_tells_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_file = tmp_path / "rows.jsonl"
    quick = ["--quick", "--out", str(rows_file), "--only", "knn"]
    sleep = "import time; time.sleep(60)"
    monkeypatch.setattr(gpu, "command", lambda *args: [sys.executable, "-c", sleep])
    gpu.main([*quick, "--minutes", "0.005"])
    assert json.loads(rows_file.read_text().splitlines()[-1])["ended"].startswith("stopped after 0 s")
    monkeypatch.setattr(gpu, "command", lambda *args: [sys.executable, "-c", "raise SystemExit(3)"])
    with pytest.raises(ConfigError, match="knn failed"):
        gpu.main(quick)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("module", [gpu, knn], ids=["all", "one"])
def test_without_a_gpu_it_is_refused(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="expected a CUDA device, found none"):
        module.main([] if module is gpu else ["--device", "cuda"])
