"""The benchmarks run, with tiny sizes, and their pages can be rendered from what they write."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
MODULES = sorted(file.stem for file in BENCHMARKS.glob("*.py"))
SCRIPTS = ("backbone", "edge_conv", "info_nce", "knn", "predict", "prepare", "pretrain_step")

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")


@pytest.fixture(scope="module")
def load() -> Iterator:
    """Imports a script as it imports its neighbours when it is run; takes their names away again."""
    sys.path.insert(0, str(BENCHMARKS))

    def load(name: str) -> ModuleType:
        module = importlib.import_module(name)
        assert module.__file__ == str(BENCHMARKS / f"{name}.py")
        return module

    yield load
    sys.path.remove(str(BENCHMARKS))
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_writes_its_measurements(script: str, load, results: Path, capsys) -> None:
    out = results / f"{script}.json"
    load(script).main(["--quick", "--out", str(out)])
    content = json.loads(out.read_text())
    assert content["quick"] and content["facts"].keys() == {"date", "versions", "hardware", "git"}
    assert min(content["machine"].values()) > 1e6
    ways = [way for part in content["sections"] for case in part["cases"] for way in case["ways"].values()]
    assert ways
    for way in ways:
        assert 0 < way["seconds"]["min"] <= way["seconds"]["median"] <= way["seconds"]["max"]
        assert way["peak_bytes"] >= 0
    assert all(part["note"] and part["title"] for part in content["sections"])
    assert " s (" in capsys.readouterr().out
    page = load("render_speed").speed_page(results, load("render").facts_line)
    assert f"## `{script}`" in page and content["question"] in page
    assert all(part["title"] in page for part in content["sections"])


def test_page_says_what_is_missing(load, tmp_path: Path) -> None:
    page = load("render_speed").speed_page(tmp_path, str)
    assert page.count("**CPU.** Not yet measured.") == 7 and page.count("**CUDA.** Not yet measured.") == 6


def test_page_is_up_to_date(load) -> None:
    stored = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    page = load("render_speed").speed_page(BENCHMARKS / "results", load("render").facts_line)
    assert stored == page, "benchmarks/README.md is out of date: run `python benchmarks/render.py`"


def test_limit_is_the_slower_of_bytes_and_operations(load) -> None:
    limit, machine = load("render_speed").limit_of, {"copy_bytes_per_s": 10.0, "matmul_flop_per_s": 100.0}
    assert limit({"bytes": 20, "flop": 100}, machine) == 2
    assert limit({"bytes": 20, "flop": 500}, machine) == 5
    assert limit({"bytes": 0, "flop": 0}, machine) is None


def test_quick_figures_never_replace_real_ones(load, capsys) -> None:
    with pytest.raises(SystemExit):
        load("knn").main(["--quick"])
    assert "--out" in capsys.readouterr().err


def test_peak_memory_of_a_call(load) -> None:
    import torch

    peak = load("common").peak_extra(lambda: torch.ones(25_000_000).sum(), "cpu")
    assert 95e6 < peak < 130e6  # 100 MB of float32; the kernel counts pages in batches


def test_plain_paper_net_is_the_same_net(load) -> None:
    import torch

    from toothgraph.graph import GraphSpec
    from toothgraph.nn import PaperBackbone

    backbone, data = load("backbone"), load("surfaces").graph(300, GraphSpec(k=0, spacings=()))
    torch.manual_seed(0)
    data.x = data.x.double()
    net = PaperBackbone(k=8).double()
    expected = net(data)
    torch.testing.assert_close(backbone.PlainPaper(net)(data), expected, rtol=1e-6, atol=1e-8)


def test_subdivided_surface_is_the_same_surface(load) -> None:
    surfaces = load("surfaces")
    coarse = surfaces.arch(500)
    fine = surfaces.subdivide(coarse)
    assert len(fine.faces) == 4 * len(coarse.faces)
    np.testing.assert_allclose(fine.areas.reshape(-1, 4).sum(axis=1), coarse.areas)
    np.testing.assert_allclose(fine.normals.reshape(-1, 4, 3), coarse.normals[:, None].repeat(4, axis=1), atol=1e-9)
    edges = len(np.unique(np.sort(coarse.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0))
    assert len(fine.vertices) == len(coarse.vertices) + edges
