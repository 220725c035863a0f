"""The streams that a command begins with. Light to import."""

from __future__ import annotations

import os
import sys

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))  # in the order of their numbers


def open_closed_streams() -> None:
    """Streams that were closed for the command, as by ``2>&-``, lead nowhere: else the first file that it opens would
    get the number of one, and with it what is said there."""
    for number, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
