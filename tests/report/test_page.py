"""The page: what it carries, and what it does in a browser."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from toothgraph.anatomy.doubt import Doubt
from toothgraph.anatomy.frame import turned
from toothgraph.anatomy.measures import ArchMeasures, Measure, measure_arch
from toothgraph.anatomy.tooth_text import tooth_text
from toothgraph.errors import ConfigError, LabelError
from toothgraph.fdi import fdi_to_class
from toothgraph.inference.predict import OtherReading
from toothgraph.io.label_systems import palmer_name, universal_name
from toothgraph.mesh.mesh import Mesh
from toothgraph.report import page as page_module
from toothgraph.report.page import SCRIPT, PageScan, Second, page_data, page_template, write_page, write_scans
from toothgraph.report.picture import render, thumbnail
from toothgraph.synthetic import Variation, synthetic_arch

Browse = Callable[..., dict[str, Any]]
EVIL = "</script><img src=x onerror='window.hacked = 1'><script>window.hacked = 1</script>"


@pytest.fixture(scope="module")
def lower() -> Mesh:
    return synthetic_arch(1, jaw=1, faces=3000, variation=Variation.none())


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def array(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=dtype)


def test_page_carries_the_scan(arch: Mesh, tmp_path: Path) -> None:
    labels = arch.labels.copy()
    labels[:7] = -1
    write_page(tmp_path / "a.html", arch, labels, title="</script><b>", truth=arch.labels)
    data = data_of(tmp_path / "a.html")
    assert data["title"] == "</script><b>" and "</script><b>" not in (tmp_path / "a.html").read_text()
    (scan,) = data["scans"]
    np.testing.assert_array_equal(array(scan["faces"], "<u4").reshape(-1, 3), arch.faces)
    found = array(scan["results"][0]["labels"], "u1").astype(int)
    np.testing.assert_array_equal(np.where(found == 255, -1, found), labels)
    assert (
        scan["results"][0]["confidence"] is None and scan["jaw"] == "upper" and scan["about"] == "upper jaw, 14 teeth"
    )
    assert data["results"] == ["found", "truth"] and data["names"]["16" if "16" in data["names"] else 16]
    points = array(scan["points"], "<f4").reshape(-1, 3)
    distance = np.linalg.norm(np.diff(arch.vertices, axis=0), axis=1)
    np.testing.assert_allclose(np.linalg.norm(np.diff(points, axis=0), axis=1), distance, atol=1e-3)


def test_the_page_is_whole_and_may_load_nothing() -> None:
    template = page_template()
    left = set(re.findall(r"__[A-Z]+__", template))
    assert left == {"__DATA__"} and template.count("__DATA__") == 1
    web = Path(__file__).resolve().parents[2] / "toothgraph" / "report" / "web"
    assert {path.stem for path in web.glob("*.js")} == set(SCRIPT)
    assert set(re.findall(r"https?://[^\s\"'`]+", template)) == {"http://www.w3.org/2000/svg"}  # a name, not a place
    assert "default-src 'none'" in template and "innerHTML" not in template


@pytest.mark.parametrize("jaw", [0, 1])
def test_points_lie_in_the_patient_however_the_scan_lies(arch: Mesh, lower: Mesh, jaw: int) -> None:
    own = (arch, lower)[jaw]
    assert own.labels is not None
    left, right, front = ([26, 27], [16, 17], [11, 21]) if jaw == 0 else ([36, 37], [46, 47], [31, 41])
    for seed in range(3):
        mesh = turned(own, Rotation.random(random_state=seed).as_matrix())
        (scan,) = page_data([PageScan(mesh, own.labels)])["scans"]
        middles = array(scan["points"], "<f4").reshape(-1, 3)[mesh.faces].mean(axis=1)
        lefts, rights, fronts = (middles[np.isin(own.labels, teeth)].mean(axis=0) for teeth in (left, right, front))
        assert lefts[0] > 10 and rights[0] < -10  # x to the patient's left
        assert fronts[2] > lefts[2] + 20
        assert (middles[own.labels > 0, 1].mean() < middles[own.labels == 0, 1].mean()) == (jaw == 0)  # y up


def test_what_had_better_be_looked_at_stands_on_the_page(arch: Mesh, tmp_path: Path) -> None:
    assert page_data([PageScan(arch, arch.labels)])["scans"][0]["doubts"] == []
    doubts = ["look at 13", Doubt("unsure", tooth_text("review ", [13, 14]), jaw=0)]
    write_page(tmp_path / "page.html", arch, arch.labels, doubts=doubts)
    shown = data_of(tmp_path / "page.html")["scans"][0]["doubts"]
    assert shown == [["look at 13"], ["upper jaw: ", "review ", 13, ", ", 14]]


def test_values_that_do_not_fit_are_refused(arch: Mesh, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="truth, one per face"):
        write_page(tmp_path / "a.html", arch, arch.labels, truth=arch.labels[:5])
    with pytest.raises(ConfigError, match="second labels, one per face"):
        page_data([PageScan(arch, arch.labels, second=Second("b", arch.labels[:5]))])
    none = Mesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=int))
    with pytest.raises(ConfigError, match="with faces"):
        write_page(tmp_path / "a.html", none, np.zeros(0, dtype=int))
    with pytest.raises(ConfigError, match=r"an upper and a lower jaw, got .*: upper jaw, .*: upper jaw"):
        write_scans(tmp_path / "a.html", [PageScan(arch, arch.labels)] * 2)
    with pytest.raises(ConfigError, match="expected one scan, or an upper and a lower jaw, got none"):
        write_scans(tmp_path / "a.html", [])
    assert not (tmp_path / "a.html").exists()


ONE_JAW = """
  const start = pixels(), blank = start.map(() => 0);
  out.drawn = differ(start, blank);
  const box = document.querySelector('#teeth tr[data-fdi="16"] input');
  box.click(); out.hidden = differ(start, pixels()); out.off = state.shown[16];
  document.querySelector('#teeth tr[data-fdi="16"] input').click(); out.back = differ(start, pixels());
  press("#tools", "Hide gingiva"); out.gumless = differ(start, pixels()); press("#tools", "Show gingiva");

  press("#modes", "Confidence"); out.confidence = differ(start, pixels()); out.scale = text("legend");
  press("#modes", "Teeth");
  press("#views", "Front"); out.front = differ(start, pixels());
  press("#views", "Bite"); out.bite = differ(start, pixels());
  const [zx, zy] = where(24).map(Math.round), stay = under(zx, zy).point;
  canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -300, clientX: zx, clientY: zy }));
  out.zoomed = differ(start, pixels()); out.moved = distance(stay, under(zx, zy).point);
  press("#views", "Bite");

  click(...where(16)); out.picked = state.picked; out.card = text("card"); out.marked = differ(start, pixels());
  const before = state.scale;
  press("#card", "Only this one"); out.refitted = state.scale / before; out.alone = written().map(([t]) => t);
  key("Escape"); out.all = [state.picked, Math.min(...state.shown), state.scale / before, differ(start, pixels())];
  click(...where(13)); press("#card", "Hide"); out.hid = [state.picked, state.shown[13], where(13) === undefined];
  press("#tools", "Show all"); out.shown = differ(start, pixels());
  click(2, 2); out.nothing = state.picked;

  out.numbered = written().length; key("n"); out.unnumbered = written().length; key("n");
  key("."); const first = state.picked; key("."); out.steps = [first, state.picked];
  key(","); out.stepped = state.picked;
  key("h"); out.keyHid = state.shown[first]; key("Escape");
  key("f"); out.view = state.view; key("ArrowLeft"); out.turned = state.view; key("b");
  key("c"); out.mode = state.mode; key("c"); out.mode2 = state.mode; key("c");

  key("m"); const at = where(16), to = where(14); click(...at); click(...to);
  out.waiting = text("ruler"); await wait();
  out.ruler = state.measured && [state.measured.straight, state.measured.along, text("ruler")];
  key("Escape"); out.cleared = [state.ends.length, state.measuring]; key("Escape"); out.ended = state.measuring;

  window.dispatchEvent(new Event("beforeprint"));
  out.sheet = [document.querySelectorAll("#sheet img").length, state.view, differ(start, pixels())];
  out.sheetBytes = Math.min(...[...document.querySelectorAll("#sheet img")].map((one) => one.src.length));

  press("#modes", "Errors"); out.errors = differ(start, pixels());
  out.titles = written().map(([t]) => t).filter((t) => t === "truth" || t === "found");
  out.twice = written().filter(([t]) => t === "11").length;
  out.rows = differences();
  out.legend = text("legend"); out.head = document.querySelector("#differences h2").textContent;

  out.teeth = document.querySelectorAll("#teeth tbody tr").length;
  out.measures = text("measures"); out.folded = document.querySelector("#measures details").open;
  out.doubts = text("doubts"); out.help = text("help");
  out.problem = text("problem"); out.hacked = window.hacked || 0; out.images = document.images.length;
"""


def test_one_jaw_in_a_browser(arch: Mesh, tmp_path: Path, browse: Browse) -> None:
    page = tmp_path / "page.html"
    found = np.where(arch.labels == 11, 12, arch.labels)
    write_page(
        page, arch, found, title=EVIL, confidence=np.linspace(0.4, 1, len(arch.faces)), truth=arch.labels,
        doubts=[EVIL], other_numbers=OtherReading(((16, 17),), 2.34),
        measures=ArchMeasures(0, {}, [Measure("a", EVIL, 34.125, "mm", tooth_text("from here to there")),
                                      Measure("b", "Depth", None, "mm", tooth_text("from where?"), tooth_text(EVIL))]),
    )  # fmt: skip
    out = browse(page, ONE_JAW)
    assert out["problem"] == ""
    assert out["drawn"] > 0.1  # of the canvas is not empty
    assert 0.001 < out["hidden"] < 0.05 and out["off"] == 0 and out["back"] == 0
    assert out["gumless"] > 0.05 and out["moved"] < 0.01  # what is under the pointer stays there
    assert min(out["confidence"], out["errors"], out["front"], out["zoomed"]) > 0.02 and out["bite"] == 0
    assert out["scale"] == "50 % or less75 %100 % sure"
    # a picked tooth
    assert out["picked"] == 16 and out["marked"] > 0.05
    assert "16 upper right first molar" in out["card"]
    assert "May also be17, but the given numbers are 2.3 times as likely" in out["card"]
    assert re.search(r"Width, mesiodistal\d+\.\d mm.*Area\d+ mm².*Confidence\d+ %.*In truth16 \(100 %\)", out["card"])
    assert out["refitted"] > 2.5 and "16" in out["alone"] and "15" not in out["alone"]
    assert out["all"] == [None, 1, 1, 0]
    assert out["hid"] == [None, 0, True] and out["shown"] == 0 and out["nothing"] is None
    # keys
    assert out["numbered"] - out["unnumbered"] == len(np.unique(found)) - 1  # all teeth are seen from the bite
    assert out["steps"] == [17, 16] and out["stepped"] == 17 and out["keyHid"] == 0
    assert out["view"] == "Front" and out["turned"] is None
    assert [out["mode"], out["mode2"]] == ["confidence", "errors"]
    for name in ("Esc", "Next tooth", "Show or hide the numbers", "ruler", "Ruler"):
        assert name in out["help"]
    # the ruler
    assert "Measuring" in out["waiting"]
    straight, along, said = out["ruler"]
    assert 5 < straight < along < 2 * straight and f"{straight:.2f} mm" in said and f"{along:.2f} mm" in said
    assert out["cleared"] == [0, True] and out["ended"] is False
    # paper
    assert out["sheet"] == [4, "Bite", 0] and out["sheetBytes"] > 2000
    # errors beside the truth, the worst tooth first
    assert out["titles"] == ["found", "truth"] and out["twice"] == 1  # 11 is only in the truth
    assert out["rows"][0][0] in ("11", "12") and ["11", "upper right central incisor", "12"] in [
        r[:3] for r in out["rows"]
    ]
    assert out["head"] == "2 teeth differ, 1 in number" and "found differs from truth" in out["legend"]
    areas = [float(row[3]) for row in out["rows"]]
    assert areas == sorted(areas, reverse=True)
    assert out["teeth"] == len(np.unique(found))
    # what came from outside is text
    assert out["measures"] == (
        f"Measures{EVIL}34.1 mmDepthnot measured: {EVIL}–What is measured{EVIL}from here to thereDepthfrom where?"
        "Accuracy: see docs/measures.md of toothgraph."
    )
    assert out["folded"] is False
    assert out["doubts"] == EVIL
    assert out["hacked"] == 0 and out["images"] == 4


NUMBERINGS = """
  const all = [...PERMANENT, ...PRIMARY], row = (fdi) => document.querySelector(`#teeth tr[data-fdi="${fdi}"]`);
  const shown = () => ({ head: document.querySelector("#teeth th").textContent, doubts: text("doubts"),
    card: text("card").split(" ")[0], rows: [16, 55, 53].map((fdi) => row(fdi).cells[0].textContent.trim()),
    drawn: written().map(([t]) => t) });
  click(...where(55)); out.fdi = shown();
  for (const name of ["Universal", "Palmer"]) { press("#numbering", name); out[name] = [shown(), all.map(numberOf)]; }
  out.all = all; out.order = [...document.querySelectorAll("#teeth tr.tooth")].map((one) => +one.dataset.fdi);
  at("edit").open = true; updatePanel(); press("#numbering", "FDI");
  out.offered = [document.getElementById("number").value, document.getElementById("number").length];
  key("g"); await last; out.gone = [...document.querySelectorAll("#teeth tr.tooth")].map((one) => +one.dataset.fdi);
"""


def test_numbers_are_written_as_the_reader_is_used_to(arch: Mesh, tmp_path: Path, browse: Browse) -> None:
    """In all that the page says: the picture, the table, the card, the warnings; primary teeth too."""
    page = tmp_path / "page.html"
    labels = np.where(np.isin(arch.labels, [15, 13]), arch.labels + 40, arch.labels)
    write_page(page, arch, labels, doubts=[Doubt.of("", [55], " shows 16% of the usual area; review ", [21])])
    out = browse(page, NUMBERINGS)
    assert out["fdi"]["head"] == "FDI" and out["fdi"]["doubts"] == "55 shows 16% of the usual area; review 21"
    assert out["fdi"]["card"] == "55" and out["fdi"]["rows"] == ["16", "55", "53"]
    assert {"16", "55", "53", "21"} < set(out["fdi"]["drawn"])
    universal, names = out["Universal"]
    assert names == list(map(universal_name, out["all"])) and len(set(names)) == 52
    assert universal["head"] == "Universal" and universal["doubts"] == "A shows 16% of the usual area; review 9"
    assert universal["card"] == "A" and universal["rows"] == ["3", "A", "C"]
    assert {"3", "A", "C", "9"} < set(universal["drawn"])
    palmer, names = out["Palmer"]
    corners = {"UR": "{}┘", "UL": "└{}", "LL": "┌{}", "LR": "{}┐"}
    assert names == [corners[name[:2]].format(name[2:]) for name in map(palmer_name, out["all"])]
    assert palmer["card"] == "E┘" and palmer["doubts"] == "E┘ shows 16% of the usual area; review └1"
    # labels that are changed keep the primary teeth where they were
    assert out["order"][:6] == [0, 17, 16, 55, 14, 53] and out["offered"] == ["55", 26]
    assert out["gone"] == [fdi for fdi in out["order"] if fdi != 55]


NOT_KNOWN = """
  press("#modes", "Confidence");
  const [scan] = data.scans, { labels } = scan.results[0], colour = faceColour(scan, { result: 0 });
  out.colours = [0, 16, 15].map((fdi) => colour(labels.indexOf(fdi)));
  out.rows = teethOf(scan).filter((row) => [0, 16].includes(row.fdi)).map((row) => [row.fdi, row.confidence]);
"""


def test_a_confidence_that_is_not_known_is_not_shown_as_one(arch: Mesh, tmp_path: Path, browse: Browse) -> None:
    """JSON files have that of teeth, not of gingiva."""
    sure = np.select([arch.labels == 16, arch.labels == 15, arch.labels > 0], [0.4, 0.0, 0.9], np.nan)
    write_page(tmp_path / "page.html", arch, arch.labels, confidence=sure)
    (result,) = data_of(tmp_path / "page.html")["scans"][0]["results"]
    assert result["teeth"][0]["fdi"] == 0 and result["teeth"][0]["confidence"] is None
    out = browse(tmp_path / "page.html", NOT_KNOWN)
    assert out["colours"][0] == [140, 140, 140] and out["colours"][1] == out["colours"][2] == [110, 16, 62]
    assert out["rows"][0] == [0, None] and out["rows"][1][1] == pytest.approx(0.4, abs=0.01)


TWO_JAWS = """
  const ends = (a, b) => { const [l, r] = [where(a), where(b)]; return l[0] < r[0]; };
  const mean = (scan, wanted) => { const at = project(scan); let sum = 0, n = 0; const labels = scan.results[0].labels;
    labels.forEach((label, f) => { if ((label > 0) === wanted) { sum += at[3 * scan.faces[3 * f] + 1]; n++; } });
    return sum / n; };
  const [upper, lower] = data.scans;
  out.bite = [ends("R", "L"), ends(17, 27), ends(47, 37), where(11)[1] < where(17)[1], where(41)[1] > where(47)[1],
              where(17)[1] < where(47)[1]];
  press("#views", "Front");
  out.front = [ends("R", "L"), ends(13, 23), ends(43, 33), mean(upper, true) < mean(upper, false),
               mean(lower, true) > mean(lower, false), where(11)[1] < where(41)[1]];
  const together = [mean(upper, true), mean(lower, true)];
  press("#jaws", "Apart"); const apart = [mean(upper, true), mean(lower, true)]; press("#jaws", "Apart");
  out.apart = (apart[0] - apart[1]) - (together[0] - together[1]);
  press("#views", "Right"); out.right = [ends("back", "front"), ends(16, 13), ends(46, 43)];
  press("#views", "Left"); out.left = [ends("front", "back"), ends(23, 26), ends(33, 36)];
  press("#jaws", "Lower"); press("#views", "Bite");
  out.lower = [where(11) === undefined, where(41) !== undefined, document.querySelectorAll("#teeth table").length];
  press("#jaws", "Upper"); out.upper = [where(11) !== undefined, where(41) === undefined];
  press("#jaws", "Both");
  out.captions = [...document.querySelectorAll("#teeth caption")].map((c) => c.textContent);
  out.about = text("about"); out.placing = text("placing"); out.measures = text("measures");
  key("m"); click(...where(16)); click(...where(46)); out.across = [state.ends.length, state.measured];
"""


def test_two_jaws_in_a_browser(arch: Mesh, lower: Mesh, tmp_path: Path, browse: Browse) -> None:
    page = tmp_path / "page.html"
    assert arch.labels is not None and lower.labels is not None
    scans = [PageScan(arch, arch.labels), PageScan(lower, lower.labels)]
    write_scans(page, scans)
    out = browse(page, TWO_JAWS)
    for view in ("bite", "front", "right", "left", "upper"):
        assert all(out[view]), f"{view}: {out[view]}"
    assert out["lower"] == [True, True, 1]
    assert out["apart"] == pytest.approx(16, abs=0.1)
    assert out["captions"] == [f"Upper jaw: {arch.scan_id}", f"Lower jaw: {lower.scan_id}"]
    assert out["about"] == "upper jaw, 14 teeth; lower jaw, 14 teeth"
    for measure in ("Bolton ratio, overall", "Upper jawArch length", "Lower jawArch length"):
        assert measure in out["measures"]
    assert "not as the patient bites" in out["placing"]  # both arches lie with their crowns up
    assert out["across"] == [1, None]  # a way over the surface stays on one jaw


def test_two_results_in_a_browser(arch: Mesh, tmp_path: Path, browse: Browse) -> None:
    page = tmp_path / "page.html"
    after = np.select([arch.labels == 14, arch.labels == 15], [15, 14], arch.labels)
    write_scans(page, [PageScan(arch, arch.labels, name="before", second=Second("after", after))])
    out = browse(page, """
      const pressed = document.querySelector("#modes [aria-pressed=true]").textContent;
      out.opened = [state.mode, at("differences").hidden, pressed];
      press("#modes", "Teeth");
      out.modes = [...document.querySelectorAll("#modes button")].map((b) => b.textContent);
      const at14 = where(14), at15 = where(15); press("#results", "after");
      const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
      out.swapped = [apart(where(15), at14), apart(at15, at14)];
      press("#modes", "Changes"); const marked = pixels();
      out.titles = written().map(([t]) => t).filter((t) => /before|after/.test(t));
      let red = 0; for (let k = 0; k < marked.length; k += 4) red += marked[k] > 60 && marked[k] > 3 * marked[k + 1];
      out.red = red / (marked.length / 4);
      out.rows = differences();
      out.head = [...document.querySelectorAll("#differences th")].map((c) => c.textContent);
      document.querySelector('#differences tr[data-fdi="14"]').click(); out.card = text("card");
    """)  # fmt: skip
    assert out["opened"] == ["changes", False, "Changes"]
    assert out["modes"] == ["Teeth", "Changes"] and out["titles"] == ["before", "after"]
    assert out["swapped"][0] < 2 < out["swapped"][1] and out["red"] > 0.001
    assert sorted(row[0] + row[2] for row in out["rows"]) == ["1415", "1514"]
    assert out["head"][0] == "before" and out["head"][2] == "after"
    assert re.search(r"14 upper right first premolar.*In after15 .100 %.", out["card"])


def half_cylinder(radius: float, high: float, around: int, up: int) -> Mesh:
    """Half a cylinder about y, without labels."""
    angle, y = np.meshgrid(np.linspace(0, np.pi, around), np.linspace(0, high, up), indexing="ij")
    vertices = np.stack([radius * np.cos(angle), y, radius * np.sin(angle)], axis=-1).reshape(-1, 3)
    corner = (np.arange(around - 1)[:, None] * up + np.arange(up - 1)).reshape(-1, 1)
    faces = np.concatenate([corner + np.array([0, up, up + 1]), corner + np.array([0, up + 1, 1])])
    return Mesh(vertices, faces)


def test_the_way_over_a_surface_is_the_shortest(tmp_path: Path, browse: Browse) -> None:
    radius, high, around, up = 20.0, 30.0, 41, 21
    one, page = half_cylinder(radius, high, around, up), tmp_path / "page.html"
    count = len(one.vertices)
    far = [0.0, 0.0, -30.0]  # a second piece, that no way leads to
    mesh = Mesh(np.concatenate([one.vertices, one.vertices + far]), np.concatenate([one.faces, one.faces + count]))
    write_page(page, mesh, np.zeros(len(mesh.faces), dtype=int))
    ends = [(0, up - 1), (around - 1, 0)], [(5, 3), (30, 17)], [(20, 5), (20, 18)]
    numbers = [[i * up + j for i, j in pair] for pair in ends]
    steps = """
      const scan = data.scans[0], corner = (v) => [...scan.points.slice(3 * v, 3 * v + 3)];
      const end = (v) => ({ scan, point: corner(v), face: facesAround(scan)(v)[0] });
      out.ways = NUMBERS.map(([a, b]) => measure(scan, end(a), end(b)));
    """
    out = browse(page, steps.replace("NUMBERS", json.dumps([*numbers, [0, count]])))
    for ((i, j), (k, m)), way in zip(ends, out["ways"], strict=False):
        chord = 2 * radius * np.sin(np.pi / (around - 1) / 2)  # of one step of the polygon
        exact = np.hypot(chord * abs(i - k), high / (up - 1) * abs(j - m))
        assert exact - 1e-3 < way["along"] < 1.006 * exact
        path = np.array(way["path"])
        assert np.linalg.norm(np.diff(path, axis=0), axis=1).sum() == pytest.approx(way["along"], rel=1e-6)
        straight = np.linalg.norm(mesh.vertices[i * up + j] - mesh.vertices[k * up + m])
        assert way["straight"] == pytest.approx(straight, rel=1e-4)
    assert out["ways"][3]["along"] is None and out["ways"][3]["straight"] == pytest.approx(30)


def test_the_ruler_by_keys(arch: Mesh, tmp_path: Path, browse: Browse) -> None:
    page = tmp_path / "page.html"
    write_page(page, arch, arch.labels)
    out = browse(page, """
      const press2 = (name, shiftKey = false) => (document.activeElement || document.body).dispatchEvent(
        new KeyboardEvent("keydown", { key: name, shiftKey, bubbles: true }));
      const crosses = () => { draw(); return document.querySelectorAll("#marks .cross").length; };
      const turned = state.turn; press2("ArrowLeft"); out.turns = state.turn !== turned; setView("Bite");
      press("#tools", "Ruler"); out.focus = document.activeElement === canvas; out.before = crosses();
      out.hint = text("ruler");
      const view = state.turn; press2("ArrowRight"); out.stays = state.turn === view;
      out.begun = [crosses(), text("cross")];
      press2("."); press2("."); const second = labelAt(state.cross); press2(","); const first = labelAt(state.cross);
      out.teeth = [first, second, state.picked];
      const start = [...state.cross.point]; press2(" "); out.one = [state.ends.length, text("ruler")];
      press2("ArrowDown"); const coarse = distance(start, state.cross.point);
      const there = [...state.cross.point]; press2("ArrowDown", true);
      out.steps = [coarse, distance(there, state.cross.point)];
      for (let k = 0; k < 6; k++) press2("ArrowDown");
      press2(" "); await wait();
      out.measured = [state.measured.straight, state.measured.along]; out.text = text("ruler");
      // over a gap in the surface, and out of sight
      zoomBy(6); for (let k = 0; k < 60; k++) press2("ArrowRight");
      const [x, y] = flattened(panes()[0], state.cross.scan)(state.cross.point);
      out.inSight = x > 0 && x < state.width && y > 0 && y < state.height;
      press2("Escape"); press2("Escape"); out.ended = [state.measuring, crosses(), text("cross")];
      out.help = text("help");
    """)  # fmt: skip
    assert out["turns"] and out["focus"] and out["before"] == 0 and "arrows move a cross, Space clicks" in out["hint"]
    assert out["stays"] and out["begun"] == [1, "The cross is on 17, upper right second molar."]
    assert out["teeth"] == [16, 15, None]
    assert out["one"][0] == 1 and "second point" in out["one"][1]
    assert 1 <= out["steps"][0] < 3 and 0.1 <= out["steps"][1] < 0.6
    assert 4 < out["measured"][0] <= out["measured"][1] and "Along the surface" in out["text"]
    assert out["inSight"] and out["ended"] == [False, 0, ""]
    assert "move the cross by 1 mm" in out["help"] and "click at the cross" in out["help"]


def test_dark_and_on_a_phone(arch: Mesh, tmp_path: Path, browse: Browse) -> None:
    page = tmp_path / "page.html"
    write_page(page, arch, arch.labels, confidence=np.ones(len(arch.faces)), doubts=["look at 13 " * 20])
    steps = """
      pick(16);
      const green = (colour) => Number(colour.match(/\\d+/g)[1]);
      out.ground = ["body", "aside"].map((one) => green(getComputedStyle(document.querySelector(one)).backgroundColor));
      out.ink = green(getComputedStyle(document.body).color);
      out.wide = [document.documentElement.scrollWidth, innerWidth, at("teeth").scrollWidth - at("teeth").clientWidth];
      const [a, b] = [canvas.getBoundingClientRect(), document.querySelector("aside").getBoundingClientRect()];
      out.below = a.bottom <= b.top + 1; out.left = [a.left, b.left];
    """
    out = browse(page, steps, "--blink-settings=preferredColorScheme=0", size="390,844")
    assert max(out["ground"]) < 60 and out["ink"] > 200
    assert out["wide"][0] <= out["wide"][1] < 550 and out["wide"][2] <= 0
    assert out["below"] and out["left"] == [0, 0]


def test_on_paper(arch: Mesh, lower: Mesh, tmp_path: Path, browse: Browse) -> None:
    """The bite of two jaws stands beside the other views, and what is written at the edges beside the scan."""
    page = tmp_path / "page.html"
    steps = """
      window.dispatchEvent(new Event("beforeprint"));
      out.two = at("sheet").classList.contains("two");
      out.shape = [...document.querySelectorAll("#sheet svg")].map((one) => {
        const [, , wide, high] = one.getAttribute("viewBox").split(" ").map(Number);
        return high > wide;
      });
      out.gap = [];
      for (const view of ["Right", "Left"]) {
        setView(view); draw();
        const wide = Math.max(...[...marks.querySelectorAll(".side")].map((one) => one.getBBox().width));
        const found = extent();
        out.gap.push(state.width / 2 - state.scale * (found.high[0] - found.low[0]) / 2 - wide);
      }
    """
    for scans, two in (([PageScan(arch, arch.labels), PageScan(lower, lower.labels)], True),
                       ([PageScan(arch, arch.labels)], False)):  # fmt: skip
        write_scans(page, scans)
        out = browse(page, steps)
        assert out["two"] is two and out["shape"] == [two, False, False, False]
        assert min(out["gap"]) > 0


def test_confidence_is_that_of_the_result_that_has_one(arch: Mesh, tmp_path: Path, browse: Browse) -> None:
    page = tmp_path / "page.html"
    sure = np.linspace(0.5, 1, len(arch.faces))
    write_scans(page, [PageScan(arch, arch.labels, name="a", second=Second("b", arch.labels, sure))])
    out = browse(page, """
      out.none = text("differences"); press("#modes", "Confidence");
      out.shown = [...document.querySelectorAll("#results button")].map((b) => [b.textContent, b.ariaPressed]);
    """)  # fmt: skip
    assert out == {"messages": [], "none": "No teeth differ", "shown": [["b", "true"]]}


def test_keyboard_reaches_all_and_all_has_a_name(arch: Mesh, tmp_path: Path, browse: Browse) -> None:
    page = tmp_path / "page.html"
    confidence = np.ones(len(arch.faces))
    write_scans(page, [PageScan(arch, arch.labels, confidence=confidence, second=Second("b", arch.labels, confidence))])
    out = browse(page, """
      press("#modes", "Teeth"); pick(16); key("m");
      const all = [...document.querySelectorAll("button, input, summary, canvas, a, [onclick], [tabindex]")];
      const named = (one) => (one.getAttribute("aria-label") || one.textContent || one.title).trim();
      out.controls = all.length;
      out.unnamed = all.filter((one) => !named(one)).map((one) => one.outerHTML);
      out.unreached = all.filter((one) => one.tabIndex < 0 || one.disabled).map((one) => one.outerHTML);
      out.unringed = [];
      for (const one of all) {
        one.focus({ focusVisible: true });
        const { outlineStyle, outlineWidth } = getComputedStyle(one);
        if (document.activeElement !== one || outlineStyle === "none" || parseFloat(outlineWidth) < 2) {
          out.unringed.push(one.outerHTML);
        }
      }
      const groups = [...document.querySelectorAll("[role=group], section, ul")];
      out.groups = groups.filter((one) => !one.hidden && one.children.length && !one.getAttribute("aria-label")
        && !one.querySelector("h2, caption")).map((one) => one.id);
      const row = document.querySelector('#teeth tr[data-fdi="14"] button');
      row.focus(); row.click();
      out.kept = document.activeElement.closest("tr").dataset.fdi; out.picked = state.picked;
    """)  # fmt: skip
    assert out["controls"] > 40
    assert out["unnamed"] == out["unreached"] == out["unringed"] == out["groups"] == []
    assert out["kept"] == "14" and out["picked"] == 14


def test_no_name_runs_as_script_and_nothing_is_loaded(arch: Mesh, lower: Mesh, tmp_path: Path, browse: Browse) -> None:
    """Names of files and of results come from others."""
    page = tmp_path / "page.html"
    evil = EVIL + "<!--<script>\u2028__DATA__"
    first = PageScan(replace(arch, scan_id=evil), arch.labels, name=evil, doubts=[evil],
                     second=Second(evil + "2", np.where(arch.labels == 16, 17, arch.labels)))  # fmt: skip
    write_scans(page, [first, PageScan(replace(lower, scan_id=evil), lower.labels, truth=lower.labels)])
    assert "<img" not in page.read_text()
    out = browse(page, """
      for (const [name] of modes()) { press("#modes", upperFirst(name)); pick(16); await wait(); }
      window.dispatchEvent(new Event("beforeprint"));
      out.hacked = window.hacked || 0; out.title = document.title; out.heading = text("title");
      out.images = [...document.images].filter((one) => !one.src.startsWith("data:")).length;
      out.scripts = document.scripts.length;
      out.loaded = performance.getEntriesByType("resource").filter((one) => !one.name.startsWith("data:")).length;
      out.blocked = await fetch("https://example.org").then(() => false, () => true);
    """)  # fmt: skip
    assert out["hacked"] == out["images"] == out["loaded"] == 0 and out["blocked"]
    assert out["scripts"] == 3  # the data, the page's own, and that of this test
    assert out["heading"] == f"{evil} and {evil}" and out["title"].startswith("</script>")


def contrast(first: str, second: str) -> float:
    """Of two colours ``#rgb`` or ``#rrggbb``, 1 to 21. Source: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio"""
    light = []
    for text in (first, second):
        digits = text[1:] if len(text) == 7 else "".join(2 * digit for digit in text[1:])
        part = np.array(list(bytes.fromhex(digits))) / 255
        linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
        light.append(float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)
    return max(light) / min(light)


@pytest.mark.parametrize("name", ["page.css", "index.html"])
@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read(name: str, dark: bool) -> None:
    style = (Path(page_module.__file__).parent / "web" / name).read_text(encoding="utf-8")
    light_rules, dark_rules = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]
    own = dict(re.findall(r"--([a-z-]+): (#\w+)", light_rules))
    own |= dict(re.findall(r"--([a-z-]+): (#\w+)", dark_rules)) if dark else {}
    for ground in ("ground", "panel", "warn", "button", "hover"):
        for ink in ("ink", "soft", "link"):
            if ground in own and ink in own:
                assert contrast(own[ink], own[ground]) > 4.5, (ink, ground)
    if "chosen" in own:
        assert contrast("#fff", own["chosen"]) > 4.5  # the button that is pressed
        assert contrast(own["chosen"], own["panel"]) > 3  # the ring of the focus


def test_edges_are_smooth_only_where_a_graphics_card_makes_them(arch: Mesh, tmp_path: Path, browse: Browse) -> None:
    steps = "out.smooth = gl.getContextAttributes().antialias; const none = new Uint8Array(pixels().length); "
    steps += "out.drawn = differ(pixels(), none);"
    page = tmp_path / "page.html"
    write_page(page, arch, arch.labels)
    unaided = """<script>
      const get = HTMLCanvasElement.prototype.getContext;
      HTMLCanvasElement.prototype.getContext = function (kind, how) {
        return how && how.failIfMajorPerformanceCaveat ? null : get.call(this, kind, how); };
      </script>"""
    whole = page.read_text(encoding="utf-8")
    aided = browse(page, steps)
    page.write_text(whole.replace("<title>", f"{unaided}<title>", 1), encoding="utf-8")
    alone = browse(page, steps)
    assert aided["smooth"] and not alone["smooth"]
    assert abs(aided["drawn"] - alone["drawn"]) < 0.01 < alone["drawn"]


def test_a_drawing_that_the_browser_took_away_comes_back(arch: Mesh, tmp_path: Path, browse: Browse) -> None:
    steps = """
      const until = (name) => new Promise((then) => canvas.addEventListener(name, () => then(wait()), { once: true }));
      click(...where(16)); const before = pixels(), card = gl.getExtension("WEBGL_lose_context");
      const lost = until("webglcontextlost"); card.loseContext(); await lost; out.lost = text("problem");
      const back = until("webglcontextrestored"); card.restoreContext(); await back;
      out.problem = text("problem"); out.differs = differ(before, pixels()); out.written = where(16) !== undefined;
      out.drawn = differ(before, new Uint8Array(before.length));
    """
    page = tmp_path / "page.html"
    write_page(page, arch, arch.labels)
    out = browse(page, steps)
    assert "load the page again" in out["lost"] and out["problem"] == ""
    assert out["drawn"] > 0.1 and out["differs"] == 0 and out["written"]


@pytest.mark.parametrize("what", ["labels", "truth", "second labels"])
def test_labels_that_are_no_fdi_numbers_are_refused(what: str, tmp_path: Path) -> None:
    arch = synthetic_arch(1, jaw=0, faces=2000)
    classes = fdi_to_class(arch.labels)
    scan = PageScan(arch, classes if what == "labels" else arch.labels, truth=classes if what == "truth" else None,
                    second=Second("b", classes) if what == "second labels" else None)  # fmt: skip
    with pytest.raises(LabelError, match=rf"{what} as FDI numbers.*class_to_fdi"):
        write_scans(tmp_path / "a.html", [scan])
    for draw in (render, lambda path, *given: thumbnail(*given)):
        with pytest.raises(LabelError, match=r"labels as FDI numbers.*class_to_fdi"):
            draw(tmp_path / "a.png", arch, classes)
    with pytest.raises(LabelError, match=r"labels as FDI numbers.*class_to_fdi"):
        measure_arch(arch, classes)
