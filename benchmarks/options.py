"""The options that all scripts share."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch


def parser_of(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every script has; its description is the first line of ``doc``."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tiny run, to try the script; needs --out")
    parser.add_argument("--out", type=Path, help="result file; the one in benchmarks/results if not given")
    parser.add_argument("--threads", type=int, help="of torch; its default if not given")
    return parser


def parse(parser: argparse.ArgumentParser, argv: list[str] | None, result: Path | None = None) -> argparse.Namespace:
    """Read the options and apply them. ``result`` is the result file if none is given."""
    options = parser.parse_args(argv)
    if options.quick and options.out is None:
        parser.error("--quick tries a script; say with --out where its figures are to go")
    options.out = options.out or result
    if options.threads:
        torch.set_num_threads(options.threads)
    return options
