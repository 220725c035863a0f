"""``toothgraph evaluate``."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from toothgraph.cli.as_json import json_alone, json_option
from toothgraph.cli.device import device_option, load_net, threads_option
from toothgraph.cli.kinds import FILE, PATH, Choice, LabelSystem
from toothgraph.cli.options import (
    JAWS,
    again_option,
    jaw_option,
    label_system_option,
    memory_option,
    model_option,
    palette_option,
    prediction_options,
    scans_argument,
    shard_option,
    split_option,
    unit_option,
)
from toothgraph.cli.refusals import at_once, check_file, check_label_system, check_labels, named_palette
from toothgraph.cli.score_file import check_label_systems, read_scores, scores_of, write_scores
from toothgraph.cli.terminal import say, say_error, scans_of
from toothgraph.cli.workers import check_workers, in_workers, process_ended, workers_option
from toothgraph.errors import ConfigError, DataError, ToothgraphError, some_of
from toothgraph.scan_names import (
    cases_of,
    lasting,
    learned_from,
    may_be_of,
    patients_of,
    scan_names,
    together_by,
    told_jaw,
)
from toothgraph.system.files import check_folder, places_of
from toothgraph.system.progress import Display

if TYPE_CHECKING:
    from toothgraph.cli.scoring import Parts, Result, Scorer


def _refuse(
    out: Path,
    split: Path | None,
    subset: str | None,
    predictions: Path | None,
    predictions_palette: str | None,
    predictions_label_system: str | None,
    against: Path | None,
    **given: Any,
) -> None:
    """Refuse wrong arguments before libraries are loaded."""
    check_folder(out.parent)
    if subset and split is None:
        raise ConfigError("--subset needs --split, the file that names the patients of each subset")
    if against is not None:
        read_scores(against)
    if predictions is None:
        if predictions_palette or predictions_label_system:
            raise ConfigError("--predictions-palette and --predictions-label-system need --predictions")
        return
    context = click.get_current_context()
    typed = {name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if needless := typed & {"model", "find_pose", "refine_borders", "assign_numbers", "device"}:
        flags = [param.opts[0] for param in context.command.params if param.name in needless]
        raise ConfigError(f"{' and '.join(flags)}: with --predictions no model runs; give only one of them")
    check_labels(predictions)


@click.command(short_help="Score a model, or other labels, on labelled scans.")
@scans_argument
@model_option
@click.option("--out", "-o", type=FILE, required=True, help="JSON file to write.")
@click.option(
    "--predictions", type=PATH, help="Score the labels in this folder, written by any program; no model runs."
)
@click.option(
    "--predictions-palette",
    metavar="FILE:SET",
    callback=at_once(named_palette),
    help="What the colours of these labels mean.",
)
@click.option(
    "--predictions-label-system", type=LabelSystem(), callback=at_once(check_label_system),
    help="How the labels in --predictions number teeth.  [default: auto]",
)  # fmt: skip
@click.option(
    "--against", type=FILE, callback=at_once(check_file),
    help="Scores to compare with: a file that `evaluate --out` wrote for another model or program.",
)  # fmt: skip
@split_option
@click.option("--subset", type=Choice(["train", "val", "test"]), help="Patients of --split to score.  [default: val]")
@palette_option
@label_system_option
@jaw_option
@prediction_options
@unit_option
@json_option
@workers_option
@shard_option
@again_option
@device_option
@threads_option
@memory_option("toothgraph.cli.scoring", _refuse)
def evaluate(
    scans: tuple[Path, ...],
    model: Path,
    out: Path,
    predictions: Path | None,
    predictions_palette: str | None,
    predictions_label_system: str | None,
    against: Path | None,
    split: Path | None,
    subset: str | None,
    palette: str | None,
    label_system: str | None,
    jaw: str,
    unit: str | None,
    as_json: bool,
    workers: int,
    shard: tuple[int, int],
    again: bool,
    device: str | None,
    **steps: Any,
) -> None:
    """Predict labelled scans exactly as `predict` does, and score the result on the original faces.

    Writes the mean scores, one row per scan and one per tooth. A scan that cannot be read or has no labels
    is reported and the others are scored all the same; the exit code is then 1.

    Until all scans are scored, the results are kept in a file named as --out with .parts added. If the command is
    stopped and started again, it goes on from there. With several parts (--shard), the last part writes --out.

    With --predictions, no model runs: the labels of a scan are read from <name>.txt (per face or per vertex),
    <name>.json (per vertex) or a mesh of that name, and scored by the same definitions.

    With --against, the scans that both results have are compared one by one. For a fair comparison of two nets, score
    both on the same scans.

    With --json, the content of --out is also printed to stdout.
    """
    from toothgraph.cli.scoring import Parts, Scorer
    from toothgraph.inference.options import PredictOptions
    from toothgraph.metrics.intervals import compared

    files = choose_scans(scans, split, subset)
    refuse_overwriting(files, out)
    check_workers(workers, device)
    names = dict(zip(files, scan_names(files), strict=True))
    whose = patients_of(files, [*names.values()])
    patients = dict(zip(map(lasting, files), whose, strict=True))
    others = None if against is None else scores_to_compare(against, {*names.values()})
    cases = cases_of(files)
    told = {file: which for file in cases if (which := told_jaw(file, cases)) is not None}
    scorer = Scorer(model, device, JAWS[jaw], named_palette(palette), unit or "mm", label_system or "auto",
                    PredictOptions(**steps), names=names, told=told)  # fmt: skip
    if predictions:
        scorer, scored_is = with_labels(scorer, predictions, predictions_palette, predictions_label_system)
    else:
        scorer, scored_is = with_net(scorer, files)
    parts = Parts(out)
    before = {} if again else {result.inputs: result for result in parts.read().values() if result.scored}
    ours = [file for own in [*together_by(files, whose).values()][shard[0] - 1 :: shard[1]] for file in own]
    with json_alone(as_json) as print_json:
        results = score_files(replace(scorer, known=frozenset(before)), ours, before, parts, workers)
        complete = parts.complete(files, results, scorer.inputs_or_none)
        if as_json or complete is not None:  # the scores of a part are only shown by --json
            content = scores_of(results if complete is None else complete, patients, scored_is)
            check_label_systems(content["per_scan"], predictions)
            if others is not None:
                content["against"] = {"file": str(against), **compared(content["per_scan"], others)}
            print_json({"complete": complete is not None, **content})
        if complete is not None:
            write_scores(out, content, parts)
            return
        say_of_part(results, len(files), shard, parts.path)


def scores_to_compare(file: Path, names: set[str]) -> list[dict[str, Any]]:
    """The rows of scans in another result.

    Raises:
        ConfigError: if it has none of these scans.
    """
    rows: list[dict[str, Any]] = read_scores(file)["per_scan"]
    if not {row["scan_id"] for row in rows} & names:
        raise ConfigError(
            f"{file}: expected scores of the scans that are scored now, found none of them; compare results of the "
            "same scans"
        )
    return rows


def say_of_part(results: list[Result], scans: int, shard: tuple[int, int], kept: Path) -> None:
    """Say how many of all scans are scored by one part, and where they are kept.

    Raises:
        ToothgraphError: if some of the part could not be scored.
    """
    failed = sum(not result.scored for result in results)
    where = f" -> {kept}" if kept.exists() else ""  # a part without a scan keeps nothing
    say(f"{len(results) - failed} of {scans_of(scans)} scored by part {shard[0]} of {shard[1]}{where}")
    if failed:
        raise ToothgraphError(f"{failed} of {scans_of(len(results))} could not be scored; see above")


def with_net(scorer: Scorer, files: list[Path]) -> tuple[Scorer, dict[str, Any]]:
    """The scorer with its net, and what the file of scores says of the net."""
    from toothgraph.system import provenance

    net, source = load_net(scorer.model, scorer.device)
    say_what_was_learned(files, source.header)
    model = {"file": str(source.path), "sha256": provenance.sha256(source.path), **source.header}
    return replace(scorer, net=net), {"predict": asdict(scorer.options), "model": model}


def with_labels(
    scorer: Scorer, folder: Path, palette: str | None, label_system: str | None
) -> tuple[Scorer, dict[str, Any]]:
    """The scorer with the labels of another program, and what the file of scores says of them."""
    from toothgraph.io.predictions import Predictions

    other = Predictions(folder, named_palette(palette), label_system or "auto", scorer.unit)
    return replace(scorer, predictions=other), {"predictions": {"folder": str(folder), "palette": palette}}


def say_what_was_learned(files: list[Path], header: Mapping[str, Any]) -> None:
    """Say how many scans are of patients that a model has learned from; such scores are too good.

    Patients are compared by their names.

    Args:
        files: the scans.
        header: the header of the model file.
    """
    learned = learned_from(header)
    by_case = zip(files, patients_of(files, scan_names(files)), strict=True)
    known = sum(bool(learned & {patient, *may_be_of(file)}) for file, patient in by_case)
    if known:
        say(
            f"note: by their names, the model has learned from the patients of {known} of {scans_of(len(files))}; "
            "scores of such scans do not tell how good it is on others",
            err=True,
        )


def score_files(
    scorer: Scorer, files: list[Path], before: dict[str, Result], parts: Parts, workers: int
) -> list[Result]:
    """Score the scans that can be scored. Print and keep the result of each.

    Args:
        scorer: knows the digests in ``before``.
        files: the scans.
        before: the results of an earlier run, by digest.
        parts: where results are kept.
        workers: number of processes.
    """
    from toothgraph.cli.scoring import Result

    results: list[Result] = []

    def add(result: Result) -> None:
        kept, result = result.kept, before[result.inputs] if result.kept else result
        results.append(result)
        if not kept:
            parts.add(result)
        display.advance()
        if result.scored:
            row = result.scored.row
            said = f"{row['scan_id']}: miou {row['miou']:.4f}, accuracy {row['accuracy']:.4f}"
            say(f"{said} (scored before, unchanged)" if kept else said)
        else:
            say_error(result.error)

    def lost(file: Path, how: str) -> list[Result]:
        return [Result(lasting(file), scorer.inputs_or_none(file), error=process_ended(file, how))]

    try:
        with Display("scoring", len(files), item=scorer.names[files[0]] if files else "") as display:
            if workers > 1:

                def show(at_work: Sequence[Path]) -> None:
                    display.begin(", ".join(scorer.names[file] for file in at_work))

                display.item = f"starting {workers} processes"
                in_workers(replace(scorer, net=None), deque(files), workers, add, lost, show)
            else:
                for file in files:
                    display.begin(scorer.names[file])
                    add(*scorer(file))
    except KeyboardInterrupt as stop:
        kept = f": {len(results)} are kept in {parts.path}; to go on, run the same command again" if results else ""
        stop.args = ("; ".join([*map(str, stop.args), f"{parts.out} is not written{kept}"]),)
        raise
    return results


def refuse_overwriting(files: list[Path], out: Path) -> None:
    """Raise ConfigError if --out is a scan or its label file."""
    for file in files:
        own = [other for place in places_of(file) for other in (place, *map(place.with_suffix, (".json", ".txt")))]
        if any(place in own for place in places_of(out)):
            raise ConfigError(f"{out}: --out is {file.name} itself or its label file; choose another")


def choose_scans(scans: tuple[Path, ...], split: Path | None, subset: str | None) -> list[Path]:
    """The files to score: all, or those of the patients of a split."""
    from toothgraph.data.split import load_split, of_patients, warn_of_missing
    from toothgraph.io.find import find_scans

    files = find_scans(list(scans))
    if split is None:
        return files
    named, whose = load_split(split), patients_of(files, scan_names(files))
    wanted: tuple[str, ...] = getattr(named, subset or "val")
    chosen = of_patients(files, whose, wanted)
    if not chosen:
        raise DataError(
            f"none of {scans_of(len(files))} belongs to a {subset or 'val'} patient of {split}, which names "
            f"{some_of(sorted(wanted)) or 'none'}; the patients of the scans are {some_of(sorted({*whose}))}"
        )
    warn_of_missing(split, wanted, whose)
    return chosen
