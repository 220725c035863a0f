"""A browser for the tests of the page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
# What the steps may use. They fill `out`, which the test gets back.
HELP = """
<script>
const errors = [], out = { messages: errors };
window.addEventListener("error", (event) => errors.push(event.message));
const pixels = () => { draw(); const a = new Uint8Array(4 * canvas.width * canvas.height);
  gl.readPixels(0, 0, canvas.width, canvas.height, gl.RGBA, gl.UNSIGNED_BYTE, a); return a; };
const differ = (a, b) => { let n = 0; for (let k = 0; k < a.length; k += 4) {
  n += a[k] !== b[k] || a[k + 1] !== b[k + 1] || a[k + 2] !== b[k + 2]; } return n / (a.length / 4); };
const press = (box, text) =>
  [...document.querySelectorAll(`${box} button`)].find((b) => b.textContent.trim() === text).click();
const key = (name) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
const text = (id) => document.getElementById(id).textContent;
const click = (x, y) => {
  const { left, top } = canvas.getBoundingClientRect(), values = { pointerId: 1, clientX: left + x, clientY: top + y };
  for (const kind of ["pointerdown", "pointerup"]) canvas.dispatchEvent(new PointerEvent(kind, values));
};
canvas.setPointerCapture = () => {}; // there is no real pointer
const written = () => { draw(); return [...document.querySelectorAll("#marks text")].map((t) =>
  [t.textContent, +t.getAttribute("x"), +t.getAttribute("y")]); };
const where = (label) => written().find(([t]) => t === String(label))?.slice(1);
const differences = () => [...document.querySelectorAll("#differences tbody tr")].map(
  (row) => [...row.cells].map((cell) => cell.textContent.trim()));
const wait = () => new Promise((then) => setTimeout(then, 100));
window.addEventListener("load", async () => {
  try { STEPS } catch (error) { errors.push(`${error}`); }
  document.title = JSON.stringify(out);
});
</script>
"""


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Opens a page, runs steps of JavaScript in it, and returns what they left in ``out``."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium")

    def run(page: Path, steps: str, *flags: str, size: str = "900,600") -> dict[str, Any]:
        content = re.sub("'sha256-[^']+'", "'unsafe-inline'", page.read_text(encoding="utf-8"), count=1)
        page.write_text(content + HELP.replace("STEPS", steps), encoding="utf-8")
        done = subprocess.run(
            [CHROMIUM, "--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader",
             "--enable-unsafe-swiftshader", "--no-first-run", "--disable-background-networking", "--disable-sync",
             "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={size}",
             "--virtual-time-budget=3000", *flags, "--dump-dom", page.as_uri()],
            capture_output=True, text=True, timeout=300, check=True,
        )  # fmt: skip
        found = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
        assert found
        out: dict[str, Any] = json.loads(unescape(found[1]))
        assert out["messages"] == []
        return out

    return run
