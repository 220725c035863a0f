"""Fine-tuning with few labels."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch

from toothgraph.data.loading import LabelledGraphs, collate
from toothgraph.data.scan import Scan
from toothgraph.data.split import Split
from toothgraph.fdi import class_to_fdi
from toothgraph.metrics import class_scores, confusion
from toothgraph.model.crowns import CrownNet
from toothgraph.model.file import default_crowns, load_backbone, load_segmentation, make_net, read_model
from toothgraph.model.jaws import restrict_to_jaw
from toothgraph.model.nets import SegmentationNet
from toothgraph.nn.segmentation import boundary_weights, segmentation_loss
from toothgraph.scan_names import learned_from
from toothgraph.system import provenance
from toothgraph.training.config import FinetuneConfig, check_config
from toothgraph.training.crowns import train_crowns
from toothgraph.training.run import run
from toothgraph.training.run_folder import check_free
from toothgraph.training.sides import Sides, labelled_sides
from toothgraph.training.task import Task, check_finite, check_number

_log = logging.getLogger("toothgraph")


class FinetuneTask(Task):
    """Segmentation of labelled graphs.

    Validation scores the nodes of the graph, and the net is told the jaw. The scores are close to those of
    ``evaluate``, but not the same, since ``evaluate`` scores the original faces.
    """

    work = "fine-tuning"
    monitor = "val_miou"
    monitor_is = "how far found teeth and labels overlap (mean IoU), 1 at best"
    val_columns = ("val_miou", "val_accuracy", "val_loss")
    config: FinetuneConfig
    net: SegmentationNet
    crowns: CrownNet | None  # of the model that the training started from

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.crowns = None  # no class attribute, which would hide the module that is set later

    def _loss(self, log_prob: Tensor, batch: Batch) -> Tensor:
        extra = self.config.boundary_weight
        return segmentation_loss(
            log_prob,
            batch.y,
            batch.batch,
            dice_weight=self.config.dice_weight,
            label_smoothing=self.config.label_smoothing,
            weight=boundary_weights(batch.y, batch.edge_index, extra) if extra else None,
            num_scans=batch.num_graphs,
        )

    def loss(self, batch: Batch) -> Tensor:
        """The loss of a batch of labelled graphs."""
        return self._loss(self.net(batch, batch.jaw), batch)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self.loss(batch)
        check_finite(loss, batch.scan_id)
        self.log("train_loss", loss, batch_size=len(batch.scan_id))
        return loss

    def finish(self, stop: Callable[[], bool]) -> bool:
        before = None if self.config.crowns == "train" else self.crowns or default_crowns()
        if self.config.crowns == "keep":
            self.net.crowns = before
            return True
        steps = min(self.config.crown_steps, self.steps)
        source = "nothing" if before is None else "those of --init" if self.crowns else "those of the package's weights"
        _log.info("learning the shapes of teeth: %d step%s, from %s", steps, "s" * (steps != 1), source)
        graphs = (graph for scan in self.sides.train for graph in scan.variants)
        self.net.crowns = train_crowns(graphs, steps, self.config.seed, start=before, stop=stop)
        return self.net.crowns is not None

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Any]:
        """Score one scan. Returns its confusion matrix [33, 34] and the FDI numbers found [N], for pictures."""
        jaw = int(batch.jaw)
        log_prob = self.net(batch, batch.jaw)
        found = class_to_fdi(restrict_to_jaw(log_prob, jaw).argmax(dim=1).cpu().numpy())
        table = confusion(class_to_fdi(batch.y.cpu().numpy()), found)
        scores, loss = class_scores(table, jaw), self._loss(log_prob, batch)
        check_number(loss, batch.scan_id)
        self.log_dict({
            "val_miou": float(scores["miou"] or 0.0),
            "val_accuracy": float(scores["accuracy"] or 0.0),
            "val_loss": loss,
        }, batch_size=1)  # fmt: skip
        return {"confusion": table, "found": found}


def finetune(
    scans: list[Scan],
    split: Split,
    out: str | Path,
    config: FinetuneConfig,
    *,
    init: str | Path | None = None,
    resume: bool = False,
) -> Path:
    """Train a segmentation net on labelled scans.

    Args:
        scans: scans of the training and the validation patients; scans without labels are left out.
        split: which patients train and which validate. Of the training patients, ``config.label_fraction`` are used. No
            patient has to validate.
        out: run folder.
        config: options; with ``init``, ``config.net`` must have the backbone of ``init``.
        init: run folder or model file to start from.
        resume: go on with the run in ``out``.

    Returns:
        The model file.

    Raises:
        ToothgraphError: if an option is out of its range, there are no labelled scans to train on or none of the
            validation patients, the folder holds another run, ``init`` lacks a tensor of the backbone, or training
            fails.
    """
    check_free(Path(out), resume)
    return learn(labelled_sides(scans, split, config.label_fraction), out, config, init=init, resume=resume)


def learn(
    sides: Sides,
    out: str | Path,
    config: FinetuneConfig,
    *,
    init: str | Path | None = None,
    resume: bool = False,
    objective: type[FinetuneTask] = FinetuneTask,
) -> Path:
    """Train a segmentation net on given training and validation scans; the other arguments as for :func:`finetune`.

    Args:
        sides: the scans to train on and to validate on.
        objective: task to train; a subclass may have another ``loss``.

    Returns:
        The model file.
    """
    check_config(config)
    train, val = list(sides.train), list(sides.val)
    facts: dict[str, Any] = {
        "command": "finetune",
        "init": str(init) if init else None,
        "init_sha256": None,
        **sides.facts(),
    }
    if not init:
        config = replace(config, backbone_rate=1.0)
    torch.manual_seed(config.seed)
    net, crowns = make_net(SegmentationNet, config.net), None
    patients = {scan.patient for scan in train}
    if init:
        file = read_model(init)
        patients |= learned_from(file.header)
        facts["init_sha256"] = provenance.sha256(file.path)
        count, missing = load_backbone(net, file)
        crowns = load_segmentation(init)[0].crowns if file.kind == "segmentation" else None
        new = f", {len(missing)} new: {_shorten(missing)}" if missing else ""
        _log.info("net: %d tensors from %s%s", count, init, new)
    task = objective(
        net,
        config,
        LabelledGraphs(
            train, config.net.graph, config.seed, config.augmentation, config.cuts, config.jaw_dropout, config.warps
        ),
        LabelledGraphs(plain_only(val), config.net.graph, config.seed + 1),
        collate,
    )
    task.sides, task.crowns = sides, crowns
    return run(task, Path(out), resume, facts, {
        "seed": config.seed, "train": facts["train"], "patients": sorted(patients), "init": facts["init"],
    })  # fmt: skip


def plain_only(scans: list[Scan]) -> list[Scan]:
    """The scans, each with only its first tessellation, the plain one."""
    return [replace(scan, variants=scan.variants[:1]) for scan in scans]


def _shorten(names: list[str]) -> str:
    modules = sorted({".".join(name.split(".")[:2]) for name in names})
    return ", ".join(modules)
