from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from toothgraph.anatomy.measures import measure_arch
from toothgraph.errors import ConfigError
from toothgraph.mesh.mesh import Mesh
from toothgraph.report.folder import PageFolder
from toothgraph.report.page import PageScan
from toothgraph.synthetic import Variation, synthetic_arch


@pytest.fixture(scope="module")
def jaws() -> list[PageScan]:
    arches = [synthetic_arch(3, jaw=jaw, faces=3000, variation=Variation.none()) for jaw in (0, 1)]
    return [PageScan(arch, arch.labels) for arch in arches]


def says(page: Path) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)[1])


def names(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_pages_of_the_jaws_of_patients(jaws: list[PageScan], tmp_path: Path) -> None:
    upper, lower = jaws
    pages = PageFolder(tmp_path)
    for name, scan in (("a_L", lower), ("a_U", upper), ("b_U", upper), ("c_L", lower)):
        pages.add(name, scan)
    assert names(tmp_path) == {"a_L.html", "a_U.html", "a.both.html", "b_U.html", "c_L.html"}
    assert pages.write_list() == tmp_path / "index.html"
    both = says(tmp_path / "a.both.html")
    assert both["title"] == "a" and [scan["jaw"] for scan in both["scans"]] == ["upper", "lower"]
    assert [measure["key"] for measure in both["measures"]] == ["bolton_overall", "bolton_anterior"]
    one = says(tmp_path / "a_U.html")
    assert one["title"] == "a_U" and one["measures"] == []
    wanted = [measure.value for measure in measure_arch(upper.mesh).measures]
    assert [measure["value"] for measure in one["scans"][0]["measures"]] == wanted


def test_two_scans_of_one_jaw_are_no_pair(jaws: list[PageScan], tmp_path: Path) -> None:
    upper, _ = jaws
    bare = PageScan(Mesh(upper.mesh.vertices, upper.mesh.faces), np.zeros_like(upper.labels))
    pages = PageFolder(tmp_path)
    for name, scan in (("a_U", upper), ("a_L", upper), ("b_U", upper), ("b_L", bare)):
        pages.add(name, scan)
    assert names(tmp_path) == {"a_U.html", "a_L.html", "b_U.html", "b_L.html"}


def test_a_page_of_both_jaws_does_not_outlive_their_labels(jaws: list[PageScan], tmp_path: Path) -> None:
    upper, lower = jaws
    pages = PageFolder(tmp_path)
    pages.add("a_L", lower)
    pages.add("a_U", upper)
    pages.write_list()
    again = PageFolder(tmp_path)
    assert again.listed == {"a_U": "a", "a_L": "a"}
    again.add("a_U", replace(upper, doubts=["review 11"]))
    assert names(tmp_path) == {"a_L.html", "a_U.html", "index.html", "measures.csv"}


def test_a_scan_may_not_be_called_as_the_list(tmp_path: Path) -> None:
    pages = PageFolder(tmp_path)
    pages.check("a")
    with pytest.raises(ConfigError, match=r"index: index\.html"):
        pages.check("index")


def test_the_other_jaw_of_a_patient_is_loaded_where_its_labels_are_there(jaws: list[PageScan], tmp_path: Path) -> None:
    upper, lower = jaws
    stored = {"a_L": [lower], "b_L": [], "c_L": [lower], "c_L2": [lower]}
    listed = {"a_L": "a", "b_L": "b", "c_L": "c", "c_L2": "c"}
    pages = PageFolder(tmp_path, listed, stored.__getitem__)
    for name in ("a_U", "b_U", "c_U", "d_U"):
        pages.add(name, upper, patient=name[0])
    assert {name for name in names(tmp_path) if "both" in name} == {"a.both.html"}  # of c, it could be either
    assert [scan["jaw"] for scan in says(tmp_path / "a.both.html")["scans"]] == ["upper", "lower"]


def test_scans_of_two_runs_whose_names_tell_no_patient_are_no_pair(jaws: list[PageScan], tmp_path: Path) -> None:
    """They may be of two people; those of one run are of one folder."""
    upper, lower = jaws
    stored = {"upper": [upper], "lower": [lower]}
    PageFolder(tmp_path).add("lower", lower)
    PageFolder(tmp_path, {"lower": "unnamed"}, stored.__getitem__).add("upper", upper)
    assert names(tmp_path) == {"lower.html", "upper.html"}
    pages = PageFolder(tmp_path)
    pages.add("lower", lower)
    pages.add("upper", upper)
    assert "unnamed.both.html" in names(tmp_path)
    PageFolder(tmp_path, {"lower": "unnamed", "upper": "unnamed"}, stored.__getitem__).add("upper", upper)  # corrected
    assert "unnamed.both.html" in names(tmp_path)
