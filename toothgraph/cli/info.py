"""``toothgraph info``."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from toothgraph.cli.as_json import json_alone, json_option
from toothgraph.cli.kinds import FILE, Model
from toothgraph.cli.options import starting
from toothgraph.cli.prepare import training_on
from toothgraph.cli.refusals import at_once, check_file
from toothgraph.cli.summary import SUMMARY
from toothgraph.cli.terminal import say, say_fact, scans_of
from toothgraph.errors import ConfigError
from toothgraph.system.files import check_folder
from toothgraph.weights import MODEL_FILE, is_default

SUFFIX = Path(MODEL_FILE).suffix


def _check(path: Path) -> None:
    if not is_default(path):
        check_file(path)


@click.command(short_help="Versions and devices; the state of a run or a folder.")
@click.argument("folder", required=False, type=Model(path_type=Path), callback=at_once(_check))
@click.option("--out", "-o", type=FILE, help="Draw the curves of a run into this PNG file.")
@json_option
def info(folder: Path | None, out: Path | None, as_json: bool) -> None:
    """Print versions, devices, which optional backends are installed, and the terms of the default weights.

    With a run folder of pretrain or finetune: how far it is, its last metrics, time per step, and what to resume from.
    With a folder of prepare: which scans it has, with labels or without, by which recipe, and what to run next. With a
    folder of export, a model.safetensors, or the word default: what model it is, and how it was made.
    """
    if folder is not None and folder.is_file() and folder.suffix != SUFFIX:
        raise ConfigError(
            f"{folder}: expected the folder of a run or of `toothgraph prepare`, or a model.safetensors, found another "
            "file; the numbers of a labelled scan are shown by `toothgraph renumber`"
        )
    if folder is not None and (folder / SUMMARY).is_file():
        raise ConfigError(
            f"{folder}: expected the folder of a run, of `toothgraph prepare` or of `toothgraph export`, found labels "
            f"of `toothgraph predict`; the table of its scans is {folder / SUMMARY}"
        )
    if out is not None:
        check_folder(out.parent)
    with starting():
        of_folder = describer(folder)
        if out and of_folder is not describe:
            raise ConfigError(f"-o {out}: draws the curves of a run; name the run folder of pretrain or finetune")
        facts = dict(of_folder(folder) if folder and of_folder else describe_machine())
    with json_alone(as_json) as print_json:
        print_json(facts)
        for name, value in {} if as_json else facts.items():
            say_fact(name, str(value))
        if out and folder:
            with starting():  # matplotlib takes a while
                draw_curves(folder, out)
            say(f"curves -> {out}")


def describer(folder: Path | None) -> Callable[[Path], Iterator[tuple[str, Any]]] | None:
    """The function that describes this kind of folder; None without a folder."""
    if folder is None:
        return None
    from toothgraph.data.prepared.layout import is_begun
    from toothgraph.weights import is_export

    if is_default(folder) or folder.is_file() or is_export(folder):
        return describe_model
    return describe_prepared if is_begun(folder) else describe


def describe_model(path: Path) -> Iterator[tuple[str, Any]]:
    """The facts on a model file, a folder of ``toothgraph export`` or the default weights, by name."""
    from toothgraph import weights
    from toothgraph.model.file import read_model
    from toothgraph.model.folder import how_made
    from toothgraph.system import provenance

    file = read_model(path)
    if path.is_dir():
        yield "folder of", "toothgraph export"
    if is_default(path):
        yield "default weights", weights.notice()
    yield "file", str(file.path)
    yield "kind", file.kind
    yield "sha256", provenance.sha256(file.path)
    yield from how_made(file).items()


def draw_curves(run: Path, out: Path) -> None:
    """Draw the curves of a run, or of the teacher that is at work in it, as a picture."""
    from toothgraph.report.curves import draw_run
    from toothgraph.training.run_folder import at_work, read_metrics

    run = at_work(run) or run
    draw_run(out, read_metrics(run), str(run))


def describe_machine() -> Iterator[tuple[str, Any]]:
    """Versions, devices, backends and the default weights, by name."""
    import torch

    from toothgraph import weights
    from toothgraph.nn.kernels.compiled import HAS_COMPILED
    from toothgraph.system import provenance, threads

    yield from provenance.versions().items()
    machine = provenance.hardware()
    taken, why = threads.choice(None)
    yield "processor", f"{machine['processor']}, {machine['cores']} cores"
    yield "threads", f"{taken} ({why})"
    yield "gpu", ", ".join(machine["gpus"]) or "none"
    yield "device (auto)", "cuda" if torch.cuda.is_available() else "cpu"
    scatter, triton = provenance.package_version("torch-scatter"), provenance.package_version("triton")
    yield "backend compiled", "built for the CPU" if HAS_COMPILED else "not built (needs Linux and g++ at installation)"
    yield "backend native", f"torch {torch.__version__}"
    yield "backend scatter", f"torch-scatter {scatter}" if scatter else "not installed (an optional extra)"
    yield "backend triton", f"triton {triton}" if triton else "not installed (comes with torch for CUDA)"
    digest = f"sha256 {provenance.sha256(weights.FILE)}" if weights.FILE.exists() else f"missing: {weights.FILE}"
    yield "default weights", f"{digest}\n{weights.notice()}"
    yield "backend for cpu", _chosen("cpu")
    yield "backend for cuda", _chosen("cuda") if torch.cuda.is_available() else "no CUDA device here"


def _chosen(device: str) -> str:
    import torch

    from toothgraph.nn.kernels.backend import choose_backend

    try:
        return choose_backend(torch.empty(0, device=device))
    except ConfigError as error:  # TOOTHGRAPH_BACKEND names a backend that cannot be used; this is shown
        return f"none: {error}"


def describe_prepared(folder: Path) -> Iterator[tuple[str, Any]]:
    """The facts on a folder of prepared scans, by name."""
    from toothgraph.data.prepared.folder import read_manifest, read_options, read_quarantine
    from toothgraph.data.prepared.layout import FOUND_BY_TEACHER, QUARANTINE, is_prepared
    from toothgraph.fdi import JAW_NAMES

    options = read_options(folder)
    graph = options.get("graph", {})
    of_teacher = FOUND_BY_TEACHER.items() <= options.items()
    yield "folder of", "a teacher of toothgraph finetune --unlabelled" if of_teacher else "toothgraph prepare"
    yield "graphs", f"{options.get('variants')} of each scan, {graph.get('faces')} faces, {graph.get('k')} neighbours"
    yield "seed", options.get("seed")
    if not of_teacher:
        yield "unit", options.get("unit")
    yield "label system", options.get("numbering")
    yield "palette", f"{len(options['palette']['fdi'])} colours" if options.get("palette") else "none"
    if not is_prepared(folder):
        command = "finetune` command with --resume" if of_teacher else "prepare` command"
        yield "state", f"not finished: to go on, run the same `toothgraph {command}"
        return
    headers = read_manifest(folder)
    jaws = Counter(JAW_NAMES[header.jaw] for header in headers)
    labels = Counter(header.labels for header in headers if header.labelled)
    patients = len({header.patient for header in headers})
    yield "scans", f"{len(headers)} of {patients} patients ({', '.join(f'{n} {jaw}' for jaw, n in jaws.items())})"
    said = ", ".join(f"{count} {origin}" for origin, count in labels.items())
    yield "labels", f"on {labels.total()} of {scans_of(len(headers))}" + (f": {said}" if said else "")
    if bad := read_quarantine(folder):
        yield "in quarantine", f"{len(bad)}, see {folder / QUARANTINE}"
    if not of_teacher and (then := training_on(folder)):
        yield "next", shlex.join(["toothgraph", *then])


def describe(run: Path) -> Iterator[tuple[str, Any]]:
    """The facts on a run folder, by name."""
    from toothgraph.data.prepared.layout import SCANS
    from toothgraph.training.run_folder import CHECKPOINTS, at_work, last_labels, read_config, read_metrics

    before, labels = at_work(run), last_labels(run)
    if labels is not None:
        yield "labels found", f"on {len([*(labels / SCANS).glob('*')])} scans so far: toothgraph info {labels}"
    if before is not None:
        yield "self-training", f"not finished: the student has not begun; the following is about {before}"
        run = before
    elif labels is not None:
        yield "self-training", "not finished: the net of --init labels scans, the student has not begun"
        return
    config = read_config(run)
    rows = read_metrics(run)
    steps = [int(row["step"]) for row in rows]
    yield "command", config.get("command", "unknown")
    yield "started", config.get("started", {}).get("date", "unknown")
    yield "scans", f"{len(config.get('train', []))} to train, {len(config.get('val', []))} to validate"
    origins = Counter(config.get("labels", {}).get(scan) for scan in config.get("train", []))
    if said := [f"{count} {origin}" for origin, count in sorted(origins.items(), key=str) if origin]:
        yield "labels to train on", ", ".join(said)
    yield "state", _state(run, config["options"], steps[-1] if steps else 0)
    if steps and steps[-1]:
        yield "seconds per step", f"{float(rows[-1]['seconds']) / steps[-1]:.3g}"
    last: dict[str, tuple[str, str]] = {}
    for row in rows:
        last |= {name: (value, row["step"]) for name, value in row.items() if value and name not in ("step", "seconds")}
    for name, (value, step) in last.items():
        yield name, f"{value} (step {step})"
    for name in CHECKPOINTS:
        if (run / name).exists():
            yield name, f"{run / name} ({(run / name).stat().st_size / 1e6:.1f} MB)"


def _state(run: Path, options: dict[str, Any], last_row: int) -> str:
    """How far a run is, and where ``--resume`` goes on.

    It goes on from the checkpoint, not from the last row of the metrics.
    """
    from toothgraph.errors import CheckpointError
    from toothgraph.training.run_folder import is_finished, resumes_at
    from toothgraph.training.run_state import FINISHED, KILLED, RUNNING, read_state
    from toothgraph.weights import MODEL_FILE

    wanted = "" if options.get("epochs") else f" of {options.get('steps', 'unknown')}"  # epochs set the steps
    known = read_state(run)
    if is_finished(run):  # a short run may have no row
        return f"finished, at step {max(last_row, known.step if known else 0)}{wanted}"
    if known and known.state == RUNNING:
        return f"running, after step {last_row}{wanted}"
    if known is None:
        ended = "not finished: running, stopped or killed"
    elif known.state == FINISHED:
        ended = f"finished at step {known.step}{wanted}, but {MODEL_FILE} is gone"
    elif known.state == KILLED:
        ended = f"killed, or its machine went down, after step {last_row}{wanted}"
    else:
        ended = f"{known.state} at step {known.step}{wanted}" + (f": {known.reason}" if known.reason else "")
    try:
        step = resumes_at(run)
    except CheckpointError as error:
        return f"{ended}; --resume cannot go on: {error}"
    return f"{ended}; --resume {'goes on' if step else 'begins'} at step {step}"
