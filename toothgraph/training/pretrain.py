"""Pre-training without labels: nodes of two views that show the same surface point must agree."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch

from toothgraph.data.loading import ViewPairs, collate_pairs
from toothgraph.data.scan import Scan, without_labels
from toothgraph.data.split import Split
from toothgraph.errors import DataError
from toothgraph.model.file import make_net
from toothgraph.model.nets import ContrastiveNet
from toothgraph.nn.contrastive import info_nce, match_top1
from toothgraph.nn.distributed import gathered, world
from toothgraph.training.config import PretrainConfig, check_config
from toothgraph.training.run import run
from toothgraph.training.run_folder import check_free
from toothgraph.training.sides import unlabelled_sides
from toothgraph.training.task import Task, check_finite, check_number
from toothgraph.transforms.views import spread_candidates

CANDIDATE_SPACING = 1.0  # mm between the candidates of ``val_match_top1``


class PretrainTask(Task):
    """Pre-training with the InfoNCE loss over matched nodes of two views; batches come from :func:`collate_pairs`.

    Metrics of the validation, on views of scans that are not trained on:

    * ``val_match_top1``: share of matched nodes for which the most similar candidate in the other view is the partner.
      Candidates are at least 1 mm apart; only nodes whose partner is a candidate count.
    * ``val_candidates``: smallest number of candidates in any of these views.
    * ``val_loss``: the loss; ``val_ln_candidates``: the loss of guessing, ln of the number of matched pairs.
    """

    work = "pre-training"
    monitor = "val_match_top1"
    monitor_is = "share of the faces that are found again in another view, 1 at best"
    val_columns = ("val_match_top1", "val_candidates", "val_loss", "val_ln_candidates")
    config: PretrainConfig

    def _matched(self, out: Tensor, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Projections [P, D] of the matched nodes in the first and the second view, and the scan [P] of each pair."""
        first, second = batch.match_index.chunk(2)
        if len(first) == 0:
            raise DataError(
                f"the two views of {', '.join(dict.fromkeys(batch.scan_id))} share no surface point: with so few "
                "faces, two tessellations seldom have faces within `views.radius` of each other; use more (--faces)"
            )
        return out[first], out[second], batch.batch[first]

    def _loss(self, a: Tensor, b: Tensor, scan: Tensor, batch: Batch) -> Tensor:
        config, pos, sizes = self.config, batch.match_pos.chunk(2)[0], batch.get("match_sizes")
        # Take the pairs of all processes, and number their scans apart. In validation all processes see the same scans.
        if self.training and config.negatives == "batch" and world() > 1:
            scan = scan + torch.distributed.get_rank() * len(batch.scan_id)
            a, b, scan, pos = (gathered(part) for part in (a, b, scan, pos))
            sizes = None
        return info_nce(
            a,
            b,
            temperature=config.temperature,
            normalize=config.normalize,
            symmetric=config.symmetric,
            negatives=config.negatives,
            batch=scan if sizes is None else None,
            sizes=sizes,
            pos=pos,
            exclude_radius=config.exclude_radius,
        )

    def loss(self, batch: Batch) -> Tensor:
        """The loss of a batch of view pairs."""
        return self._loss(*self._matched(self.net(batch), batch), batch)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self.loss(batch)
        check_finite(loss, batch.scan_id)
        self.log("train_loss", loss, batch_size=len(batch.scan_id))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        out = self.net(batch)
        a, b, scan = self._matched(out, batch)
        second = batch.get_example(1).cpu()
        candidates = spread_candidates(second, CANDIDATE_SPACING)
        place = torch.full((second.num_nodes,), -1)
        place[candidates] = torch.arange(len(candidates))
        target = place[second.match_index].to(out.device)  # [P]; -1: the partner is no candidate
        asked = target >= 0
        pool = out[batch.ptr[1] :][torch.from_numpy(candidates).to(out.device)]
        loss = self._loss(a, b, scan, batch)
        check_number(loss, batch.scan_id)
        self.log_dict({
            "val_match_top1": match_top1(a[asked], pool, target[asked]),
            "val_loss": loss,
            "val_ln_candidates": math.log(len(a)),
        }, batch_size=1)  # fmt: skip
        self.log("val_candidates", float(len(candidates)), reduce_fx="min", batch_size=1)


def pretrain(
    scans: list[Scan],
    split: Split,
    out: str | Path,
    config: PretrainConfig,
    *,
    resume: bool = False,
    objective: type[PretrainTask] = PretrainTask,
) -> Path:
    """Pre-train a backbone.

    Args:
        scans: scans of the training and the validation patients; their labels are ignored.
        split: which patients train and which validate; no patient has to validate.
        out: run folder.
        config: options.
        resume: go on with the run in ``out``.
        objective: task to train; a subclass may have another ``loss``.

    Returns:
        The model file.

    Raises:
        ToothgraphError: if an option is out of its range, there are no scans to train on or none of the validation
            patients, the folder holds another run, or training fails.
    """
    check_config(config)
    check_free(Path(out), resume)
    sides = unlabelled_sides(scans, split)
    train, val = ([without_labels(scan) for scan in side] for side in (sides.train, sides.val))
    facts: dict[str, Any] = {"command": "pretrain", **sides.facts()}
    torch.manual_seed(config.seed)
    task = objective(
        make_net(ContrastiveNet, config.net),
        config,
        ViewPairs(train, config.seed, config.views),
        ViewPairs(val, config.seed + 1, config.views),
        collate_pairs,
    )
    task.sides = sides
    return run(task, Path(out), resume, facts, {
        "seed": config.seed, "train": facts["train"], "patients": sorted({scan.patient for scan in train}),
    })  # fmt: skip
