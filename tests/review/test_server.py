"""Who is answered, and what; and that nobody else is."""

from __future__ import annotations

import errno
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from toothgraph.anatomy.doubt import Doubt
from toothgraph.io.renumber import renumber
from toothgraph.io.write import write_labelled
from toothgraph.mesh.mesh import Mesh
from toothgraph.report.page import UNKNOWN
from toothgraph.review.page import labels_data

Serve = Callable[..., Any]
EVIL = "</script><img src=x onerror='document.title = 1'>"


def test_a_scan_is_listed_shown_and_changed(crowns: Mesh, serve: Serve) -> None:
    running = serve(doubts=(Doubt.of("", "look at ", [36]),))
    running.scans.prepare_all()
    status, listed = running.ask("GET", "scans")
    (row,) = listed["scans"]
    assert status == 200 and row["name"] == "one_L" and row["state"] == "unseen" and row["teeth"] == 14
    assert row["jaw"] == "lower" and row["doubts"] == [["look at ", 36]]
    assert "Review" in running.ask("GET", "")[1]
    status, page = running.ask("GET", "scan/one_L")
    assert status == 200 and '"onward": ""' in page and "connect-src 'self'" in page
    status, said = running.step(0, kind="swap", tooth=36, to=37)
    assert status == 200 and (said["version"], said["state"], said["undo"], said["redo"]) == (1, "corrected", 1, 0)
    np.testing.assert_array_equal(said["changed"], np.flatnonzero(np.isin(crowns.labels, [36, 37])))
    assert {row["fdi"]: row["confidence"] for row in said["teeth"]}[36] is None  # a person has said so
    assert running.step(1, kind="approve")[1]["state"] == "approved"
    assert running.step(2, kind="gingiva", tooth=37)[1]["state"] == "corrected"
    assert running.step(3, kind="approve")[1]["state"] == "approved"
    for listing in (running, serve()):  # a server that has not read the scan yet knows it, too
        (row,) = listing.ask("GET", "scans")[1]["scans"]
        assert row["state"] == "approved" and row["teeth"] == 13
    assert json.loads((running.folder / "one_L.json").read_text())["review"]["version"] == 4
    status, said = running.step(4, kind="gingiva", tooth=38)  # numbers are numbers, so that a page can show others
    assert status == 422 and said["error"][:3] == ["no tooth has the number ", 38, "; the teeth are "]
    assert said["error"][3::2] == [47, 46, 45, 44, 43, 42, 41, 31, 32, 33, 34, 35, 36]


def test_the_address_without_its_last_slash_leads_to_the_list(serve: Serve) -> None:
    running = serve()
    status, _ = running.raw("GET", urlsplit(running.server.address).path.removesuffix("/"))
    assert status == 308
    assert running.raw("GET", "/wrong")[0] == 403


def test_a_scan_is_prepared_for_its_tools_once_its_page_is_sent(serve: Serve) -> None:
    running = serve()
    surface = running.scans.open("one_L").surface
    assert not {"decimated", "_nearest"} & set(surface.__dict__)
    running.ask("GET", "scan/one_L")
    until = time.monotonic() + 30
    while not {"decimated", "_nearest"} <= set(surface.__dict__):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_two_windows_do_not_lose_each_others_work(crowns: Mesh, serve: Serve) -> None:
    running = serve()
    assert running.step(0, kind="gingiva", tooth=37)[0] == 200
    status, said = running.step(0, kind="gingiva", tooth=36)
    assert status == 409 and "another window" in said["error"] and said["version"] == 1
    assert said["labels"] == labels_data(np.where(crowns.labels == 37, 0, crowns.labels))
    assert running.step(1, kind="gingiva", tooth=36)[0] == 200
    # a second server on the same folder
    other = serve()
    assert other.step(2, kind="gingiva", tooth=35)[0] == 200
    status, said = running.step(2, kind="gingiva", tooth=34)
    assert status == 409 and said["version"] == 3
    assert running.step(3, kind="gingiva", tooth=34)[1]["version"] == 4


def test_another_command_does_not_lose_its_work(crowns: Mesh, serve: Serve) -> None:
    running = serve()
    assert running.step(0, kind="gingiva", tooth=37)[0] == 200
    renumber(running.folder / "one_L.json", {36: 37})
    status, said = running.step(1, kind="gingiva", tooth=35)
    assert status == 409 and "another command has changed the label files" in said["error"] and said["version"] == 2
    assert said["labels"] == labels_data(np.select([crowns.labels == 36, crowns.labels == 37], [37, 0], crowns.labels))
    assert running.step(2, kind="gingiva", tooth=35)[0] == 200


def test_unknown_labels_travel(crowns: Mesh, serve: Serve) -> None:
    labels = crowns.labels.copy()
    labels[:5] = -1
    running = serve(labels)
    assert running.ask("GET", "labels/one_L")[1]["labels"] == labels_data(np.where(labels < 0, UNKNOWN, labels))
    assert running.step(0, kind="paint", to=-1, faces=[6])[1]["to"] == labels_data(np.array([-1]))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1:1"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_other_pages_change_nothing(serve: Serve, headers: dict[str, str], status: int) -> None:
    running = serve()
    content = {"version": 0, "step": {"kind": "gingiva", "tooth": 36}}
    assert running.ask("POST", "step/one_L", content, **headers)[0] == status
    assert not (running.folder / "one_L.json").exists()
    assert running.ask("POST", "step/one_L", content, Origin=running.server.address.split("/", 3)[0] + "//" +
                       running.server.address.split("/", 3)[2])[0] == 200  # fmt: skip


def test_without_the_token_nothing_is_told(serve: Serve) -> None:
    running = serve()
    for path in (
        "/",
        "/scans",
        "/x/scans",
        f"/{running.server.token[:-1]}/scans",
        f"/{running.server.token}x/scan/one_L",
    ):
        status, said = running.raw("GET", path)
        assert status == 403 and "one_L" not in json.dumps(said)
    assert running.raw("POST", "/x/step/one_L", {"version": 0, "step": {"kind": "approve"}})[0] == 403
    status, page = running.ask("GET", "")
    assert status == 200 and running.server.token not in page


@pytest.mark.parametrize(
    "place",
    ["scan/../../../etc/passwd", "scan/..%2f..%2fetc%2fpasswd", "scan/%2fetc%2fpasswd", "labels/one_L.json", "scan/",
     "scan/one_L/..", "step/one_L", "web/edit.js", "..", "patient/none"],
)  # fmt: skip
def test_there_are_no_files_to_be_had(serve: Serve, place: str) -> None:
    assert serve().ask("GET", place)[0] == 404


@pytest.mark.parametrize(
    "content", [[], {}, {"version": "0", "step": {}}, {"version": 0, "step": []}, {"version": True}]
)
def test_nonsense_is_refused(serve: Serve, content: Any) -> None:
    running = serve()
    assert running.ask("POST", "step/one_L", content)[0] == 400
    assert running.step(0, kind="none")[0] == 422


@pytest.mark.parametrize("length", ["99999999999", "9" * 5000, "\u00b2", "-1", "1e3", ""])
def test_a_long_request_is_not_read(length: str, serve: Serve) -> None:
    assert serve().ask("POST", "step/one_L", {}, Content_Length=length)[0] == 413


def test_a_fault_of_the_disk_says_what_was_not_done(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    running = serve()
    for name in ("step", "listed"):
        monkeypatch.setattr(running.scans, name, fails)
    assert running.step(0, kind="gingiva", tooth=36) == (500, {"error": "not saved: No space left on device"})
    assert running.ask("GET", "scans") == (500, {"error": "not read: No space left on device"})


def test_what_nobody_foresaw_is_told_on_the_page_in_one_line(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    running = serve()
    monkeypatch.setattr(running.scans, "step", lambda *given: 1 / 0)
    status, said = running.step(0, kind="gingiva", tooth=36)
    assert (status, said) == (500, {"error": "unexpected ZeroDivisionError: division by zero"})
    assert "Traceback" not in capfd.readouterr().err


def test_an_error_behind_an_answer_is_no_answer_to_the_next_request(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = serve()
    monkeypatch.setattr(running.server, "beside", lambda work: 1 / 0)  # what comes after the page
    connection = http.client.HTTPConnection("127.0.0.1", running.server.server_address[1])
    connection.request("GET", f"/{running.server.token}/scan/one_L")
    answer = connection.getresponse()
    assert answer.status == 200 and answer.read()
    connection.request("GET", f"/{running.server.token}/scans")
    with pytest.raises(http.client.RemoteDisconnected):  # a browser asks again
        connection.getresponse()


def test_names_and_doubts_are_text(serve: Serve) -> None:
    running = serve(names=("<img src=x>_L",), doubts=(EVIL,))
    status, page = running.ask("GET", "scan/%3Cimg%20src%3Dx%3E_L")
    assert status == 200 and EVIL not in page and "<img src=x>" not in page
    status, _ = running.ask("POST", "step/%3Cimg%20src%3Dx%3E_L", {"version": 0, "step": {"kind": "approve"}})
    assert status == 200 and (running.folder / "<img src=x>_L.json").is_file()


AT_WORK = """
import sys
import torch
from toothgraph.cli import main
from toothgraph.review import begin, server
def endless(*given):
    print("at work", flush=True)
    while True:
        torch.nn.functional.linear(torch.ones(99, 99), torch.ones(99, 99, requires_grad=True)).sum().backward()
server.PATIENCE = 0.5
begin.begin = endless
main(sys.argv[1:], prog_name="toothgraph")
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize(("signal_", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_while_a_scan_is_labelled_the_command_ends_as_documented(
    signal_: int, code: int, arch: Mesh, tmp_path: Path
) -> None:
    """A new interpreter, since it is how that ends which went wrong."""
    with zipfile.ZipFile(tmp_path / "scans.zip", "w") as packed:
        (scan,) = write_labelled(tmp_path / "scans", "one_U", arch, arch.labels, ("ply",))
        packed.write(scan, "one_U.ply")
    words = [sys.executable, "-c", AT_WORK, "review", tmp_path / "scans.zip", "--labels", tmp_path, "--no-browser"]
    (tmp_path / "unpacked").mkdir()
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "unpacked")},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        while process.stdout.readline() != "at work\n":
            assert process.poll() is None
        process.send_signal(signal_)
        _, err = process.communicate(timeout=120)
    assert process.returncode == code, err
    assert err.endswith("stopped: 0 of 1 scan approved; to go on, run the same command again\n")
    assert not list((tmp_path / "unpacked").iterdir())


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_the_command_is_killed_and_goes_on(crowns: Mesh, tmp_path: Path, apart: Callable[..., BaseProcess]) -> None:
    write_labelled(tmp_path / "scans", "one_L", crowns, crowns.labels, ("vtp",))
    labels = tmp_path / "reviewed"

    said, told = tmp_path / "said", tmp_path / "told"
    os.mkfifo(said)

    def started() -> tuple[BaseProcess, str]:
        process = apart("review", tmp_path / "scans", "--labels", labels, "--no-browser", out=said, err=told)
        with said.open() as lines:
            line = lines.readline()
        assert "1 scan at http://127.0.0.1:" in line
        return process, line.split()[-1]

    def step(address: str, version: int, **content: Any) -> dict[str, Any]:
        body = json.dumps({"version": version, "step": content}).encode()
        asked = urllib.request.Request(f"{address}step/one_L", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=60) as answer:
            said: dict[str, Any] = json.loads(answer.read())
            return said

    process, address = started()
    assert step(address, 0, kind="swap", tooth=36, to=37)["version"] == 1
    process.kill()
    process.join()
    process, address = started()
    assert step(address, 1, kind="approve")["state"] == "approved"
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    process.join(30)
    err = told.read_text()
    assert process.exitcode == 130 and err.endswith(
        "stopped: 1 of 1 scan approved; to go on, run the same command again\n"
    )
    assert f"next: toothgraph finetune {tmp_path / 'scans'} --labels {labels} --init default --out runs/" in err
    assert json.loads((labels / "one_L.json").read_text())["review"]["version"] == 2
