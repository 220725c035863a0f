"""Score the scans of ``evaluate``, in this process or in another, and keep the results until all are scored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from toothgraph._version import __version__
from toothgraph.cli.device import choose_device
from toothgraph.cli.labelling import scan_digest
from toothgraph.cli.terminal import one_line, scans_of
from toothgraph.errors import ToothgraphError, named_fault
from toothgraph.evaluation import Scored, score_file, score_other
from toothgraph.inference.options import PredictOptions
from toothgraph.io.numbering import content_of
from toothgraph.io.palette import Palette
from toothgraph.io.predictions import Predictions
from toothgraph.model.file import load_segmentation
from toothgraph.model.nets import SegmentationNet
from toothgraph.scan_names import lasting
from toothgraph.system import provenance
from toothgraph.system.lock import one_at_a_time
from toothgraph.system.memory import named_shortage


@dataclass(frozen=True)
class Result:
    """The result of scoring a scan.

    Attributes:
        file: the scan, by :func:`toothgraph.scan_names.lasting`.
        inputs: a digest of everything that the scores depend on; empty if that cannot be read.
        scored: the scores; None if the scan could not be scored, or if an earlier run has the scores.
        error: why it could not be scored.
        kept: whether an earlier run has scored it.
    """

    file: str
    inputs: str
    scored: Scored | None = None
    error: str = ""
    kept: bool = False


@dataclass
class Scorer:
    """Scores scans.

    Attributes:
        model, device: the file of the net, and the device where it runs.
        jaw, palette, unit, label_system, options: see :func:`toothgraph.evaluation.score_file`.
        predictions: labels that another program found, which are scored in place of the net's.
        known: digests of the scans that are scored already.
        names: names of the scans, by file.
        told: the jaw of each scan whose own name does not say it but the name of the other scan of its case does, by
            file.
        net: the net of ``model``; loaded when it is first needed.
    """

    model: Path
    device: str | None
    jaw: int | None
    palette: Palette | None
    unit: str
    label_system: str
    options: PredictOptions
    predictions: Predictions | None = None
    known: frozenset[str] = field(default_factory=frozenset)
    names: Mapping[Path, str] = field(default_factory=dict)
    told: Mapping[Path, int] = field(default_factory=dict)
    net: SegmentationNet | None = None

    def __call__(self, file: Path) -> Iterator[Result]:
        """Score a scan, and yield its one result."""
        inputs = ""
        try:
            inputs = self.inputs(file)
            if inputs in self.known:
                yield Result(lasting(file), inputs, kept=True)
                return
            with named_fault(file), named_shortage(file):
                yield Result(lasting(file), inputs, self._scored(file))
        except ToothgraphError as error:
            yield Result(lasting(file), inputs, error=one_line(error))

    def _scored(self, file: Path) -> Scored:
        truth: dict[str, Any] = {
            "jaw": self._jaw(file), "palette": self.palette, "unit": self.unit, "label_system": self.label_system,
            "scan_id": self.names.get(file),
        }  # fmt: skip
        if self.predictions is not None:
            return score_other(self.predictions, file, **truth)
        return score_file(self._net, file, options=self.options, **truth)

    def _jaw(self, file: Path) -> int | None:
        return self.told.get(file) if self.jaw is None else self.jaw

    @property
    def _net(self) -> SegmentationNet:
        if self.net is None:
            self.net = load_segmentation(self.model)[0].to(choose_device(self.device))
        return self.net

    def inputs(self, file: Path) -> str:
        """A digest of everything that the scores of a scan depend on."""
        content = {
            "scan": scan_digest(file, self.names.get(file, file.stem)),
            "file": lasting(file),
            "found": self._source(file),
            "options": [
                self._jaw(file),
                _colours(self.palette),
                self.unit,
                content_of(self.label_system),
                asdict(self.options),
            ],
            "version": [__version__, provenance.REVISION],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def inputs_or_none(self, file: Path) -> str:
        """The digest of :meth:`inputs`; empty if an input is missing, such as the labels of another program."""
        try:
            return self.inputs(file)
        except ToothgraphError:
            return ""

    def _source(self, file: Path) -> Any:
        """The source of the labels that are scored: the net, or digests of the label files and how they are read."""
        if self.predictions is None:
            return self._net.source
        files = self.predictions.files_of(file, self.names.get(file))
        digests = [provenance.sha256(one) for one in files if one.is_file()]
        return [
            *digests,
            _colours(self.predictions.palette),
            content_of(self.predictions.label_system),
            self.predictions.unit,
        ]


def _colours(palette: Palette | None) -> Any:
    return palette and {"fdi": palette.fdi.tolist(), "rgb": palette.rgb.tolist()}


class Parts:
    """The file ``<out>.parts``: one line for each scored scan, from all processes that score the same scans.

    It exists until all scans are scored.

    Args:
        out: the file for the scores of all scans.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.path = out.with_name(f"{out.name}.parts")

    def read(self) -> dict[str, Result]:
        """The results in the file, by scan. If a scan has two lines, the last one counts."""
        found: dict[str, Result] = {}
        if not self.path.exists():
            return found
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                result = _result(json.loads(line))
            except (ValueError, KeyError, TypeError):  # a killed process cut the line short: score the scan again
                continue
            found[result.file] = result
        return found

    def add(self, result: Result) -> None:
        """Append the result of a scan."""
        scored = result.scored and {"row": result.scored.row, "confusion": result.scored.confusion.tolist()}
        line = json.dumps({"file": result.file, "inputs": result.inputs, "scored": scored, "error": result.error})
        with one_at_a_time(self.path), self.path.open("r+b") as file:
            torn = file.seek(0, 2) > 0 and file.seek(-1, 2) >= 0 and file.read() != b"\n"
            file.write(b"\n" * torn + f"{line}\n".encode())

    def complete(
        self, files: Sequence[Path], ours: Sequence[Result], inputs: Callable[[Path], str]
    ) -> list[Result] | None:
        """The results of all files, in their order; None while results of other processes are missing.

        Args:
            files: all scans.
            ours: the results of this process.
            inputs: gives the digest of a scan as it is now, with the net and the options of this process.

        Raises:
            ToothgraphError: if other processes scored scans with other options, or scans have changed since.
        """
        own = {result.file: result for result in ours}
        known = self.read() | own
        if any(lasting(file) not in known for file in files):
            return None
        results = [known[lasting(file)] for file in files]
        outdated = [
            file for file, result in zip(files, results, strict=True)
            if result.file not in own and result.inputs != inputs(file)
        ]  # fmt: skip
        if outdated:
            raise ToothgraphError(
                f"{len(outdated)} of {scans_of(len(files))} were scored by other parts with other options, or were "
                f"changed after that, such as {outdated[0]}; run these parts again"
            )
        return results

    def remove(self) -> None:
        """Remove the file, when all scans are scored."""
        self.path.unlink(missing_ok=True)


def _result(content: dict[str, Any]) -> Result:
    scored = content["scored"]
    if scored is not None:
        scored = Scored(dict(scored["row"]), np.array(scored["confusion"], dtype=np.int64))
    return Result(str(content["file"]), str(content["inputs"]), scored, str(content["error"]))
