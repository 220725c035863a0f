"""A scan under review, its server, and a browser for its page."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from toothgraph.anatomy.doubt import Doubt, as_doubt
from toothgraph.mesh.mesh import Mesh
from toothgraph.review import server as server_module
from toothgraph.review.scans import Scans
from toothgraph.review.server import ReviewServer
from toothgraph.review.store import Start
from toothgraph.review.surface import Surface
from toothgraph.synthetic import Variation, synthetic_arch

from ..report.conftest import CHROMIUM, HELP


@pytest.fixture(scope="session")
def crowns() -> Mesh:
    """A plain labelled lower arch of about 6000 faces. Shared: do not change it."""
    return synthetic_arch(3, jaw=1, faces=6000, variation=Variation.none())


@pytest.fixture(scope="session")
def surface(crowns: Mesh) -> Surface:
    return Surface(crowns)


@pytest.fixture(scope="session")
def middle(crowns: Mesh) -> Callable[[int], int]:
    """The face in the middle of a tooth's crown, seen from the bite."""

    def face(tooth: int) -> int:
        own = np.flatnonzero(crowns.labels == tooth)
        out = np.average(crowns.normals[own], axis=0, weights=crowns.areas[own])
        out /= np.linalg.norm(out)
        off = crowns.centroids[own] - np.average(crowns.centroids[own], axis=0, weights=crowns.areas[own])
        height = off @ out
        flat = np.linalg.norm(off - np.outer(height, out), axis=1)
        near = np.flatnonzero(flat <= max(1.0, flat.min() + 0.2))
        return int(own[near[height[near].argmax()]])

    return face


def start_of(mesh: Mesh, labels: np.ndarray, doubts: tuple[Doubt | str, ...] = ()) -> Start:
    """What a review begins with, as a model would say it."""
    teeth = {int(fdi): 0.9 for fdi in np.unique(labels[labels > 0])}
    return Start(
        labels, np.full(len(labels), 0.9), "test", mesh.jaw, False, list(map(as_doubt, doubts)), teeth, 0.9, ""
    )


@dataclass
class Running:
    """A server at work, and the scans that it serves."""

    server: ReviewServer
    scans: Scans
    folder: Path

    def ask(self, method: str, place: str, content: Any = None, **headers: str) -> tuple[int, Any]:
        """The status and the answer, as JSON or text; ``place`` is behind the token."""
        return self.raw(method, urlsplit(self.server.address).path + place, content, **headers)

    def raw(self, method: str, path: str, content: Any = None, **headers: str) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_address[1], timeout=60)
        body = None if content is None else json.dumps(content)
        given = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(
            method, path, body, {**given, **{name.replace("_", "-"): one for name, one in headers.items()}}
        )
        answer = connection.getresponse()
        text = answer.read().decode("utf-8")
        connection.close()
        return answer.status, json.loads(text) if answer.headers["Content-Type"] == "application/json" else text

    def step(self, version: int, name: str = "one_L", **step: Any) -> tuple[int, Any]:
        return self.ask("POST", f"step/{name}", {"version": version, "step": step})


@pytest.fixture
def serve(crowns: Mesh, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts a server on scans by name; all show ``crowns``, with the labels given, or the labelled mesh of their
    name."""
    running: list[Running] = []

    def start(
        labels: np.ndarray | None = None,
        names: tuple[str, ...] = ("one_L",),
        meshes: Mapping[str, Mesh] | None = None,
        **more: Any,
    ) -> Running:
        own = crowns.labels if labels is None else labels
        shown = meshes or {name: replace(crowns, labels=own) for name in names}
        folder = tmp_path / "reviewed"
        scans = Scans(
            {name: tmp_path / f"{name}.ply" for name in shown}, folder,
            lambda path, name: replace(shown[name], scan_id=name, labels=None, path=path),
            lambda mesh: start_of(mesh, shown[mesh.scan_id].labels, **more),
        )  # fmt: skip
        server = ReviewServer(scans)
        threading.Thread(target=server.run, daemon=True).start()
        running.append(Running(server, scans, folder))
        return running[-1]

    yield start
    for one in running:
        one.server.shutdown()


@pytest.fixture
def dump(tmp_path: Path) -> Callable[..., str]:
    """Opens an address in a browser, and returns the page as it is then."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium")

    def run(address: str, *flags: str) -> str:
        return subprocess.run(
            [CHROMIUM, "--headless", "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader",
             "--enable-unsafe-swiftshader", "--no-first-run", "--disable-background-networking", "--disable-sync",
             "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1100,800",
             "--virtual-time-budget=20000", *flags, "--dump-dom", address],
            capture_output=True, text=True, timeout=300, check=True,
        ).stdout  # fmt: skip

    return run


@pytest.fixture
def drive(dump: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Opens the page of a scan in a browser, runs steps of JavaScript in it, and returns what they left in ``out``."""
    steps = {"": ""}
    scan_page = server_module.scan_page

    def with_steps(*given: Any) -> str:
        page = re.sub("'sha256-[^']+'", "'unsafe-inline'", scan_page(*given), count=1)
        return page + HELP.replace("STEPS", steps[""])

    monkeypatch.setattr(server_module, "scan_page", with_steps)

    def run(running: Running, script: str, place: str = "scan/one_L") -> dict[str, Any]:
        steps[""] = script
        found = re.search(r"<title>(.*?)</title>", dump(f"{running.server.address}{place}"), re.DOTALL)
        assert found
        out: dict[str, Any] = json.loads(unescape(found[1]))
        assert out["messages"] == []
        return out

    return run
