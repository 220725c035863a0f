from __future__ import annotations

import io
import re
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from rich.live import Live

from toothgraph.stages import stage
from toothgraph.system import progress
from toothgraph.system.progress import Display


def drawn(display: Display, width: int) -> list[str]:
    """The lines of a terminal of that width, without colours."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None, soft_wrap=True)
    console.print(display.lines(console))
    return [line.rstrip() for line in out.getvalue().splitlines() if line.strip()]


def at_work(done: int = 2, total: int = 3, unit: str = "scans") -> Display:
    display = Display("labelling", total, unit)
    display.begin("0001_upper")
    display.show(done)
    display.stage("placing borders")
    return display


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
def test_two_lines_that_never_wrap(width: int) -> None:
    display = at_work()
    display.begin("a-scan-with-a-name-that-is-longer-than-any-terminal-" * 4)
    first, second = drawn(display, width)
    assert len(first) < width and len(second) < width - 2  # the ^C of a terminal fits behind it
    assert "2 of 3 scans" in first and second.strip().startswith("a-scan-with-a-name"[: width - 10])


def test_the_lines_say_all_there_is_to_know() -> None:
    display = at_work()
    display._end = time.monotonic() + 83.2
    display._item_begun = time.monotonic() - 5.1
    first, second = drawn(display, 80)
    assert re.fullmatch(r"labelling  ━+ +2 of 3 scans  1:23 left", first)
    assert second == "  0001_upper: placing borders  0:05"
    display.facts, display.note = "loss 0.4", "stopping after this step"
    assert drawn(display, 80)[1].startswith("  stopping after this step, 0001_upper: placing borders, loss 0.4")


def test_a_program_without_a_console_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with Display("labelling", 1, every=None) as display:
        display.stage("reading")


def test_one_scan_needs_no_bar() -> None:
    display = Display("labelling", 1, item="big_L")
    display.stage("reading")
    assert drawn(display, 80) == ["labelling  big_L: reading"]


def test_time_left_is_that_of_those_still_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    display = Display("training", 600, "steps")
    display.start_at(400)  # a resumed run: those before take no time now
    now[0] = 130.0  # what was before the first step says nothing of the steps
    display.begin("")
    assert "left" not in display.line()
    now[0] = 140.0
    display.show(410)
    assert display.line() == "training 410 of 600 steps, 3:10 left"
    now[0] = 150.0
    assert display.line().endswith("3:00 left")
    now[0] = 900.0
    assert display.line() == "training 410 of 600 steps"


def test_plain_lines_elsewhere_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    began, every = time.monotonic(), 0.05
    with Display("labelling", every=every) as display:
        for _ in display.over([Path("a_U.stl"), Path("b_L.stl")]):
            stage("reading")
            time.sleep(0.12)
    most = (time.monotonic() - began) / every
    out, err = capsys.readouterr()
    first, *others = err.splitlines()
    assert out == "" and first == "labelling 2 scans"
    assert others[0] == "labelling 0 of 2 scans, a_U: reading"
    assert 2 <= len(others) <= most and others[-1].startswith("labelling 1 of 2 scans, b_L: reading")
    assert any(line.startswith("labelling 1 of 2 scans, b_L: reading, 0:0") for line in others)  # if late, no time
    stage("writing")  # nobody listens any more
    assert capsys.readouterr().err == ""


def test_the_line_of_one_scan_reads_as_a_sentence() -> None:
    display = Display("labelling", 1, item="ann lower")
    display.stage("drawing the picture")
    assert display.line() == "labelling ann lower: drawing the picture"
    assert Display("starting").line() == "starting"


def test_short_work_says_one_line_and_a_quiet_one_none(capsys: pytest.CaptureFixture[str]) -> None:
    with Display("showing", item="a_U"):
        pass
    with Display("starting", every=None):
        pass
    with Display("training", 5, "steps", announce=False):
        pass
    assert capsys.readouterr().err == "showing a_U\n"


def test_other_processes_of_a_run_are_silent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    with Display("labelling", 2, every=0.01) as display:
        display.begin("a")
        time.sleep(0.05)
    assert capsys.readouterr().err == ""


def test_ctrl_c_tells_how_far_it_came() -> None:
    with pytest.raises(KeyboardInterrupt, match=r"2 of 3 scans done$"), at_work():
        raise KeyboardInterrupt
    said = "0 of 2 scans done; to go on, run the same command again"
    with pytest.raises(KeyboardInterrupt, match=said), Display("preparing", 2, goes_on=True):
        raise KeyboardInterrupt


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_stage_is_on_the_terminal_before_what_follows_can_block_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Display("labelling") as display:
        display.stage("cutting")
        assert "cutting" in sys.stderr.getvalue()  # at once, without the thread that draws now and then


def test_ctrl_c_while_it_is_drawn_first_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its lines would stay on the terminal, below what is said of the stop."""

    def pressed(live: Live) -> None:
        if live.is_started and not stopped:
            stopped.append(True)
            raise KeyboardInterrupt

    stopped: list[bool] = []
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(Live, "refresh", pressed)
    with pytest.raises(KeyboardInterrupt), Display("labelling", 2):
        pass
    assert stopped and sys.stderr is terminal  # rich has given it back
