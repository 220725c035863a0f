"""The folder of a training run: what is in it, and whether it may be written to.

===================  ==================================================================
config.json          every option, the split, versions, git revision
metrics.csv          one row per ``log_every`` steps and per validation
log.txt              messages of the run
state.json           whether the run is running, finished, stopped or failed
tensorboard/         the same metrics for TensorBoard
last.ckpt            state of the training, to resume from; previous.ckpt is the one before it
best.ckpt            the state at the best validation
bad_batch.json       step and scans of a loss that was not finite, if there was one
model.safetensors    the trained net, written when the run finishes
===================  ==================================================================
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from toothgraph.errors import CheckpointError, ConfigError, some_of
from toothgraph.mesh.label_origin import FOUND
from toothgraph.system import provenance
from toothgraph.system.files import check_folder, check_there, write_text
from toothgraph.system.processes import first_rank
from toothgraph.weights import MODEL_FILE

_log = logging.getLogger("toothgraph")
BAD_BATCH_FILE = "bad_batch.json"
CONFIG_FILE, METRICS_FILE, LOG_FILE = "config.json", "metrics.csv", "log.txt"
LAST, PREVIOUS, BEST = "last.ckpt", "previous.ckpt", "best.ckpt"
CHECKPOINTS = (LAST, PREVIOUS, BEST, MODEL_FILE)


def open_run(out: Path, config: Any, resume: bool, facts: dict[str, Any]) -> Path | None:
    """Make or reopen a run folder.

    Args:
        out: the folder.
        config: options of the run, a dataclass.
        resume: go on with the run in this folder.
        facts: further entries of ``config.json``.

    Returns:
        The checkpoint to resume from; None if there is none, as may be in a finished run.

    Raises:
        ConfigError: if the folder holds a run and ``resume`` is False, or if that run had other options or scans.
        CheckpointError: if there are checkpoints, but all are damaged.
    """
    if not first_rank():
        return usable_checkpoint(out) if resume else None
    check_free(out, resume)
    file = out / CONFIG_FILE
    checkpoint = usable_checkpoint(out) if resume else None
    if checkpoint or (resume and file.exists() and is_finished(out)):
        _check_same(out, config, facts)
        if checkpoint and checkpoint.name == PREVIOUS:  # else the damaged file would replace the good one
            (out / LAST).unlink(missing_ok=True)
        return checkpoint
    content = {
        "options": _plain(config),
        "started": provenance.facts(),
        **facts,
    }
    write_text(file, json.dumps(content, indent=1) + "\n")
    return None


def usable_checkpoint(out: Path) -> Path | None:
    """The last checkpoint, or the one before it if the last is damaged; None if there are no checkpoints.

    Raises:
        CheckpointError: if there are checkpoints, but all are damaged.
    """
    damaged = None
    for file in (out / LAST, out / PREVIOUS):
        if not file.exists():
            continue
        try:
            read_checkpoint(file)
        except CheckpointError as error:
            damaged = damaged or error
        else:
            if damaged:
                _log.warning("%s; the run goes on from the checkpoint before it", damaged)
            return file
    if damaged:
        raise damaged
    return None


def resumes_at(out: Path) -> int:
    """The step at which ``--resume`` goes on; 0 without a checkpoint.

    Raises:
        CheckpointError: if there are checkpoints, but all are damaged.
    """
    checkpoint = usable_checkpoint(out)
    return int(read_checkpoint(checkpoint)["global_step"]) if checkpoint else 0


def check_free(out: Path, resume: bool) -> None:
    """Raise an error if a run may not be written to ``out``; called before scans are read.

    Raises:
        ConfigError: if ``out`` is no folder, or holds a run and ``resume`` is False.
    """
    check_folder(out)
    if (out / CONFIG_FILE).exists() and not resume and first_rank():
        raise ConfigError(f"{out}: holds a run already; add --resume to go on with it, or choose another folder")


def read_config(out: Path) -> dict[str, Any]:
    """The content of the ``config.json`` of a run.

    Raises:
        ConfigError: if it is missing or cannot be read.
    """
    file = out / CONFIG_FILE
    if not file.is_file():
        check_there(out, ConfigError)
        raise ConfigError(f"{out}: no run folder of pretrain or finetune (expected {CONFIG_FILE} in it)")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {**content, "options": dict(content["options"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{file}: cannot read the options of the run ({error!r})") from error


def threads_of(out: Path) -> int | None:
    """Number of torch threads that a run was started with; None if there is no run, or its number is not known.

    If the run of a teacher is the current one in the folder, its number is returned.
    """
    run = at_work(out) or out
    if not (run / CONFIG_FILE).is_file():
        return None
    threads = read_config(run).get("started", {}).get("hardware", {}).get("threads")
    return threads if isinstance(threads, int) and threads > 0 else None


def check_options(out: Path, config: Any) -> None:
    """Raise an error if the run in a folder has begun with other options; called before other work begins.

    Raises:
        ConfigError: if the options differ.
    """
    if has_begun(out) and first_rank():
        _check_same(out, config, {})


def _check_same(out: Path, config: Any, facts: dict[str, Any]) -> None:
    """Raise ConfigError if a resumed run has other options or scans than it was started with.

    Some options, such as ``workers``, may differ. An option that did not exist when the run started had its default.
    """
    said = read_config(out)
    options, defaults = (_plain(one) for one in (config, type(config)()))
    before = _completed(said["options"], defaults)
    free = {"workers", "device", "checkpoint_every", "log_every", "deterministic"}
    if not any(origin.startswith(FOUND) for origin in said.get("labels", {}).values()):
        free |= {"rounds", "trust"}  # options of self-training, which this run does not use
    changed = [name for name in options if name not in free and before.get(name) != options[name]]
    # The path of --init may have changed; the content of that file may not.
    changed += [name for name in facts if name != "init" and said.get(name, facts[name]) != facts[name]]
    if "content" in changed:
        scans = [name for name, digest in facts["content"].items() if said["content"].get(name) != digest]
        changed.remove("content")
        if not changed:  # the same scans by name
            changed = [f"the surface or labels of {some_of(scans, 3)}"]
    if changed:
        raise ConfigError(
            f"{out}: cannot resume with other options or scans than it was started with: {', '.join(changed)}"
        )


def _plain(config: Any) -> dict[str, Any]:
    """Options as plain values, as they are stored in JSON."""
    content: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return content


def _completed(options: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Options, with defaults for missing ones, also in nested options."""
    both = {**defaults, **options}
    for name, value in both.items():
        default = defaults.get(name)
        if isinstance(value, dict) and isinstance(default, dict):
            both[name] = _completed(value, default)
    return both


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a Lightning checkpoint; it may hold only tensors and plain containers, and no code in it is executed.

    Raises:
        CheckpointError: if the checkpoint is damaged or holds anything else.
    """
    import torch  # takes a second to load; a folder that cannot be written to is refused before that

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        int(content["global_step"])
    except Exception as error:  # torch raises many kinds, from EOFError to UnpicklingError
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: not a whole checkpoint of a training run ({reason[:160]})") from error
    return content


def read_metrics(out: Path, up_to_step: int | None = None) -> list[dict[str, Any]]:
    """The rows of ``metrics.csv``; with ``up_to_step``, only the rows up to the step at which a run resumes."""
    file = out / METRICS_FILE
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as stream:
        rows = [dict(row) for row in csv.DictReader(stream)]
    return [row for row in rows if up_to_step is None or int(row["step"]) <= up_to_step]


def write_metrics(out: Path, columns: list[str], rows: list[dict[str, Any]]) -> None:
    """Write all rows of ``metrics.csv`` anew."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(out / METRICS_FILE, text.getvalue())


@contextmanager
def logged(out: Path) -> Iterator[None]:
    """Also write the package's messages to ``log.txt`` inside the block."""
    if not first_rank():
        yield
        return
    out.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(out / LOG_FILE, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.setLevel(logging.INFO)
    _log.addHandler(handler)
    level = _log.level
    if _log.getEffectiveLevel() > logging.INFO:  # started from Python
        _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.setLevel(level)
        _log.removeHandler(handler)
        handler.close()


def has_begun(out: Path) -> bool:
    """Whether the folder holds a run that has learned something: it has a checkpoint or a model file."""
    return (out / CONFIG_FILE).exists() and any((out / name).exists() for name in CHECKPOINTS)


def is_finished(out: Path) -> bool:
    """Whether the model file of the run was written."""
    return (out / MODEL_FILE).exists()


def teacher(number: int) -> str:
    """Name of the folder, inside the run folder, for the teacher of a round."""
    return f"teacher-{number}"


def labels_of(number: int) -> str:
    """Name of the folder, inside the run folder, for the labels that the teacher of a round finds."""
    return f"found-{number}"


def at_work(out: Path) -> Path | None:
    """Run folder of the last teacher, as long as the run of the last student has not begun; else None."""
    if (out / CONFIG_FILE).exists():
        return None
    return _last(out, teacher)


def last_labels(out: Path) -> Path | None:
    """Folder of the labels found last, as long as the run of the last student has not begun; else None."""
    return None if (out / CONFIG_FILE).exists() else _last(out, labels_of)


def _last(out: Path, name: Callable[[int], str]) -> Path | None:
    there = [folder for number in range(1, 100) if (folder := out / name(number)).is_dir()]
    return there[-1] if there else None
