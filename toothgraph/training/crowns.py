"""Training of the network that finds the position of a tooth from the shape of its crown."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.data import Data

from toothgraph.anatomy import molars
from toothgraph.fdi import class_to_fdi
from toothgraph.graph.build import loose_mesh
from toothgraph.model.crowns import CrownNet, crown_images
from toothgraph.stages import stage
from toothgraph.transforms.crowns import Crowns, crowns_of, vary

BATCH = 192
RATE, DECAY = 2e-3, 0.02
SMOOTHING = 0.05  # label smoothing for six scans or more; higher for fewer, whose crowns are learned by heart
ADAPTED = 0.25  # learning rate for adapting a net, as a share of RATE


def train_crowns(
    graphs: Iterable[Data],
    steps: int,
    seed: int,
    *,
    start: CrownNet | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> CrownNet | None:
    """Train a :class:`toothgraph.model.crowns.CrownNet` on the crowns of labelled graphs, or adapt one to them.

    Graphs whose labels count past a closed gap are left out, see :mod:`toothgraph.anatomy.molars`. When a net is
    adapted, only positions that occur in these labels, or their mirror images, are compared. So the net does not
    unlearn a tooth that is missing in all of these mouths.

    Args:
        graphs: labelled graphs (``y``) in the frame of the networks.
        steps: optimiser steps.
        seed: seed of initialisation, order and variation.
        start: the net to adapt; it is not changed.
        stop: called before each step; training stops if it returns True.

    Returns:
        The net in evaluation mode. Without any crowns: ``start``, or else a net that has learned nothing. None if
        training was stopped.
    """
    sound = [graph for graph in graphs if not counts_past_gap(graph)]
    crowns = crowns_of(sound, np.random.default_rng(seed))
    smoothing = smoothing_for(len({graph.scan_id for graph in sound}))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = CrownNet() if start is None else copy.deepcopy(start)
        if len(crowns) == 0:
            return (start or net).eval()
        allowed = torch.ones(16, dtype=torch.bool) if start is None else occurring(crowns.place)
        rate = RATE if start is None else ADAPTED * RATE
        optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=max(steps, 2))
        net.train()
        for step in range(steps):
            if stop():
                return None
            stage(f"shapes of teeth, step {step + 1} of {steps}")
            loss = batch_loss(net, crowns, allowed, smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def smoothing_for(scans: int) -> float:
    """Label smoothing for a number of scans: 0.15 for up to two scans, 0.05 for six or more."""
    return float(np.clip(6 * SMOOTHING / max(scans, 1), SMOOTHING, 3 * SMOOTHING))


def batch_loss(net: CrownNet, crowns: Crowns, allowed: Tensor, smoothing: float = SMOOTHING) -> Tensor:
    """Cross-entropy of a random batch of crowns, varied at random, over the positions ``allowed`` [16] bool."""
    which = torch.randint(len(crowns), (BATCH,))
    points, place, visible = vary(crowns.points[which], crowns.place[which])
    said = net(crown_images(points, visible[:, None])[:, 0], crowns.jaw[which])[:, allowed]
    number = torch.cumsum(allowed, 0) - 1
    return F.cross_entropy(said, number[place - 1], label_smoothing=smoothing)


def occurring(place: Tensor) -> Tensor:
    """Which positions occur in ``place`` [N], themselves or as a mirror image. [16] bool"""
    there = torch.zeros(16, dtype=torch.bool)
    there[place - 1] = True
    return there | there.roll(8)


def counts_past_gap(graph: Data) -> bool:
    """Whether the labels of a graph count past a closed gap, see :func:`toothgraph.anatomy.molars.counts_past_gap`."""
    return molars.counts_past_gap(loose_mesh(graph).with_labels(class_to_fdi(graph.y.numpy())))
