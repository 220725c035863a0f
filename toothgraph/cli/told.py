"""Print what ``predict`` says of each scan and at the end, and write its summary."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from toothgraph.cli.exit_codes import UNTRUSTED as UNTRUSTED_CODE
from toothgraph.cli.summary import CORRECTED, FAILED, REVIEW, SUMMARY, UNTRUSTED, Row, merge_summary, read_summary
from toothgraph.cli.terminal import say, say_command, say_error, scans_of
from toothgraph.errors import ToothgraphError

if TYPE_CHECKING:
    from toothgraph.cli.jobs import Outcome

_NAMED = 5  # words; a command with more is too long to read


class Told:
    """Prints the results of scans, and writes their summary.

    Use it as a context manager. The summary is written when the context ends, also after a stop.

    Raises:
        ConfigError: if there is a ``summary.csv`` that is another table.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.outcomes: list[Outcome] = []
        self._before = {row.scan: row for row in read_summary(out)}

    def __enter__(self) -> Told:
        return self

    def __exit__(self, *error: object) -> None:
        if ours := [outcome for outcome in self.outcomes if not outcome.of_other]:
            path = merge_summary(self.out, map(self._row, ours))
            say(f"table of the scans -> {path}")

    def _row(self, outcome: Outcome) -> Row:
        before = self._before.get(outcome.row.scan)
        if outcome.row.state == CORRECTED and before is not None:
            row = outcome.row if outcome.row.jaw else before  # without a surface, only the state is known
            return replace(row, state=CORRECTED, error="", seconds=before.seconds)
        return outcome.row

    def say(self, outcome: Outcome) -> None:
        """Print what was found in a scan, or why it failed."""
        if outcome.row.state == FAILED:
            say_error(outcome.row.error)
            return
        for warning in () if outcome.kept or outcome.row.state == CORRECTED else outcome.warnings:
            say(f"Warning: {outcome.row.scan}: {warning}", err=True)
        say(outcome.said)

    def finish(self, total: int, scans: Sequence[object]) -> None:
        """Print what a person has to know at the end. Exit with code 3 if labels cannot be trusted.

        Args:
            total: number of scans that were to be labelled.
            scans: the words of the command that name the scans.

        Raises:
            ToothgraphError: if scans could not be labelled.
        """
        count = Counter(outcome.row.state for outcome in self.outcomes)
        if kept := sum(outcome.kept for outcome in self.outcomes):
            say(
                f"{kept} of {scans_of(total)} {'was' if kept == 1 else 'were'} labelled before with this model and "
                "these options, and not changed since; --again labels them again",
                err=True,
            )
        if count[CORRECTED]:
            say(
                f"{count[CORRECTED]} of {scans_of(total)} had labels that were corrected; these labels are kept. To "
                "label such a scan again, choose another --out, or remove its files",
                err=True,
            )
        if doubtful := count[REVIEW] + count[UNTRUSTED]:
            verb = "is" if doubtful == 1 else "are"
            whose = "its labels" if doubtful == 1 else f"the labels of {count[UNTRUSTED]}"
            trust = f"; {whose} cannot be trusted" if count[UNTRUSTED] else ""
            where = f"{self.out / SUMMARY}" if kept else "the warnings above"
            say(f"{doubtful} of {scans_of(total)} {verb} to review, see {where}{trust}", err=True)
            if len(scans) <= _NAMED:
                words = ("toothgraph", "review", *scans, "--labels", self.out)
                say_command(words, before=f"to correct {'it' if doubtful == 1 else 'them'}:", err=True)
        if count[FAILED]:
            raise ToothgraphError(f"{count[FAILED]} of {scans_of(total)} could not be labelled; see above")
        if count[UNTRUSTED]:
            sys.exit(UNTRUSTED_CODE)
