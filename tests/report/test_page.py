from __future__ import annotations

import base64
import csv
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from toothgraph.anatomy.frame import turned
from toothgraph.errors import ConfigError
from toothgraph.mesh.mesh import Mesh
from toothgraph.report.page import page_data, write_page
from toothgraph.report.tooth_table import tooth_table, write_table

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)


def data_of(page: Path) -> dict:
    return json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)[1])


def array(text: str, dtype: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), dtype=dtype)


def test_page_carries_the_scan(arch: Mesh, tmp_path: Path) -> None:
    labels = arch.labels.copy()
    labels[:7] = -1
    write_page(tmp_path / "a.html", arch, labels, title="</script><b>", truth=arch.labels)
    data = data_of(tmp_path / "a.html")
    assert data["title"] == "</script><b>" and "</script><b>" not in (tmp_path / "a.html").read_text()
    assert "http" not in re.sub(r'id="data">.*?</script>', "", (tmp_path / "a.html").read_text(), flags=re.DOTALL)
    np.testing.assert_array_equal(array(data["faces"], "<u4").reshape(-1, 3), arch.faces)
    found = array(data["labels"], "u1").astype(int)
    np.testing.assert_array_equal(np.where(found == 255, -1, found), labels)
    assert data["confidence"] is None and not data["lower"]
    points = array(data["points"], "<f4").reshape(-1, 3)
    assert np.linalg.norm(points, axis=1).max() == pytest.approx(data["radius"], rel=1e-5)
    distance = np.linalg.norm(np.diff(arch.vertices, axis=0), axis=1)
    np.testing.assert_allclose(np.linalg.norm(np.diff(points, axis=0), axis=1), distance, atol=1e-3)


def test_it_shows_the_bite_however_the_scan_lies(arch: Mesh) -> None:
    for seed in range(3):
        mesh = turned(arch, Rotation.random(random_state=seed).as_matrix())
        data = page_data(mesh, arch.labels, "a", None, None)
        points = array(data["points"], "<f4").reshape(-1, 3)[mesh.faces].mean(axis=1)
        front, back = (points[np.isin(arch.labels, teeth)].mean(axis=0) for teeth in ([11, 21], [16, 17, 26, 27]))
        assert front[0] > back[0] + 20
        assert points[arch.labels > 0, 1].mean() > points[arch.labels == 0, 1].mean()
        assert points[arch.labels == 26, 2].mean() > 10  # the patient's left


def test_what_had_better_be_looked_at_stands_on_the_page(arch: Mesh, tmp_path: Path) -> None:
    assert page_data(arch, arch.labels, "a", None, None)["doubts"] == []
    write_page(tmp_path / "page.html", arch, arch.labels, doubts=["look at 13"])
    assert "look at 13" in (tmp_path / "page.html").read_text()


def test_values_that_do_not_fit_are_refused(arch: Mesh, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="truth, one per face"):
        write_page(tmp_path / "a.html", arch, arch.labels, truth=arch.labels[:5])
    none = Mesh(np.zeros((0, 3)), np.zeros((0, 3), dtype=int))
    with pytest.raises(ConfigError, match="with faces"):
        write_page(tmp_path / "a.html", none, np.zeros(0, dtype=int))
    assert not (tmp_path / "a.html").exists()


def test_table_of_teeth(arch: Mesh, tmp_path: Path) -> None:
    confidence = np.where(arch.labels > 0, 0.8, 0.5)
    rows = tooth_table(arch, arch.labels, confidence)
    assert rows[0].fdi == 0 and rows[0].width is None and rows[0].confidence == pytest.approx(0.5)
    teeth = [row.fdi for row in rows[1:]]
    assert set(teeth) == set(np.unique(arch.labels[arch.labels > 0]).tolist())
    assert teeth.index(12) < teeth.index(11) < teeth.index(21) < teeth.index(22)
    assert sum(row.area for row in rows) == pytest.approx(arch.areas.sum())
    assert sum(row.faces for row in rows) == len(arch.faces)
    widths = {row.fdi: row.width for row in rows[1:]}
    assert all(4 < width < 13 for width in widths.values())  # what real teeth measure
    assert widths[16] > widths[15] and widths[11] > widths[12]
    write_table(tmp_path / "a.csv", rows)
    with (tmp_path / "a.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [int(row["fdi"]) for row in written] == [row.fdi for row in rows]
    assert written[0]["width_mm"] == "" and float(written[1]["area_mm2"]) == pytest.approx(rows[1].area, abs=0.01)


def test_table_of_one_tooth_and_of_none(arch: Mesh) -> None:
    one = np.where(arch.labels == 11, 11, 0)
    assert [(row.fdi, row.width) for row in tooth_table(arch, one)] == [(0, None), (11, None)]
    assert [row.fdi for row in tooth_table(arch, np.zeros_like(one))] == [0]


STEPS = """
<script>
const errors = [];
window.addEventListener("error", (event) => errors.push(event.message));
const pixels = () => { draw(); const a = new Uint8Array(4 * canvas.width * canvas.height);
  gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, a); return a; };
const differ = (a, b) => { let n = 0; for (let k = 0; k < a.length; k += 4) {
  n += a[k] !== b[k] || a[k + 1] !== b[k + 1] || a[k + 2] !== b[k + 2]; } return n / (a.length / 4); };
const press = (box, text) =>
  [...document.querySelectorAll(`${box} button`)].find((b) => b.textContent === text).click();
window.addEventListener("load", () => {
  const out = {};
  const start = pixels();
  out.drawn = differ(start, start.map((v, k) => start[k % 4]));
  const tooth = document.querySelector('#teeth button[data-fdi="16"]');
  tooth.click(); out.hidden = differ(start, pixels()); out.pressed = tooth.getAttribute("aria-pressed");
  tooth.click(); out.back = differ(start, pixels());
  document.getElementById("none").click(); out.none = differ(start, pixels());
  document.getElementById("all").click();
  press("#modes", "Confidence"); out.confidence = differ(start, pixels());
  press("#modes", "Errors"); out.errors = differ(start, pixels());
  press("#modes", "Teeth");
  press("#views", "Front"); out.front = differ(start, pixels());
  press("#views", "Bite"); out.bite = differ(start, pixels());
  canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -300 })); out.zoomed = differ(start, pixels());
  out.teeth = document.querySelectorAll("#teeth button").length;
  out.problem = document.getElementById("problem").textContent;
  out.messages = errors;
  document.title = JSON.stringify(out);
});
</script>
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_in_a_browser(arch: Mesh, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    confidence = np.linspace(0.5, 1, len(arch.faces))
    wrong = np.where(arch.labels == 11, 12, arch.labels)
    write_page(page, arch, wrong, confidence=confidence, truth=arch.labels)
    page.write_text(page.read_text() + STEPS)
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader",
         "--enable-unsafe-swiftshader", "--no-first-run", "--disable-background-networking", "--disable-sync",
         "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=900,600",
         "--virtual-time-budget=3000", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    out = json.loads(re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)[1].replace("&quot;", '"'))
    assert out["messages"] == [] and out["problem"] == ""
    assert out["drawn"] > 0.1  # of the canvas is not background
    assert 0.001 < out["hidden"] < 0.05 and out["pressed"] == "false" and out["back"] == 0
    assert out["none"] > 3 * out["hidden"]
    assert min(out["confidence"], out["errors"], out["front"], out["zoomed"]) > 0.02 and out["bite"] == 0
    assert out["teeth"] == len(np.unique(wrong))
