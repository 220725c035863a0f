"""The first command after an installation."""

from __future__ import annotations

import shlex
import time
import webbrowser
from pathlib import Path

import pytest

from toothgraph.cli import demo


def test_it_labels_opens_and_says_what_to_do_next(command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(demo, "FACES", 2500)
    monkeypatch.setattr(webbrowser, "open", lambda page: opened.append(page) or True)
    monkeypatch.chdir(tmp_path)
    done = command("demo", "first look", "--open")
    labelled = tmp_path / "first look" / "labelled"
    page = labelled / "demo.both.html"
    assert done.labelled and opened == [page.as_uri()]  # of so few faces, perhaps with doubts
    for file in (page, labelled / "demo_upper.png", labelled / "demo_lower.ply", labelled / "index.html"):
        assert file.stat().st_size > 1000
    shown = shlex.split(done.out.splitlines()[0])
    assert shown[:4] == ["$", "toothgraph", "predict", "first look/scans/demo_upper.stl"]
    assert shown[-3:] == ["--out", "first look/labelled", "--report"]
    assert demo.NEXT in done.out and "right on" in done.out and "demo_lower: lower jaw" in done.out
    files = [tmp_path / "first look" / "scans" / f"demo_{jaw}.stl" for jaw in ("upper", "lower")]
    monkeypatch.setattr(demo, "_write_scans", lambda folder: files)
    monkeypatch.setattr(webbrowser, "open", lambda page: opened.append(page) or False)
    again = command("demo", "first look", "--open")
    assert (
        "2 of 2 scans were labelled before" in again.err and "no browser was found; open the page in one" in again.out
    )
    assert len(opened) == 2 and command("demo", "first look", "--no-open").labelled and len(opened) == 2


@pytest.mark.parametrize(
    ("platform", "there", "terminal", "opens"),
    [
        ("linux", {}, True, False),
        ("linux", {"DISPLAY": ":0"}, True, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True, True),
        ("linux", {"DISPLAY": ":0"}, False, False),  # in a script
        ("darwin", {}, True, True),
        ("darwin", {"SSH_CONNECTION": "10.0.0.1 22"}, True, False),
    ],
)
def test_a_browser_is_opened_where_a_person_sees_it(
    platform: str, there: dict[str, str], terminal: bool, opens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in there.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    assert demo._screen() is opens


def test_it_is_offered_and_guessed(command) -> None:
    assert "demo" in command("--help").out
    assert "did you mean 'demo'?" in command("deno").err


@pytest.mark.slow
def test_as_it_stands_it_takes_less_than_a_minute_and_is_mostly_right(command, tmp_path: Path) -> None:
    start = time.process_time()  # of one core, whatever else the machine does
    done = command("demo", tmp_path, "--no-open")
    assert done.code == 0 and time.process_time() - start < 60
    assert int(done.out.split("right on ")[1].split(" %")[0]) >= 90
