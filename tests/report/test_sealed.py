"""A page runs its own script, and nothing that got into it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from toothgraph.anatomy.measures import measure_arch
from toothgraph.mesh.mesh import Mesh
from toothgraph.report.index import entry_of, write_index
from toothgraph.report.page import write_page
from toothgraph.report.sealed import sealed
from toothgraph.report.tooth_table import tooth_table

from .conftest import CHROMIUM

STRANGE = "<img src=x onerror=\"document.title = 'hacked'\"><script>document.title = 'hacked'</script>"


def test_one_script_is_hashed() -> None:
    page = sealed("<meta content=\"script-src '__HASH__'\"><script type='a'>1</script><script>alert(1)</script>")
    # echo -n 'alert(1)' | openssl dgst -sha256 -binary | base64
    assert "script-src 'sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI='" in page
    with pytest.raises(ValueError, match="too many values"):
        sealed("<script>1</script><script>2</script>")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("kind", ["page", "index"])
def test_only_its_own_script_runs(kind: str, arch: Mesh, tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    if kind == "page":
        write_page(page, arch, arch.labels, title="a")
    else:
        rows = tooth_table(arch, arch.labels)
        write_index(tmp_path, [entry_of("a_U", arch, arch.labels, rows, measure_arch(arch))])
    page.write_text(page.read_text(encoding="utf-8") + STRANGE, encoding="utf-8")
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--no-first-run",
         "--enable-unsafe-swiftshader", f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000",
         "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    found = re.search(r"<title>(.*?)</title>", done.stdout)
    assert found and found[1] == f"{'a' if kind == 'page' else tmp_path.name} – toothgraph"
