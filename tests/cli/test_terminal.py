"""What a user sees: the commands in a terminal, and the lines it ends up with."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from toothgraph.cli import terminal
from toothgraph.cli.terminal import folded, say_fact

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")


class Screen:
    """As much of a terminal as the display uses: it wraps at its width, goes up, and erases lines."""

    def __init__(self, width: int) -> None:
        self.width, self.rows, self.row, self.column = width, [""], 0, 0

    def feed(self, text: str) -> None:
        for match in re.finditer(r"\x1b\[([?\d;]*)([A-Za-z])|([^\x1b])", text):
            code, letter = match[1], match[2] or match[3]
            if code is None:
                self._put(letter)
            elif letter == "A":
                self.row = max(0, self.row - int(code or 1))
            elif letter == "K":
                self.rows[self.row] = ""
            else:
                assert letter in "mhl", f"the screen of the test does not know {code}{letter}"

    def _put(self, letter: str) -> None:
        if letter == "\r":
            self.column = 0
        elif letter == "\n":
            self._down()
        else:
            if self.column == self.width:
                self._down()
                self.column = 0
            line = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = line[: self.column] + letter + line[self.column + 1 :]
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")

    @property
    def lines(self) -> list[str]:
        return [row.rstrip() for row in self.rows if row.strip()]


Pressed = Callable[[Screen], bool]
Outcome = tuple[int, Screen, str]
OWN_TERMINAL = """
import fcntl, termios
os.setsid()
fcntl.ioctl(1, termios.TIOCSCTTY, 0)
for name in ("COLUMNS", "LINES"):
    os.environ.pop(name, None)
os.environ |= {"TERM": "xterm", "LANG": "C.UTF-8"}
"""


def never(screen: Screen) -> bool:
    return False


def in_terminal(width: int, *args: object, stdout: Path | None = None, ctrl_c: Pressed = never) -> Outcome:
    """Run a command in a terminal: its exit code, what the terminal shows at the end, and all it was sent."""
    import pty

    pid, terminal = pty.fork()
    if pid == 0:  # the command
        os.chdir(ROOT)
        if stdout is not None:
            os.dup2(os.open(stdout, os.O_WRONLY | os.O_CREAT), 1)
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
        environment |= {"TERM": "xterm", "LANG": "C.UTF-8"}
        os.execvpe(sys.executable, [sys.executable, "-m", "toothgraph", *map(str, args)], environment)
    screen, sent = watched(terminal, width, ctrl_c, lambda: True, lambda: os.kill(pid, signal.SIGKILL))
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    # As a shell says it: Python itself ends by the signal if Ctrl-C came while it ran code from a string, as that of a
    # dataclass.
    return code if code >= 0 else 128 - code, screen, sent


@pytest.fixture
def in_quick_terminal(apart: Callable[..., BaseProcess]) -> Callable[..., Outcome]:
    """The same, for commands that load torch: in a process that has done so."""
    import pty

    def run(width: int, *args: object, ctrl_c: Pressed = never) -> Outcome:
        terminal, other = pty.openpty()
        process = apart(*args, out=os.ttyname(other), err=os.ttyname(other), before=OWN_TERMINAL)
        screen, sent = watched(terminal, width, ctrl_c, process.is_alive, process.kill)
        os.close(other)
        process.join()
        assert process.exitcode is not None
        return process.exitcode, screen, sent

    return run


def watched(
    terminal: int, width: int, ctrl_c: Pressed, alive: Callable[[], bool], kill: Callable[[], None]
) -> tuple[Screen, str]:
    """What a terminal of this width shows once its command has ended, and all it was sent."""
    import fcntl
    import termios

    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
    screen, sent, pressed, deadline = Screen(width), b"", False, time.monotonic() + 300
    with contextlib.suppress(OSError):  # the command has closed the terminal
        while time.monotonic() < deadline:
            lives = alive()
            if select.select([terminal], [], [], 0.05)[0]:
                part = os.read(terminal, 65536)
                sent += part
                screen.feed(part.decode())
            elif not lives:
                break
            if not pressed and ctrl_c(screen):
                pressed = True
                os.write(terminal, b"\x03")
        else:
            kill()  # it is late
    os.close(terminal)
    return screen, sent.decode()


def shows(text: str) -> Callable[[Screen], bool]:
    return lambda screen: any(re.search(text, line) for line in screen.lines)


@pytest.mark.parametrize("width", [20, 80])
def test_no_word_is_broken(width: int) -> None:
    text = "007_upper: upper jaw, 3 teeth: 11 12 13 -> results/of-this-patient/007_upper.ply"
    lines = folded(text, width).splitlines()
    assert " ".join(line.strip() for line in lines) == text
    assert all(len(line) <= width or " " not in line.strip() for line in lines)
    assert folded(text, None) == text and folded("a  b", 20) == "a  b"
    assert folded(f"\n  {text}\n\n  next", width) == f"\n{folded(f'  {text}', width)}\n\n  next"  # lines stay apart


def test_the_values_of_a_table_stay_in_their_column(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("toothgraph.cli.terminal.columns", lambda stream: 40)
    say_fact("weights", "a long licence that needs its lines\nand " + "b" * 30)
    say_fact("gpu", "")
    column = " " * 21
    assert capsys.readouterr().out.split("\n") == [
        f"{'weights':<21}a long licence that",
        f"{column}needs its lines",
        f"{column}and",
        f"{column}{'b' * 30}",
        f"{'gpu':<21}",
        "",
    ]


@pytest.mark.parametrize("file", sorted((ROOT / "toothgraph" / "cli").glob("*.py")), ids=lambda file: file.name)
def test_commands_say_what_they_say_in_whole_words(file: Path) -> None:
    assert "click.echo" not in file.read_text(encoding="utf-8"), "use say, which breaks no word on a terminal"


def test_a_command_can_be_copied(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["toothgraph", "finetune", "scans of the autumn", "--init", "runs/autumn", "--out", "runs/autumn-fine"]
    for width in (None, 30, 60, 200):
        monkeypatch.setattr(terminal, "columns", lambda stream, width=width: width)
        terminal.say_command(words, before="next:", err=width != 60)
        said = getattr(capsys.readouterr(), "out" if width == 60 else "err")
        joined = said.replace("\\\n", "")  # as a shell does
        assert shlex.split(joined)[1:] == words and joined.count("\n") == 1
        assert width is None or max(map(len, said.splitlines())) <= width
        assert (said.count("\n") > 1) == (width in (30, 60))


@posix
def test_the_display_leaves_only_results(
    arches: Path, segmenter: Path, in_quick_terminal: Callable[..., Outcome]
) -> None:
    """On a narrow terminal, where most lines wrap; with names so short that no path does."""
    scans = [arches / "0000_upper.stl", arches / "0001_lower.stl"]
    with tempfile.TemporaryDirectory(dir="/tmp") as out:
        code, screen, sent = in_quick_terminal(40, "predict", *scans, "--model", segmenter, "--out", out)
    assert code == 3
    assert "0 of 2 scans" in sent and "0000_upper: " in sent
    assert sent.rfind("\x1b[?25h") > sent.rfind("\x1b[?25l")  # the cursor is shown again
    words = " ".join(line.strip() for line in screen.lines)
    for name in ("0000_upper", "0001_lower"):
        few = r"\d teeth found; does the file show one arch, and is it in millimetres\?"
        assert re.search(f"Warning: {name}: {few}", words)
        assert f"    {out}/{name}.ply" in screen.lines  # whole, to be copied
    assert "labelling" not in words and "━" not in words
    last = "2 of 2 scans are to review, see the warnings above; the labels of 2 cannot be trusted to correct them:"
    assert f"{last} toothgraph review " in words


def test_a_command_does_not_live_on_after_its_last_line(tmp_path: Path) -> None:
    """Python looks through all objects before it ends, which after torch takes a second; they are not to be found."""
    script = "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 10_000)); " + (
        "from toothgraph.cli import main; main(['info', 'nothing'])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "True\n" and "nothing: no such file or folder" in done.stderr


@posix
def test_errors_of_usage_break_no_word(tmp_path: Path) -> None:
    """Also those of click, which a terminal would break at its edge."""
    for given in (["--jaw", "sideways"], ["--format", "plyy"]):
        code, screen, _ = in_terminal(50, "predict", tmp_path, "--out", tmp_path / "out", *given)
        said = [line for line in screen.lines if line.startswith(("Error: ", "    "))]
        words = " ".join(line.strip() for line in said)
        assert code == 2 and len(said) > 1 and given[-1] in words, screen.lines
        assert all(len(line) <= 50 for line in said) and "  " not in words
    code, screen, _ = in_terminal(30, "labell")
    assert code == 2 and " ".join(screen.lines[-2:]).split()[-1] in ("info", "'--help'."), screen.lines


@posix
def test_results_stay_on_stdout_where_that_is_a_file(tmp_path: Path) -> None:
    result = tmp_path / "result.txt"
    _, screen, sent = in_terminal(80, "synth", tmp_path / "out", "--scans", 2, "--faces", 2000, stdout=result)
    assert result.read_text().startswith("Wrote 2 synthetic arches") and "of 2 arches" in sent
    assert screen.lines == []


@posix
def test_a_training_from_ctrl_c_to_its_end(
    arches: Path, tiny_toml: Path, tmp_path: Path, in_quick_terminal: Callable[..., Outcome]
) -> None:
    run = ("pretrain", arches, "--out", tmp_path / "run", "--config", tiny_toml, "--steps", 30, "--validate-every", 10)
    code, screen, sent = in_quick_terminal(80, *run, ctrl_c=shows(r"pre-training .*[4-9] of 30 steps"))
    assert code == 130 and "press Ctrl-C again" in sent
    assert screen.lines[0].startswith("trains on 4 scans") and "begins at step 0 of 30; writes to" in screen.lines
    stopped = re.fullmatch(
        r"stopped at step (\d+) of 30; to go on, run the same command with --resume", screen.lines[-1]
    )
    assert stopped and not any("━" in line or "^C" in line for line in screen.lines)
    code, screen, sent = in_quick_terminal(80, *run, "--resume")
    assert code == 0
    assert f"resumed at step {stopped[1]} of 30; writes to" in screen.lines
    at_start = re.search(r"(\d+) of 30 steps", sent)
    assert at_start and at_start[1] == stopped[1]
    assert re.search(r"loss \d\.\d+", sent) and re.search(r"val_match_top1 0\.\d{4}", sent) and " left" in sent
    words = " ".join(line.strip() for line in screen.lines)
    assert re.search(r"step 30 of 30: loss \S+, val_match_top1 \S+ finished: 30 steps in 0:\d\d, val_match_top1", words)
    assert " wrote " in words and " next: toothgraph finetune " in words
    assert not any("━" in line for line in screen.lines)


@posix
def test_ctrl_c_clears_the_display(tmp_path: Path) -> None:
    code, screen, _ = in_terminal(80, "synth", tmp_path, "--scans", 50, ctrl_c=shows("[2-9] of 50 arches"))
    assert code == 130
    assert len(screen.lines) == 1 and re.fullmatch(r"stopped: \d+ of 50 arches done", screen.lines[0])


@posix
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("predict", [".", "--out", "out"]),
        ("prepare", [".", "out"]),
        ("export", ["default", "--out", "net.pt2"]),
        ("demo", ["out", "--no-open"]),
    ],
)
def test_something_is_said_before_the_libraries_are_loaded(
    name: str, given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which takes seconds, and longer beside other work: here torch takes an hour."""
    slow = tmp_path / "slow" / "torch.py"
    slow.parent.mkdir()
    slow.write_text("import time\ntime.sleep(3600)\n")
    monkeypatch.setenv("PYTHONPATH", f"{slow.parent}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    paths = [tmp_path / word if word in (".", "out", "net.pt2") else word for word in given]
    code, _, sent = in_terminal(80, name, *paths, ctrl_c=lambda screen: bool(screen.lines))
    assert code == 130 and sent.strip()


@posix
@pytest.mark.slow
def test_what_is_done_before_a_stop_is_listed_or_told(arches: Path, segmenter: Path, tmp_path: Path) -> None:
    given = (arches, "--model", segmenter)
    code, screen, _ = in_terminal(80, "view", *given, "-o", tmp_path / "pages", ctrl_c=shows("  0000_upper: "))
    words = " ".join(line.strip() for line in screen.lines)
    said = r" \(to review\) -> .* list of the scans -> .* stopped: \d of 6 scans done$"
    assert code == 130 and re.search(said, words), words
    assert (tmp_path / "pages" / "index.html").exists()
    out = tmp_path / "scores.json"
    code, screen, _ = in_terminal(80, "evaluate", *given, "--out", out, ctrl_c=shows("  0000_upper: "))
    words = " ".join(line.strip() for line in screen.lines)
    assert code == 130 and re.search(
        r"stopped: \d of 6 scans done; .*scores.json is not written: \d are kept in ", words
    ), words
    assert words.count("0000_lower: miou") == 1 and not out.exists()
    code, screen, _ = in_terminal(80, "synth", tmp_path / "made", "--scans", 99, ctrl_c=shows("  0001_upper"))
    assert code == 130 and re.search(r"stopped: [1-9]\d* of 99 arches done", screen.lines[-1])
    assert not list((tmp_path / "made").glob(".*"))
