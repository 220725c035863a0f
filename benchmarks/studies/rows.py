"""What the training studies share: graphs of scans, scoring a net, rows that are appended as runs finish."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

from benchmarks.options import apply_threads, make_room, parser_of, quick_data, quick_runs
from benchmarks.studies.datasets import DATASETS, Dataset, own_scans
from toothgraph.choices import LABEL_SYSTEMS, MM_PER_UNIT
from toothgraph.cli.terminal import say
from toothgraph.data.prepared.build import PrepareOptions, prepare
from toothgraph.data.prepared.folder import read_prepared
from toothgraph.data.prepared.sources import find_sources
from toothgraph.data.scan import Scan
from toothgraph.errors import DataError
from toothgraph.evaluation import report, score_file
from toothgraph.model import SegmentationNet
from toothgraph.training.config import TrainingConfig

TrainingReader = Callable[[TrainingConfig], list[Scan]]
Row = dict[str, Any]
QUICK_FACES = 1000  # of a graph; with 300 faces, two views of a real scan often share none
SCORES = ("miou", "miou_matched", "accuracy", "boundary_iou")
OLDER: Row = {"split": "3b979c66"}  # of rows that do not say their split: the one of 3D-IOSSeg in benchmarks/results


class Named(Protocol):
    """The values that identify a row, as a NamedTuple."""

    def _asdict(self) -> Row: ...


Cell = TypeVar("Cell", bound=Named)


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every training study has."""
    parser = parser_of(
        doc, out="file of the rows; if not given, a file in RUNS, or for a published set the one in benchmarks/results"
    )
    parser.usage = "%(prog)s [options] SCANS [SCANS ...] RUNS"
    parser.add_argument(
        "paths", type=Path, nargs="*", metavar="PATH",
        help="labelled scans of your own, files and folders; then a folder that gets the runs and their results",
    )  # fmt: skip
    parser.add_argument("--split", type=Path, help="JSON file that names the train and val patients")
    parser.add_argument("--palette", metavar="FILE:SET", help="what the colours of the scans mean")
    systems = f"how the labels number teeth: {', '.join(LABEL_SYSTEMS)} or FILE:SET"
    parser.add_argument("--label-system", default="auto", metavar="SYSTEM", help=systems)
    parser.add_argument("--unit", choices=list(MM_PER_UNIT), default="mm", help="of length in the scans")
    parser.add_argument(
        "--dataset", choices=list(DATASETS),
        help="a published set in its own layout: the first path is its folder. 3d-iosseg if that holds such a folder",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="of fine-tuning; the preset's if not given")
    parser.add_argument("--faces", type=int, help="faces of a graph; the preset's if not given")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--workers", type=int, default=1, help="processes that make the graphs")
    return parser


def start(parser: argparse.ArgumentParser, argv: list[str] | None, result: Path) -> argparse.Namespace:
    """Read the options and apply them. ``--quick`` means one seed and a few steps on small graphs, in RUNS/quick.

    Without ``--out``, results on a published set go to ``result`` in the repository, and all others to the folder of
    the runs.
    """
    options = parser.parse_args(argv)
    apply_threads(options)
    if len(options.paths) < 2 and not options.quick:
        parser.error("expected SCANS, one or more, and then RUNS, a folder for the runs")
    if not options.paths:
        options.data = [quick_data() / "3d-iosseg"]
        options.split = options.data[0].parent / "split.json"
    else:
        options.data = options.paths[:-1] or options.paths
    options.runs = options.paths[-1] if len(options.paths) > 1 else None
    if options.quick:
        options.runs = quick_runs(options.runs)
    if options.dataset is None and (options.data[0] / "3d-iosseg").is_dir():
        options.dataset = "3d-iosseg"
    if options.out is None and options.quick and (options.dataset or len(options.paths) < 2):
        parser.error("--quick tries a script; say with --out where its figures are to go")
    options.out = options.out or (result if options.dataset else options.runs / result.name)
    make_room(options.out)
    if options.quick:
        options.seeds, options.steps, options.faces = options.seeds[:1], 2, QUICK_FACES
    return options


def dataset_of(options: argparse.Namespace) -> Dataset:
    """The data set that the options ask for; with ``--quick``, three patients of it."""
    if options.dataset:
        dataset = DATASETS[options.dataset](options.data[0])
    else:
        dataset = own_scans(options.data, options.split, options.palette, options.unit, options.label_system)
    return dataset.few() if options.quick else dataset


def append_row(file: Path, row: dict[str, Any]) -> None:
    """Append a row to a file in one piece, so that several processes may write to the same file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")


def read_rows(file: Path) -> list[dict[str, Any]]:
    """All rows of a file; none if the file does not exist.

    Raises:
        DataError: if a line is no row.
    """
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return [_row(line, f"{file}, line {number}") for number, line in enumerate(lines, start=1) if line.strip()]


def _row(line: str, where: str) -> Row:
    try:
        row: Row = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(
            f"{where}: expected a row in JSON, found {line[:40]!r} …, {len(line)} characters; a run that was stopped "
            "while it wrote leaves such a part of a row: delete that line, and its run is done again"
        ) from error
    return row


def is_of(row: Row, known: Row, older: Row = OLDER) -> bool:
    """Whether a row has all values in ``known``. ``older`` are the values of rows from before these were written."""
    return known.items() <= {**older, **row}.items()


def has_row(file: Path, known: Row, older: Row = OLDER) -> bool:
    """Whether a file has the row of a run. ``known`` are the values that identify the row."""
    return any(is_of(row, known, older) for row in read_rows(file))


def new_rows(
    file: Path,
    cells: Iterable[Cell],
    row_of: Callable[[Cell], Row],
    sizes: Callable[[Cell], tuple[Row, Row]] | None = None,
) -> Iterator[tuple[Cell, Row]]:
    """Run each cell that has no row yet, append its row to the file, and yield both.

    ``sizes`` gives further values that identify the row of a cell: those of this run, and those of older rows, which do
    not say them.
    """
    for cell in cells:
        own, older = sizes(cell) if sizes else ({}, {})
        if not has_row(file, {**cell._asdict(), **own}, older):
            row = {**row_of(cell), **own}
            append_row(file, row)
            yield cell, row


def short_hash(value: Any) -> str:
    """Eight digits that differ for different values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def split_of(dataset: Dataset) -> str:
    """A short hash of the patients that train, validate and are labelled at each share. Other splits are other rows."""
    split = dataset.split
    shares = {str(percent): sorted(patients) for percent, patients in split.fractions.items()}
    return short_hash([sorted(split.train), sorted(split.val), shares])


def training_reader(dataset: Dataset, options: argparse.Namespace) -> TrainingReader:
    """Return a function that makes the labelled graphs of all patients for a training.

    The graphs are kept in the folder of the runs, where other processes and later starts find them.
    """
    wanted = {*dataset.split.train, *dataset.split.val}
    sources = [
        source
        for source in find_sources(dataset.places)
        if source.patient in wanted and source.path not in dataset.left_out
    ]
    told = set[str]()

    def read(config: TrainingConfig) -> list[Scan]:
        given = PrepareOptions(
            config.net.graph, config.variants, config.bases, config.seed, palette=dataset.palette, unit=dataset.unit,
            label_system=dataset.label_system,
        )  # fmt: skip
        folder = options.runs / "prepared" / given.digest()
        for done in prepare(sources, folder, given, options.workers):
            if done.state == "bad" and done.reason not in told:
                told.add(done.reason)
                say(f"left out: {done.reason}")
        return read_prepared(folder)

    return read


def score(net: SegmentationNet, dataset: Dataset) -> dict[str, Any]:
    """Scores on the validation patients, computed as by `toothgraph evaluate`."""
    found = report(
        [
            score_file(
                net, file, palette=dataset.palette, unit=dataset.unit, label_system=dataset.label_system, scan_id=name
            )
            for file, name in dataset.names(dataset.split.val).items()
        ]
    )
    per_scan = [{name: row[name] for name in ("scan_id", *SCORES)} for row in found["per_scan"]]
    return {"scores": found["scores"], "per_scan": per_scan}


def minutes_of(run: Path) -> float:
    """Wall-clock minutes of a run, resumed or not, from its metrics.csv."""
    return float(_metrics(run)[-1]["seconds"]) / 60


def learning_curve(run: Path) -> dict[str, float]:
    """`val_miou` of a run by step, computed on the nodes of the graphs."""
    return {row["step"]: round(float(row["val_miou"]), 4) for row in _metrics(run) if row["val_miou"]}


def _metrics(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
