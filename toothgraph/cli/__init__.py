"""The command line. Only this package imports click. Heavy imports wait until a command needs them."""

from __future__ import annotations

import atexit
import errno
import gc
import importlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from toothgraph._version import __version__
from toothgraph.choices import did_you_mean
from toothgraph.cli.exit_codes import FAILED, STOPPED, TERMINATED
from toothgraph.cli.options import FORMER_FLAGS
from toothgraph.cli.terminal import columns, folded, say, say_error
from toothgraph.errors import ToothgraphError
from toothgraph.scan_names import without_unpacked
from toothgraph.system.memory import is_shortage
from toothgraph.system.processes import first_rank
from toothgraph.system.signals import Terminated, heeded
from toothgraph.system.streams import open_closed_streams

COMMANDS = (
    "prepare", "pretrain", "finetune", "predict", "evaluate", "renumber", "view", "review", "convert", "export", "demo",
    "synth", "info",
)  # fmt: skip


class Commands(click.Group):
    """The group of all commands.

    Each command is in the module of its name, which is imported when the command is needed. A ToothgraphError is
    printed in one line and ends the program with exit code 1.
    """

    def main(self, *args: Any, **kwargs: Any) -> Any:
        open_closed_streams()
        return super().main(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return getattr(importlib.import_module(f"toothgraph.cli.{cmd_name}"), cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        args = [_present_flag(arg) for arg in args]
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            near = did_you_mean(name, COMMANDS) or f"; the commands are {', '.join(COMMANDS)}"
            ctx.fail(f"No such command {name!r}{near}")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        with _usage_folded():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        atexit.register(gc.freeze)  # without this, the search for garbage at exit takes seconds
        _log_to_stderr()
        # Large tensors use huge pages on Linux, as NumPy arrays do. torch reads this before its first tensor.
        os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
        try:
            with heeded(), _usage_folded():
                return super().invoke(ctx)
        except ToothgraphError as error:
            _fail(str(error))
        except KeyboardInterrupt as stop:  # Ctrl-C or SIGTERM; a training ends its step, and prints its own text
            say(": ".join(("stopped", *map(str, stop.args))), err=True)
            sys.exit(TERMINATED if isinstance(stop, Terminated) else STOPPED)
        except BrokenPipeError:  # the program that reads our output has ended, as `head` does; click then says nothing
            raise
        except Exception as error:
            if is_shortage(error):
                _fail("not enough memory; if you gave --memory, give it a higher value")
            if not isinstance(error, OSError):
                raise
            _fail(_of_system(error))


# What a user can do about an error of the operating system.
_WAYS_OUT = {
    errno.ENOSPC: "free some space there, or choose another --out",
    errno.EFBIG: "the disk, or a limit of the shell (ulimit -f), allows no larger file; choose another --out",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "to write elsewhere, choose another --out"),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), "it does not exist, or cannot be made there; to write "
                    "elsewhere, choose another --out"),
}  # fmt: skip


def _of_system(error: OSError) -> str:
    """The message for an error of the operating system: the file, what went wrong, and what to do."""
    place = f"{error.filename}: " if error.filename else ""
    way_out = _WAYS_OUT.get(error.errno or 0, "")
    return f"{place}{error.strerror or error}{'; ' * bool(way_out)}{way_out}"


@contextmanager
def _usage_folded() -> Iterator[None]:
    """Wrap usage errors, which click prints, between words only, as all other messages are wrapped."""
    try:
        yield
    except click.UsageError as error:
        if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # the error is the help text
            raise
        start = "Error: "  # click prints this
        said = folded(start + _taught(error), columns(sys.stderr)).removeprefix(start)
        raise click.UsageError(said, error.ctx) from error


def _taught(error: click.UsageError) -> str:
    """The message of a usage error, with hints that click leaves out.

    A missing option gets its help text. For an unknown option, the message names the argument that the word may mean,
    the other commands that have the option, or the file --config.
    """
    said = error.format_message()
    if isinstance(error, click.MissingParameter) and isinstance(error.param, click.Option) and error.param.help:
        return f"{said.rstrip('.')}: {error.param.help}"
    if isinstance(error, click.NoSuchOption) and error.ctx is not None:
        name, params = error.option_name.lstrip("-"), error.ctx.command.params
        for param in params:
            if isinstance(param, click.Argument) and name and str(param.name).startswith(name):
                argument = str(param.name).upper()
                return f"No such option {error.option_name!r}: write {argument} without it, as in the usage above"
        if others := [other for other in COMMANDS if error.option_name in _flags(other)]:
            return f"No such option {error.option_name!r}; it is an option of {', '.join(others)}"
        if any(param.name == "config" for param in params):
            return f"{said} It may be a key of the file that --config names."
    return said


def _flags(command: str) -> list[str]:
    """The options of a command, as they are typed."""
    params = getattr(importlib.import_module(f"toothgraph.cli.{command}"), command).params
    return [
        flag for param in params if isinstance(param, click.Option) for flag in (*param.opts, *param.secondary_opts)
    ]


def _present_flag(arg: str) -> str:
    """The argument with the present name of its flag. For a former name, a notice is printed."""
    flag, equals, value = arg.partition("=")
    if flag not in FORMER_FLAGS:
        return arg
    say(f"Notice: {flag} is now called {FORMER_FLAGS[flag]}", err=True)
    return f"{FORMER_FLAGS[flag]}{equals}{value}"


def _fail(message: str) -> None:
    say_error(message)
    sys.exit(FAILED)


def _log_to_stderr() -> None:
    logger = logging.getLogger("toothgraph")
    logger.setLevel(logging.INFO if first_rank() else logging.ERROR)
    logger.propagate = False
    for old in [handler for handler in logger.handlers if handler.name == "stderr"]:
        logger.removeHandler(old)
    handler = _Stderr()
    handler.name = "stderr"
    handler.setFormatter(_Plain())
    logger.addHandler(handler)


class _Stderr(logging.Handler):
    """Writes log records to the current ``sys.stderr``, which rich replaces while it shows a bar."""

    def emit(self, record: logging.LogRecord) -> None:
        print(folded(without_unpacked(self.format(record)), columns(sys.stderr)), file=sys.stderr, flush=True)


class _Plain(logging.Formatter):
    """Formats information without a prefix, and warnings and errors with the name of their level."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        return text if record.levelno <= logging.INFO else f"{record.levelname.capitalize()}: {text}"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="toothgraph")
def main() -> None:
    """Separate the teeth from each other and from the gum in intraoral scans, and number them, with few labels.

    The usual order: PRETRAIN on unlabelled scans, FINETUNE on a few labelled ones, PREDICT the labels of a new scan,
    VIEW it, REVIEW its labels, EVALUATE against known labels, EXPORT the model. PREPARE makes many scans ready for
    training. SYNTH makes synthetic labelled scans, to try the commands.

    Begin with `toothgraph demo`. `toothgraph COMMAND --help` shows the options of a command.
    """
