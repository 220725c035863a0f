"""How fast a review answers, and how fast its page draws, on a small and on a large scan.

    python -m benchmarks.studies.review_times

The scans are synthetic arches. An answer is a whole step: the operation, writing the log and the labels to disk, and
the table of the teeth. For each kind of step there are two times on a scan: the first one, and the best of the later
ones. What a scan needs once is computed before, as the server does after it has sent the page. The page is drawn by
Chromium without a graphics card. Writes benchmarks/results/review_times.json.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import parse, parser_of, run
from benchmarks.paths import RESULTS
from benchmarks.studies.simulated_reviewer import border_of, middle_of
from toothgraph.mesh.mesh import Mesh
from toothgraph.review import server
from toothgraph.review.page import scan_page, teeth_of
from toothgraph.review.scans import Scans
from toothgraph.review.store import Start
from toothgraph.review.surface import Surface
from toothgraph.synthetic import Variation, synthetic_arch
from toothgraph.system import provenance
from toothgraph.system.files import write_text

FACES = {False: (16_000, 213_000), True: (3_000,)}
ROUNDS = 5
DRAWN = """<script>
window.addEventListener("load", () => {
  const pixel = new Uint8Array(4), times = {};
  const timed = (name, act) => {
    const all = [];
    for (let k = 0; k < 15; k++) {
      const begun = performance.now();
      act(k);
      gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel); // waits until all is drawn
      all.push(performance.now() - begun);
    }
    times[name] = Math.min(...all);
  };
  state.numbers = false;
  timed("turn", () => { turnBy(0, 0.05); draw(); });
  state.numbers = true;
  timed("turn, with numbers", () => { turnBy(0, 0.05); draw(); });
  setView("Bite");
  const scan = data.scans[0], labels = resultOf(scan).labels, at = [state.width / 2, state.height / 2];
  const spot = () => { for (let y = 5; y < state.height; y += 5) if (under(at[0], y)) return y; };
  const y = spot();
  timed("brush: find, paint", (k) => {
    const faces = facesNear(scan, under(at[0], y), 1.5);
    for (const face of faces) labels[face] = k % 2 ? 36 : 0;
    relabelled(scan, faces);
  });
  document.title = JSON.stringify(times);
});
</script>"""


def steps_on(mesh: Mesh) -> Iterator[dict[str, Any]]:
    """One step of each kind. Each can be repeated any number of times, if it is undone every time."""
    truth = mesh.labels
    assert truth is not None
    middle = {tooth: middle_of(mesh, truth, tooth) for tooth in np.unique(truth[truth > 0]).tolist()}
    yield {"kind": "renumber", "tooth": 47, "to": 48}
    yield {"kind": "paint", "to": 0, "faces": np.flatnonzero(truth == 46)[:200].tolist()}
    yield {"kind": "split", "to": 37, "faces": [middle[36], middle[37]]}
    yield {"kind": "new", "to": 44, "faces": [middle[44]]}
    yield {"kind": "border", "to": 46, "faces": list(border_of(Surface(mesh), truth, 46))}
    yield {"kind": "clicks", "faces": list(middle.values()), "numbers": list(middle)}


def scans_of(mesh: Mesh, folder: Path) -> Scans:
    """One scan under review with two errors: tooth 37 has the number 36, and tooth 44 has no label."""
    assert mesh.labels is not None
    labels = np.where(mesh.labels == 37, 36, np.where(mesh.labels == 44, 0, mesh.labels))
    start = Start(labels, np.full(len(labels), 0.9), "", 1, False, [], {}, 0.9, "")
    return Scans({"arch": Path("arch.stl")}, folder, lambda path, name: replace(mesh, scan_id=name, labels=None),
                 lambda _: start)  # fmt: skip


def answers(mesh: Mesh, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of each kind of step on a prepared scan: the first time, and the best of some later rounds."""
    found: dict[str, dict[str, float]] = {}
    for step in steps_on(mesh):
        with tempfile.TemporaryDirectory() as folder:
            scans = scans_of(mesh, Path(folder))
            scans.open("arch").surface.prepare()
            times = []
            for _ in range(1 + rounds):
                begun = time.perf_counter()
                _step(scans, step)
                times.append(time.perf_counter() - begun)
                _step(scans, {"kind": "undo"})
            found[step["kind"]] = {"first": times[0], "again": min(times[1:])}
    return found


def preparing(mesh: Mesh) -> float:
    """Seconds to compute what a scan needs once."""
    surface, begun = Surface(replace(mesh, labels=None)), time.perf_counter()
    surface.prepare()
    return time.perf_counter() - begun


def _step(scans: Scans, step: dict[str, Any]) -> None:
    done = scans.step("arch", scans.open("arch").session.version, step)
    teeth_of(scans.open("arch"), done.after.labels)


def frames(mesh: Mesh) -> dict[str, float]:
    """Milliseconds of the actions of the page, each the best of fifteen times; empty without a browser."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        return {}

    def with_steps(*given: Any) -> str:
        return re.sub("'sha256-[^']+'", "'unsafe-inline'", scan_page(*given), count=1) + DRAWN

    with tempfile.TemporaryDirectory() as folder:
        serving = server.ReviewServer(scans_of(mesh, Path(folder) / "reviewed"))
        threading.Thread(target=serving.run, daemon=True).start()
        vars(server)["scan_page"] = with_steps
        try:
            done = subprocess.run(
                [browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader",
                 "--no-first-run", f"--user-data-dir={folder}/profile", "--window-size=1300,900",
                 "--timeout=120000", "--dump-dom", f"{serving.address}scan/arch"],
                capture_output=True, text=True, timeout=300, check=True,
            )  # fmt: skip
        finally:
            vars(server)["scan_page"] = scan_page
            serving.shutdown()
    title = re.search(r"<title>(\{.*?\})</title>", done.stdout)
    assert title, "the page did not measure"
    times: dict[str, float] = json.loads(unescape(title[1]))
    return times


def ahead() -> bool:
    """Whether this process has priority over other work of the machine: by the nice value of its session on Linux."""
    group = Path("/proc/self/autogroup")  # "/autogroup-25 nice -15"; empty where the kernel forms no groups
    nice = re.search(r"nice (-?\d+)", group.read_text(encoding="ascii")) if group.is_file() else None
    return nice is not None and int(nice[1]) < 0


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    options = parse(parser_of(__doc__), argv, RESULTS / "review_times.json")
    rows = []
    for faces in FACES[options.quick]:
        mesh = synthetic_arch(3, jaw=1, faces=faces, variation=Variation.none())
        rows.append({"faces": len(mesh.faces), "prepare": preparing(mesh),
                     "answers": answers(mesh, 1 if options.quick else ROUNDS), "frames": frames(mesh)})  # fmt: skip
        print(rows[-1], flush=True)
    content = {"facts": provenance.facts(), "load": os.getloadavg()[0], "ahead": ahead(), "rows": rows}
    write_text(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
