"""``toothgraph evaluate``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toothgraph.cli.options import (
    FILE,
    JAWS,
    Choice,
    device_option,
    jaw_option,
    label_system_option,
    load_net,
    memory_option,
    model_option,
    named_palette,
    palette_option,
    prediction_options,
    scans_argument,
    split_option,
    threads_option,
    unit_option,
)
from toothgraph.cli.terminal import one_line, say, say_error
from toothgraph.errors import ConfigError, DataError, ToothgraphError
from toothgraph.system.memory import named_shortage
from toothgraph.system.progress import Display

if TYPE_CHECKING:
    from toothgraph.evaluation import Scored
    from toothgraph.model import SegmentationNet


@click.command(short_help="Score a model on labelled scans.")
@scans_argument
@model_option
@click.option("--out", type=FILE, required=True, help="JSON file to write.")
@split_option
@click.option("--subset", type=Choice(["train", "val"]), help="Which patients of --split.  [default: val]")
@palette_option
@label_system_option
@jaw_option
@prediction_options
@unit_option
@device_option
@threads_option
@memory_option("toothgraph.evaluation")
def evaluate(
    scans: tuple[Path, ...],
    model: Path,
    out: Path,
    split: Path | None,
    subset: str | None,
    palette: str | None,
    label_system: str | None,
    jaw: str,
    unit: str | None,
    device: str | None,
    **steps: Any,
) -> None:
    """Predict labelled scans exactly as `predict` does, and score the result on the original faces.

    Writes the mean scores, one row per scan and one per tooth. A scan that cannot be read or has no labels
    is reported and the others are scored all the same; the exit code is then 1.
    """
    from toothgraph.evaluation import report
    from toothgraph.inference.options import PredictOptions
    from toothgraph.metrics.definitions import METRICS
    from toothgraph.system import provenance
    from toothgraph.system.files import check_folder, write_text

    files = choose_scans(scans, split, subset)
    check_folder(out.parent)
    refuse_overwriting(files, out)
    colours = named_palette(palette)
    predict = PredictOptions(**steps)
    options = {
        "jaw": JAWS[jaw],
        "palette": colours,
        "unit": unit or "mm",
        "label_system": label_system or "auto",
        "options": predict,
    }
    net, source = load_net(model, device)
    try:
        with Display("scoring", len(files), item=files[0].stem) as display:
            scored, failures = score_files(net, display.over(files), options)
    except KeyboardInterrupt as stop:
        stop.args = (*stop.args, f"{out} is not written")
        raise
    if not scored:
        raise DataError(f"none of {len(files)} scans could be scored; see above")
    content: dict[str, Any] = {
        **report(scored),
        "failures": failures,
        "definitions": METRICS,
        "predict": asdict(predict),
        "model": {"file": str(source.path), "sha256": provenance.sha256(source.path), **source.header},
        "evaluated": provenance.facts(),
    }
    write_text(out, json.dumps(content, indent=1) + "\n")
    for key, value in content["scores"].items():
        if not isinstance(value, dict) and value is not None:
            click.echo(f"{key:>15} {value:.4f}")
    say(f"{len(scored)} scans scored -> {out}")
    if found := sum(item.row["labels"].startswith("found") for item in scored):
        say(
            f"Warning: a model found the labels of {found} of them: their scores tell how well this model agrees with "
            "it, not how good it is", err=True,
        )  # fmt: skip
    if failures:
        raise ToothgraphError(f"{len(failures)} of {len(files)} scans could not be scored; see above")


def score_files(
    net: SegmentationNet, files: Iterable[Path], options: dict[str, Any]
) -> tuple[list[Scored], list[dict[str, str]]]:
    """Score what can be scored, with ``options`` of `score_file`; say of each scan how it went.

    Returns:
        The scores, and file and error of the scans that failed.
    """
    from toothgraph.evaluation import score_file

    scored, failures = [], []
    for file in files:
        try:
            with named_shortage(file):
                found = score_file(net, file, **options)
        except ToothgraphError as error:
            failures.append({"file": str(file), "error": one_line(error)})
            say_error(error)
        else:
            scored.append(found)
            say(f"{found.row['scan_id']}: miou {found.row['miou']:.4f}, accuracy {found.row['accuracy']:.4f}")
    return scored, failures


def refuse_overwriting(files: list[Path], out: Path) -> None:
    """Raises ConfigError where --out is a scan or its label file."""
    own = out.resolve()
    for file in files:
        if own in (file.resolve(), *(file.resolve().with_suffix(suffix) for suffix in (".json", ".txt"))):
            raise ConfigError(f"{out}: --out is {file.name} itself or its label file; choose another")


def choose_scans(scans: tuple[Path, ...], split: Path | None, subset: str | None) -> list[Path]:
    """The files to score: all, or those of the split's patients."""
    from toothgraph.data.split import load_split, of_patients, warn_of_missing
    from toothgraph.io.find import find_scans
    from toothgraph.scan_names import patient_of, scan_names

    files = find_scans(list(scans))
    if split is None:
        if subset:
            raise ConfigError("--subset needs --split, the file that says who belongs to it")
        return files
    named, names = load_split(split), scan_names(files)
    wanted = named.train if subset == "train" else named.val
    chosen = of_patients(files, names, wanted)
    if not chosen:
        raise DataError(f"none of {len(files)} scans belongs to a {subset or 'val'} patient of {split}")
    warn_of_missing(split, wanted, map(patient_of, names))
    return chosen
