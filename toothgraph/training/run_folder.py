"""The folder of a training run: what is in it, and whether it may be written to.

===================  ==================================================================
config.json          every option, the split, versions, git revision
metrics.csv          one row per ``log_every`` steps and per validation
log.txt              messages of the run
state.json           whether it is at work, finished, stopped or failed
tensorboard/         the same metrics for TensorBoard
last.ckpt            state of the training, to resume from; previous.ckpt is the one before
best.ckpt            the state at the best validation
bad_batch.json       step and scans of a loss that was not finite, if one was
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
        config: the run's options, a dataclass.
        resume: go on with the run that is there.
        facts: what else to keep in ``config.json``.

    Returns:
        The checkpoint to resume from, if there is one; a finished run may have none left.

    Raises:
        ConfigError: if a run is there and ``resume`` was not asked for, or it had other options or scans.
        CheckpointError: if there are checkpoints, all of them damaged.
    """
    if not first_rank():
        return usable_checkpoint(out) if resume else None
    check_free(out, resume)
    file = out / CONFIG_FILE
    checkpoint = usable_checkpoint(out) if resume else None
    if checkpoint or (resume and file.exists() and is_finished(out)):
        _check_same(out, config, facts)
        if checkpoint and checkpoint.name == PREVIOUS:  # the damaged one must not take the place of the good one
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
    """The last checkpoint, or, where it is damaged, the one before; None where there is none.

    Raises:
        CheckpointError: if there are some, all of them damaged.
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
                _log.warning("%s; goes on from the one before", damaged)
            return file
    if damaged:
        raise damaged
    return None


def resumes_at(out: Path) -> int:
    """The step at which ``--resume`` goes on.

    Raises:
        CheckpointError: if there are checkpoints, all of them damaged.
    """
    checkpoint = usable_checkpoint(out)
    return int(read_checkpoint(checkpoint)["global_step"]) if checkpoint else 0


def check_free(out: Path, resume: bool) -> None:
    """Whether a run may be written to ``out``; worth asking before scans are read.

    Raises:
        ConfigError: if it is no folder, or a run is there and ``resume`` was not asked for.
    """
    check_folder(out)
    if (out / CONFIG_FILE).exists() and not resume and first_rank():
        raise ConfigError(f"{out}: holds a run already; add --resume to go on with it, or choose another folder")


def read_config(out: Path) -> dict[str, Any]:
    """What ``config.json`` says of a run.

    Raises:
        ConfigError: if it cannot be read.
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
    """The threads of torch that a run, or the teacher that is at work in it, was started with; None where there is no
    run, or it does not say."""
    run = at_work(out) or out
    if not (run / CONFIG_FILE).is_file():
        return None
    threads = read_config(run).get("started", {}).get("hardware", {}).get("threads")
    return threads if isinstance(threads, int) and threads > 0 else None


def check_options(out: Path, config: Any) -> None:
    """Whether the run in a folder, if it has begun, has these options: worth asking before there is other work.

    Raises:
        ConfigError: if it has others.
    """
    if has_begun(out) and first_rank():
        _check_same(out, config, {})


def _check_same(out: Path, config: Any, facts: dict[str, Any]) -> None:
    """Whether a run that is resumed has the options and scans it was started with; what it did not know of yet had its
    default."""
    said = read_config(out)
    options, defaults = (_plain(one) for one in (config, type(config)()))
    before = _completed(said["options"], defaults)
    free = {"workers", "device", "checkpoint_every", "log_every", "deterministic"}
    if not any(origin.startswith(FOUND) for origin in said.get("labels", {}).values()):
        free |= {"rounds", "trust"}  # of self-training, which this run is not
    changed = [name for name in options if name not in free and before.get(name) != options[name]]
    # The path of --init may be another by now; its content may not.
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
    """Options as JSON has them."""
    content: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return content


def _completed(options: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Options with the defaults of those that they lack, also of parts within parts."""
    both = {**defaults, **options}
    for name, value in both.items():
        default = defaults.get(name)
        if isinstance(value, dict) and isinstance(default, dict):
            both[name] = _completed(value, default)
    return both


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A Lightning checkpoint: tensors and plain containers only, nothing in it is executed.

    Raises:
        CheckpointError: if it is damaged or holds anything else.
    """
    import torch  # which takes a second to load: a folder that cannot be written to is refused before

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        int(content["global_step"])
    except Exception as error:  # torch raises many kinds, from EOFError to UnpicklingError
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path}: not a whole checkpoint of a training run ({reason[:160]})") from error
    return content


def read_metrics(out: Path, up_to_step: int | None = None) -> list[dict[str, Any]]:
    """The rows of ``metrics.csv``, or those up to a step, for a run that goes on from there."""
    file = out / METRICS_FILE
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as stream:
        rows = [dict(row) for row in csv.DictReader(stream)]
    return [row for row in rows if up_to_step is None or int(row["step"]) <= up_to_step]


def write_metrics(out: Path, columns: list[str], rows: list[dict[str, Any]]) -> None:
    """Write ``metrics.csv`` whole."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_text(out / METRICS_FILE, text.getvalue())


@contextmanager
def logged(out: Path) -> Iterator[None]:
    """Within it, the package's messages go to ``log.txt``, too."""
    if not first_rank():
        yield
        return
    out.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(out / LOG_FILE, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    _log.addHandler(handler)
    try:
        yield
    finally:
        _log.removeHandler(handler)
        handler.close()


def has_begun(out: Path) -> bool:
    """Whether there is a run that goes on with ``--resume``, or is finished: it has learned something."""
    return (out / CONFIG_FILE).exists() and any((out / name).exists() for name in CHECKPOINTS)


def is_finished(out: Path) -> bool:
    """Whether the run's model was written."""
    return (out / MODEL_FILE).exists()


def teacher(number: int) -> str:
    """The folder of the teacher of a round, within the run folder."""
    return f"teacher-{number}"


def labels_of(number: int) -> str:
    """The folder of the labels that the teacher of a round found, within the run folder."""
    return f"found-{number}"


def at_work(out: Path) -> Path | None:
    """The last teacher's run, where the student's own run has not begun; None for a run of another kind."""
    if (out / CONFIG_FILE).exists():
        return None
    return _last(out, teacher)


def last_labels(out: Path) -> Path | None:
    """The labels that were found last, where the student's own run has not begun; None if there are none."""
    return None if (out / CONFIG_FILE).exists() else _last(out, labels_of)


def _last(out: Path, name: Callable[[int], str]) -> Path | None:
    there = [folder for number in range(1, 100) if (folder := out / name(number)).is_dir()]
    return there[-1] if there else None
