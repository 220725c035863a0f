from __future__ import annotations

import base64
import csv
import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest

from toothgraph.anatomy.doubt import Doubt
from toothgraph.anatomy.measures import measure_arch
from toothgraph.errors import ConfigError
from toothgraph.mesh.mesh import Mesh
from toothgraph.report.folder import PageFolder
from toothgraph.report.index import Entry, check_name, entry_of, pair_page, read_index, read_list, write_index
from toothgraph.report.tooth_table import tooth_table
from toothgraph.synthetic import Variation, synthetic_arch

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)


@pytest.fixture(scope="module")
def jaws() -> list[Entry]:
    """Both jaws of patient ``a``, without doubts."""
    entries = []
    for jaw, name in enumerate(("a_U", "a_L")):
        arch = synthetic_arch(3, jaw=jaw, faces=6000, variation=Variation.none())
        rows = tooth_table(arch, arch.labels, np.full(len(arch.faces), 0.9))
        entries.append(entry_of(name, arch, arch.labels, rows, measure_arch(arch)))
    return entries


def data_of(folder: Path) -> dict:
    return json.loads(re.search(r'id="scans">(.*?)</script>', (folder / "index.html").read_text(), re.DOTALL)[1])


def test_what_is_known_of_a_scan(arch: Mesh) -> None:
    confidence = np.where(arch.labels == 11, 0.5, np.where(arch.labels > 0, 0.9, 0.1))
    rows = tooth_table(arch, arch.labels, confidence)
    entry = entry_of("a", arch, arch.labels, rows, measure_arch(arch), [Doubt.of("", "look at ", [11]), "look at 12"])
    teeth = arch.labels > 0
    assert entry.confidence == pytest.approx(np.average(confidence[teeth], weights=arch.areas[teeth]))
    assert entry.jaw == "upper" and entry.doubts == [["look at ", 11], ["look at 12"]]
    assert set(entry.teeth) == set(arch.labels[teeth].tolist()) == set(entry.widths)
    assert base64.b64decode(entry.picture)[8:12] == b"WEBP"
    none = np.zeros_like(arch.labels)
    bare = entry_of("b", arch, none, tooth_table(arch, none), measure_arch(arch, none))
    assert bare.jaw == "upper" and bare.teeth == [] and bare.confidence is None  # the jaw that the file's name tells


def test_patients_are_together_and_those_to_review_first(jaws: list[Entry], tmp_path: Path) -> None:
    upper, lower = jaws
    entries = [
        lower,
        upper,
        replace(upper, name="b_U", confidence=0.95),
        replace(lower, name="b_L", confidence=0.85, doubts=[["review ", 33]]),
        replace(upper, name="c_U", confidence=0.97, doubts=[["review ", 11]]),
        replace(upper, name="d_U", confidence=None, doubts=[["0 teeth found"]]),
        replace(upper, name="e_U", confidence=0.8),
        replace(upper, name="f_U", confidence=None),
    ]
    (tmp_path / pair_page("a")).touch()
    assert write_index(tmp_path, entries) == tmp_path / "index.html"
    patients = data_of(tmp_path)["patients"]
    assert [patient["name"] for patient in patients] == ["d", "b", "c", "e", "a", "f"]
    assert [scan["name"] for scan in patients[1]["scans"]] == ["b_U", "b_L"]
    overall, anterior = next(patient for patient in patients if patient["name"] == "a")["measures"]
    assert overall["key"] == "bolton_overall" and 85 < overall["value"] < 100
    assert anterior["key"] == "bolton_anterior" and 70 < anterior["value"] < 90
    assert [patient["measures"] for patient in patients if patient["name"] in "def"] == [[], [], []]
    assert {patient["name"]: patient["page"] for patient in patients if patient["page"]} == {"a": "a.both.html"}


def test_a_later_run_adds_to_the_list(jaws: list[Entry], tmp_path: Path) -> None:
    upper, lower = jaws
    assert read_index(tmp_path) == []
    for entry in (upper, lower):
        (tmp_path / f"{entry.name}.html").touch()
        write_index(tmp_path, [*read_index(tmp_path), entry])
    assert sorted(read_index(tmp_path), key=lambda entry: entry.name) == [lower, upper]
    again = replace(upper, doubts=[["review ", 11]])
    write_index(tmp_path, [*read_index(tmp_path), again])
    assert read_index(tmp_path) == [again, lower]
    (tmp_path / "a_L.html").unlink()
    assert read_index(tmp_path) == [again]


def test_scans_without_a_page_are_listed_until_they_have_one(jaws: list[Entry], tmp_path: Path) -> None:
    assert read_list(tmp_path)[1] == {}
    first = PageFolder(tmp_path)
    first.entries, first.failed = [jaws[0]], {"b_L": "b_L.stl: </script> is torn", "c_U": "c_U.stl: is empty"}
    first.write_list()
    assert read_list(tmp_path)[1] == first.failed
    second = PageFolder(tmp_path)
    second.entries = [replace(jaws[1], name="b_L")]
    second.write_list()
    assert read_list(tmp_path)[1] == {"c_U": "c_U.stl: is empty"}


@pytest.mark.parametrize(
    "content", ["<h1>My pages</h1>", '<script type="application/json" id="scans">{"patients": [{}]}</script>']
)
def test_another_page_is_not_replaced(content: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(content)
    with pytest.raises(ConfigError, match="expected the list of scans of an earlier run, found another page"):
        read_index(tmp_path)


@pytest.mark.parametrize("name", ["index", "Index", "measures"])
def test_a_scan_does_not_take_the_place_of_the_list(name: str) -> None:
    check_name("index_U")
    with pytest.raises(ConfigError, match=f"{name}: index.html and measures.csv are the list"):
        check_name(name)


def test_table_of_measures(jaws: list[Entry], tmp_path: Path) -> None:
    upper, lower = jaws
    write_index(tmp_path, [upper, lower, replace(upper, name='b "x", y_U')])
    with (tmp_path / "measures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 4 + 2 and {row["patient"] for row in rows} == {"a", 'b "x", y'}
    found = {(row["scan"], row["measure"]): row for row in rows}
    depth = next(measure.value for measure in upper.measures if measure.key == "arch_depth")
    assert found["a_U", "arch_depth"]["value"] == f"{depth:.2f}" and found["a_U", "arch_depth"]["unit"] == "mm"
    assert found["", "bolton_overall"]["jaw"] == "both"
    without = {fdi: width for fdi, width in upper.widths.items() if fdi != 15}
    write_index(tmp_path, [replace(upper, widths=without), lower])
    with (tmp_path / "measures.csv").open(newline="") as file:
        bolton = [row for row in csv.DictReader(file) if row["measure"] == "bolton_overall"]
    assert [(row["value"], row["reason"]) for row in bolton] == [("", "no permanent 15 found")]


@pytest.mark.parametrize("names", [("upper", "lower"), ("UpperJawScan", "LowerJawScan")])
def test_what_tells_no_patient_is_measured_together_only_if_shown_together(names, jaws, tmp_path: Path) -> None:
    entries = [replace(jaw, name=name) for jaw, name in zip(jaws, names, strict=True)]
    both = lambda: len(data_of(tmp_path)["patients"][0]["measures"])  # noqa: E731
    write_index(tmp_path, entries)
    assert both() == 0
    write_index(tmp_path, [replace(entry, scan="scan") for entry in entries])  # both in one file
    assert both() == 2
    (tmp_path / pair_page(entries[0].whose)).touch()
    write_index(tmp_path, entries)
    assert both() == 2


STEPS = """
<script>
const errors = [];
window.addEventListener("error", (event) => errors.push(event.message));
window.alert = () => errors.push("alert");
window.addEventListener("load", () => setTimeout(() => {
  const out = { links: [...document.querySelectorAll(".scan > a")].map((a) => [a.innerText.trim(), a.href]) };
  const seen = () => [...document.querySelectorAll("section")].filter((s) => !s.hidden)
    .map((s) => s.querySelector("h2").textContent);
  const search = document.getElementById("search"), review = document.getElementById("review");
  const type = (text) => { search.value = text; search.dispatchEvent(new Event("input")); return seen(); };
  out.both = [...document.querySelectorAll("section > p > a")].map((a) => [a.innerText.trim(), a.href]);
  out.all = seen(); out.text = document.body.innerText;
  out.found = type("B_u"); out.none = type("zzz"); out.message = document.getElementById("count").textContent;
  type(""); review.click(); out.review = seen(); review.click(); out.again = seen();
  out.elements = document.querySelectorAll("main img").length;
  out.broken = [...document.querySelectorAll("main img")].filter((i) => !i.naturalWidth).length;
  out.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  out.requests = performance.getEntriesByType("resource").filter((r) => !r.name.startsWith("data:")).length;
  const button = (name) => [...document.querySelectorAll("#numbering button")].find((b) => b.textContent === name);
  out.pressed = button("FDI").ariaPressed; button("Universal").click();
  out.universal = [document.body.innerText, document.querySelector(".scan > a").hash, button("Universal").ariaPressed];
  button("Palmer").click(); out.palmer = document.body.innerText; out.hash = location.hash;
  out.errors = errors;
  document.title = JSON.stringify(out);
}, 300));
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [1200, 390])
def test_in_a_browser(width: int, jaws: list[Entry], tmp_path: Path) -> None:
    upper, lower = jaws
    some = replace(upper, name="b_U", widths={}, teeth=[fdi for fdi in upper.teeth if fdi != 15])
    evil = "</script><img src=x onerror=alert(1)>#1? 100%_U"
    odd = replace(upper, name=evil, doubts=[["<b>review</b> ", 11]])
    (tmp_path / pair_page("a")).touch()
    write_index(tmp_path, [upper, lower, some, replace(lower, name="b_L"), odd], {"c_U": "<b>torn</b> file"})
    page = tmp_path / "index.html"
    content = page.read_text()
    assert "<img src=x" not in content and "http:" not in content and "https:" not in content
    assert "default-src 'none'" in content
    page.write_text(re.sub("'sha256-[^']+'", "'unsafe-inline'", content, count=1) + STEPS)
    frame = tmp_path / "frame.html"  # headless Chromium has no window narrower than 500 pixels
    frame.write_text(f'<iframe src="index.html" style="width:{width}px;height:800px;border:0"></iframe><script>'
                     "setTimeout(() => { document.title = frames[0].document.title; }, 1500)</script>")  # fmt: skip
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--allow-file-access-from-files",
         "--disable-background-networking", "--disable-sync", "--disable-component-update",
         f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1300,900", "--virtual-time-budget=4000",
         "--dump-dom", frame.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    out = json.loads(html.unescape(re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)[1]))
    assert out["errors"] == [] and out["broken"] == 0 and out["requests"] == 0 and out["wide"] == 0
    first = evil.removesuffix("_U")
    assert out["all"] == out["again"] == [first, "a", "b"] and out["elements"] == 5
    links = {name: unquote(link) for name, link in out["links"]}
    assert links[evil] == f"file://{tmp_path}/{evil}.html" and links["a_L"] == f"file://{tmp_path}/a_L.html"
    assert out["both"] == [["Both jaws on one page", (tmp_path / "a.both.html").as_uri()]]
    assert out["found"] == ["b"] and out["none"] == [] and out["message"] == "No such scan"
    assert out["review"] == [first]
    assert "upper jaw, 13 teeth (missing 15)" in out["text"]
    assert "<b>review</b> 11" in out["text"] and "5 scans of 3 patients, 1 to review" in out["text"]
    assert "shown first; 1 failed, see below" in out["text"] and "<b>torn</b> file" in out["text"]
    text, link, pressed = out["universal"]
    assert "upper jaw, 13 teeth (missing 4)" in text and "<b>review</b> 8" in text and link == "#Universal"
    assert out["pressed"] == pressed == "true"
    assert "(missing 5┘)" in out["palmer"] and "<b>review</b> 1┘" in out["palmer"] and out["hash"] == "#Palmer"
    assert "upper jaw, 14 teeth, confidence 90 %" in out["text"]
    assert "not measured: no permanent 11, 12, 13, 14, 15, 16, 21, 22, 23, 24, 25, 26 found" in out["text"]
