"""Open the standard streams of a command that were closed. Light to import."""

from __future__ import annotations

import os
import sys

_STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))  # in the order of their numbers


def open_closed_streams() -> None:
    """Open standard streams that were closed for the command, for example by ``2>&-``, as the null device.

    Else the first file that the command opens would get the number of a closed stream, and the output to that stream.
    """
    for number, (name, mode) in enumerate(_STREAMS):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number, which is this one
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
