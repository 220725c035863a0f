"""Draw the pictures of a review in the how-to, docs/images/review-*.webp: ``python docs/make_review_pictures.py``.

A synthetic arch with mistakes is reviewed in a real browser, Chromium without a window: two teeth under one number are
split, a tooth without a label is added, and a border is drawn. No patient's scan.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from toothgraph.anatomy.doubt import Doubt
from toothgraph.mesh.mesh import Mesh
from toothgraph.review import server
from toothgraph.review.scans import Scans
from toothgraph.review.store import Start
from toothgraph.synthetic import synthetic_arch

IMAGES = Path(__file__).resolve().parent / "images"
FACES = 60_000
SIZE = 1200, 800
SPLIT, MISSING = (36, 37), 44  # teeth under one number; a tooth without one
HEAD = """
  const truth = TRUTH, of = (fdi) => truth.flatMap((label, f) => label === fdi ? [f] : []);
  const seen = (faces) => { const scan = data.scans[0], at = project(scan); let [x, y] = [0, 0];
    for (const f of faces) { const v = 3 * scan.faces[3 * f]; x += at[v]; y += at[v + 1]; }
    return [state.width / 2 + x / faces.length * state.scale, state.height / 2 - y / faces.length * state.scale]; };
  const click = (faces) => { const [x, y] = seen(faces); clicked(x, y); };
"""
PICTURES = {
    "begin": "pick(36);",
    "split": "chooseTool('split'); click(of(36)); click(of(37)); await last;",
    "new": "chooseTool('add'); click(of(44)); await last;",
    "border": """
      pick(47); chooseTool("border");
      const [cx, cy] = seen(of(47));
      const around = 5.2 * state.scale;
      for (let k = 0; k < 7; k++) clicked(cx + around * Math.cos(0.8 * k), cy + around * Math.sin(0.8 * k));
    """,
}


def main() -> None:
    """Review the arch, and write a picture after each step."""
    mesh = synthetic_arch(3, jaw=1, faces=FACES)
    assert mesh.labels is not None
    labels = np.where(mesh.labels == SPLIT[1], SPLIT[0], mesh.labels)
    labels = np.where(labels == MISSING, 0, labels)
    teeth = {int(fdi): 0.95 for fdi in np.unique(labels[labels > 0])}
    doubts = [Doubt.of("", [36], " is very large: are these two teeth?"),
              Doubt.of("", [44], " is missing, and there is no gap")]  # fmt: skip
    start = Start(labels, np.full(len(labels), 0.95), "", 1, False, doubts, teeth, 0.95, "")
    with TemporaryDirectory() as folder:
        scans = Scans({"arch_lower": Path("arch_lower.stl")}, Path(folder) / "reviewed",
                      lambda path, name: replace(mesh, scan_id=name, labels=None), lambda _: start)  # fmt: skip
        page, steps = server.scan_page, {"": ""}
        server.scan_page = lambda *given: with_steps(page(*given), steps[""], mesh)  # type: ignore[assignment]
        serving = server.ReviewServer(scans)
        threading.Thread(target=serving.run, daemon=True).start()
        for name, script in PICTURES.items():
            steps[""] = script
            image = screenshot(f"{serving.address}scan/arch_lower", Path(folder))
            image.save(IMAGES / f"review-{name}.webp", quality=80)
            print(IMAGES / f"review-{name}.webp")
        serving.shutdown()


def with_steps(page: str, script: str, mesh: Mesh) -> str:
    """The page with what is done on it."""
    assert mesh.labels is not None
    page = re.sub("'sha256-[^']+'", "'unsafe-inline'", page, count=1)
    steps = HEAD.replace("TRUTH", str(mesh.labels.tolist())) + script
    return f"{page}<script>window.addEventListener('load', async () => {{ {steps} }});</script>"


def screenshot(address: str, folder: Path) -> Image.Image:
    """What a browser shows after some seconds."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        raise SystemExit("expected Chromium, found none")
    file = folder / "page.png"
    width, height = SIZE
    subprocess.run(
        [browser, "--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--no-first-run",
         "--enable-unsafe-swiftshader", f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{height}",
         "--virtual-time-budget=20000", "--hide-scrollbars", f"--screenshot={file}", address],
        check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    return Image.open(io.BytesIO(file.read_bytes())).convert("RGB")


if __name__ == "__main__":
    main()
