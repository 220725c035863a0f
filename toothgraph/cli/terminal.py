"""Print the messages of commands. On a terminal, lines break only between words, so that a path can be copied."""

from __future__ import annotations

import os
import re
import shlex
import sys
import textwrap
from collections.abc import Iterable
from typing import TextIO

from toothgraph.scan_names import printable, without_unpacked

FACT = 21  # the column in which the values of a table begin


def say(text: str, *, err: bool = False) -> None:
    """Print text: a result to stdout, or with ``err`` a message to stderr. A file in an archive has its name there.

    While a display is shown, the text goes above it. The text of click's own ``echo`` would not.
    """
    stream = sys.stderr if err else sys.stdout
    print(folded(printable(without_unpacked(text)), columns(stream)), file=stream, flush=True)


def say_fact(name: str, value: str) -> None:
    """Print a row of a table to stdout: a name, and beside it a value.

    Further lines of the value stay in the column of the value.

    Args:
        name: the name of the row, at most 20 characters.
        value: text of one or several lines.
    """
    width = columns(sys.stdout)
    wrapped = folded(fitting(printable(value), width), width and max(width - FACT, FACT), indent="")
    for number, line in enumerate(wrapped.splitlines() or [""]):
        print(f"{'' if number else name:<{FACT - 1}} {line}", flush=True)


def fitting(value: str, width: int | None) -> str:
    """The value of a table row, with a digest cut to 12 digits if the terminal is too narrow for it.

    Args:
        value: text, in which digests have 64 hexadecimal digits.
        width: columns of the terminal; None for a file or a pipe, where nothing is cut.
    """
    return value if not width or width >= FACT + 64 else re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1", value)


def say_command(words: Iterable[object], *, before: str, err: bool = False) -> None:
    """Print a command that can be copied: a backslash ends each full line of the terminal.

    Args:
        words: the words of the command.
        before: text in front of the command.
        err: print to stderr instead of stdout.
    """
    stream = sys.stderr if err else sys.stdout
    width = columns(stream)
    lines = [before]
    for word in (shlex.quote(str(word)) for word in words):
        if width is not None and lines[-1].strip() and len(f"{lines[-1]} {word} \\") > width:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {word}"
    print(printable("\n".join(lines)), file=stream, flush=True)


def say_error(error: object) -> None:
    """Print an error in one line to stderr."""
    say(f"Error: {one_line(error)}", err=True)


def one_line(error: object) -> str:
    """The text of an error in one line of printable characters."""
    return " ".join(printable(without_unpacked(str(error))).split())


def folded(text: str, width: int | None, indent: str = "    ") -> str:
    """Wrap each line between words to at most ``width`` columns. A longer word stays whole.

    Args:
        text: any text.
        width: columns; None leaves the text as it is.
        indent: text in front of each continuation line.
    """
    if width is None:
        return text
    return "\n".join(_fold(line, width, indent) for line in text.split("\n"))


def _fold(line: str, width: int, indent: str) -> str:
    if len(line) <= width:
        return line
    return textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def columns(stream: TextIO) -> int | None:
    """The width of the terminal that a stream writes to; None for a file or a pipe."""
    if not stream.isatty():
        return None
    if os.environ.get("COLUMNS", "").isdigit():
        return int(os.environ["COLUMNS"]) or None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):  # the terminal does not report its width
        return None


def scans_of(count: int) -> str:
    """A number of scans in words: ``1 scan``, ``2 scans``."""
    return f"{count} scan{'' if count == 1 else 's'}"
