"""Labels changed on a page without a server, and downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from toothgraph.io.formats.stl import write_stl
from toothgraph.io.labels import read_scan
from toothgraph.mesh.mesh import Mesh, Original
from toothgraph.mesh.original import faces_to_original
from toothgraph.report.page import FilePart, PageScan, Second, page_data, write_page, write_scans
from toothgraph.synthetic import synthetic_arch

Browse = Callable[..., dict[str, Any]]
STEPS = """
  const own = () => [...resultOf(data.scans[0]).labels], count = (fdi) => own().filter((label) => label === fdi).length;
  const area = (fdi) => resultOf(data.scans[0]).teeth.find((tooth) => tooth.fdi === fdi)?.area;
  const wide = (fdi) => resultOf(data.scans[0]).teeth.find((tooth) => tooth.fdi === fdi)?.width;
  const before = own(), sizes = Object.fromEntries([14, 15, 16, 17].map((fdi) => [fdi, count(fdi)]));
  const areas = [area(16), area(0)];
  out.sizes = sizes; out.offered = [...document.querySelectorAll("#tooling button")].map((one) => one.textContent);
  click(...where(16)); key("g"); await last; out.closed = count(16) === sizes[16]; // shut, its keys do nothing
  document.getElementById("edit").open = true;
  out.hint = text("stands");
  click(...where(17)); key("1"); key("8"); await last; out.renumbered = [count(17), count(18), state.picked];
  click(...where(16)); press("#own", "Swap"); click(...where(15)); await last; out.swapped = [count(16), count(15)];
  const sure = (fdi) => document.querySelector(`#teeth tr[data-fdi="${fdi}"]`).cells[4].textContent;
  const faces = (fdi) => [...resultOf(data.scans[0]).confidence].filter((_, face) => own()[face] === fdi);
  out.sure = [sure(18), sure(16), sure(13), sure(0)]; out.grey = new Set(faces(16)).size === 1 && faces(16)[0] === 0;
  press("#modes", "Confidence"); out.legend = text("legend"); press("#modes", "Teeth");
  key("u"); await last; out.undone = [count(16), count(15)]; out.again = [sure(16), faces(16)[0] > 0];
  click(...where(14)); key("]"); await last; out.shifted = [count(14), count(15), count(16), count(17), text("said")];
  click(...where(18)); press("#own", "+1"); await last; out.refused = text("said");
  key("u"); await last; out.back = [14, 15, 16].map(count);
  click(...where(16)); press("#own", "Merge"); click(...where(15)); await last; out.merged = [count(16), count(15)];
  key("u"); await last;
  key("Escape"); key("p"); const [x, y] = where(16), { left, top } = canvas.getBoundingClientRect();
  const pointer = (kind, dx) => canvas.dispatchEvent(
    new PointerEvent(kind, { pointerId: 1, clientX: left + x + dx, clientY: top + y }));
  pointer("pointerdown", 0); pointer("pointermove", 8); pointer("pointerup", 8); await last;
  out.painted = [count(16), Math.abs(area(16) + area(0) - areas[0] - areas[1]), wide(16), wide(13) !== null];
  key("u"); await last; out.unpainted = [count(16), Math.abs(area(16) - areas[0])];
  key("y"); await last; key("u"); await last; key("Escape");
  press("#numbering", "Universal"); out.universal = where(3) !== undefined; press("#numbering", "FDI");
  const closes = () => { const event = new Event("beforeunload", { cancelable: true }); window.dispatchEvent(event);
    return !event.defaultPrevented; };
  out.changed = [text("stands"), closes(), document.querySelector("#measures caption").textContent];
  press("#steps", "Download labels"); out.file = review.file; out.kept = [text("stands"), closes()];
"""


def test_labels_are_changed_and_downloaded(arch: Mesh, tmp_path: Path, browse: Browse) -> None:
    page = tmp_path / "a_U.html"
    write_page(page, replace(arch, scan_id="a_U"), arch.labels, title="a_U", confidence=np.full(len(arch.faces), 0.9))
    out = browse(page, STEPS)
    size = {int(fdi): count for fdi, count in out["sizes"].items()}
    assert out["offered"] == ["Brush"] and out["closed"] and "only if you download" in out["hint"]
    assert out["renumbered"] == [0, size[17], 18]
    assert out["swapped"] == [size[15], size[16]] and out["undone"] == [size[16], size[15]]
    assert out["sure"] == ["corrected", "corrected", "90 %", "90 %"] and out["grey"]  # no model is sure of these
    assert "corrected, or confidence not known" in out["legend"] and out["again"] == ["90 %", True]
    assert out["shifted"] == [0, size[14], size[15], size[16], ""]  # into the place that 17 has left
    assert out["refused"] == "18 is the last number of its quadrant." and out["back"] == [size[14], size[15], size[16]]
    assert out["merged"] == [0, size[15] + size[16]]
    assert 0 < out["painted"][0] < size[16] and out["painted"][1] < 0.01
    assert out["painted"][2] is None and out["painted"][3]  # only what did not change keeps its width
    assert out["unpainted"][0] == size[16] and out["unpainted"][1] < 0.01 and out["universal"]
    assert out["changed"] == ["Labels changed. Download them to keep the changes.", False,
                              "Measures, of the labels at the start"]  # fmt: skip
    assert out["kept"] == ["All changes are in the file that was downloaded.", True]
    # the file, beside the scan, is read as its labels
    write_stl(tmp_path / "b_U.stl", arch.vertices, arch.faces)
    (tmp_path / "b_U.txt").write_text(out["file"])
    expected = np.where(arch.labels == 17, 18, arch.labels)
    np.testing.assert_array_equal(np.array(out["file"].split(), dtype=int), expected)
    np.testing.assert_array_equal(read_scan(tmp_path / "b_U.stl").labels, expected)


def test_labels_are_downloaded_for_the_faces_of_the_file(arch: Mesh, tmp_path: Path, browse: Browse) -> None:
    faces = len(arch.faces)
    polygons = np.concatenate([arch.faces[:1], arch.faces])  # its first face is there twice
    original = Original(arch.vertices, polygons, np.arange(len(arch.vertices)), np.r_[0, np.arange(faces)],
                        np.arange(1, faces + 1))  # fmt: skip
    mesh = replace(arch, original=original)
    (scan,) = page_data([PageScan(mesh, arch.labels)])["scans"]
    assert scan["stored"] is not None and page_data([PageScan(arch, arch.labels)])["scans"][0]["stored"] is None
    page = tmp_path / "a_U.html"
    write_page(page, mesh, arch.labels)
    out = browse(page, "document.getElementById('edit').open = true; download(); out.file = review.file;")
    np.testing.assert_array_equal(np.array(out["file"].split(), dtype=int), faces_to_original(mesh, arch.labels))


def test_both_jaws_of_one_file_are_downloaded_as_one_file(arch: Mesh, tmp_path: Path, browse: Browse) -> None:
    jaws = [arch, synthetic_arch(3, jaw=1, faces=4000)]
    count = len(arch.faces)
    order = np.random.default_rng(0).permutation(count + len(jaws[1].faces))  # the file has them mixed
    faces = np.concatenate([arch.faces, jaws[1].faces + len(arch.vertices)])[order]
    vertices = np.concatenate([jaw.vertices for jaw in jaws])
    polygons, total = np.concatenate([faces[:1], faces]), len(faces)  # its first face is there twice
    original = Original(vertices, polygons, np.arange(len(vertices)), np.r_[0, np.arange(total)],
                        np.arange(1, total + 1))  # fmt: skip
    whole = Mesh(vertices, faces, scan_id="occlusion", original=original)
    places = np.argsort(order)
    scans = [PageScan(replace(jaw, scan_id=f"occlusion_{k}"), jaw.labels, part=FilePart(whole, own))
             for k, (jaw, own) in enumerate(zip(jaws, (places[:count], places[count:]), strict=True))]  # fmt: skip
    page = tmp_path / "occlusion.html"
    write_scans(page, scans)
    out = browse(page, """
      document.getElementById("edit").open = true; out.names = [];
      HTMLAnchorElement.prototype.click = function () { out.names.push(this.download); };
      pick(37); key("3"); key("8"); await last; pick(16); key("g"); await last;
      press("#steps", "Download labels"); out.file = review.file;
    """)  # fmt: skip
    assert out["names"] == ["occlusion.txt"]
    labels = np.concatenate([jaw.labels for jaw in jaws])[order]
    labels = np.select([labels == 37, labels == 16], [38, 0], labels)
    np.testing.assert_array_equal(np.array(out["file"].split(), dtype=int), faces_to_original(whole, labels))
    assert page_data([replace(scan, part=None) for scan in scans])["file"] is None
    assert page_data(scans[:1])["file"] is None


def test_what_compares_is_not_changed(arch: Mesh, tmp_path: Path, browse: Browse) -> None:
    page = tmp_path / "a_U.html"
    write_scans(page, [PageScan(arch, arch.labels, second=Second("other", arch.labels))])
    out = browse(page, """
      out.gone = document.getElementById("edit") === null; out.help = text("help");
      const { labels } = resultOf(data.scans[0]), before = [...labels];
      click(...where(16)); key("g"); await last; out.same = before.every((label, f) => label === labels[f]);
    """)  # fmt: skip
    assert out["gone"] and out["same"] and "brush" not in out["help"].lower()
