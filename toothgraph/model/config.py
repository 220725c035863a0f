"""Configuration of a network and of its input graphs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from toothgraph.config import check_choices
from toothgraph.errors import ConfigError
from toothgraph.graph.spec import GraphSpec

_NET_CHOICES = {
    "features": ("pair", "shape", "coordinates"),
    "norm": ("batch", "layer"),
    "classes": ("places", "all"),
}


@dataclass(frozen=True)
class NetConfig:
    """Configuration of a network and of its input graphs.

    Attributes:
        kind: ``geometry`` (the default backbone) or ``paper``.
        graph: how scans become graphs.
        widths, pair_channels, embedding: see :class:`toothgraph.model.GeometryBackbone`.
        head_widths: channels per level of the segmentation head.
        features: ``pair`` (invariant pair geometry), ``shape`` (also area and bend of each face) or ``coordinates``
            (only coordinates and normals).
        norm: ``batch`` or ``layer`` norm of node features.
        context: whether the head pools a feature of the whole scan.
        classes: ``places`` (17 positions of one jaw, and the jaw) or ``all`` (33 classes at once).
        projection: output channels of the projection head in pre-training.
        dropout: dropout in the segmentation head.
        dynamic_k: neighbours in the dynamic graphs of ``paper``.
        recompute: activation checkpointing: inner values are computed again in the backward pass, for less memory and
            more time.
    """

    kind: str = "geometry"
    graph: GraphSpec = field(default_factory=GraphSpec)
    widths: tuple[int, ...] = (64, 128, 192, 256)
    pair_channels: int = 32
    embedding: int = 96
    head_widths: tuple[int, ...] = (64, 128, 192, 256)
    features: str = "pair"
    norm: str = "batch"
    context: bool = True
    classes: str = "places"
    projection: int = 32
    dropout: float = 0.3
    dynamic_k: int = 25
    recompute: bool = False


def check_net(net: NetConfig) -> None:
    """Check a network configuration.

    Raises:
        ConfigError: if a value is invalid; the text names it.
    """
    graph, levels = net.graph, len(net.graph.spacings)
    check_choices(vars(net), _NET_CHOICES, "net: ")
    if graph.faces < 50:
        raise ConfigError(f"expected scans of at least 50 faces, got faces = {graph.faces}")
    counts = {"embedding": net.embedding, "pair_channels": net.pair_channels, "projection": net.projection}
    wrong = [name for name, count in {**counts, "dynamic_k": net.dynamic_k}.items() if count < 1]
    if wrong:
        raise ConfigError(f"net: expected {wrong[0]} of at least 1, got {getattr(net, wrong[0])}")
    if not 0 <= net.dropout < 1:
        raise ConfigError(f"net: expected a dropout of at least 0 and below 1, got {net.dropout}")
    if net.kind != "geometry":
        return
    if levels == 0 or graph.k < 1:
        raise ConfigError(
            f"net.graph: expected k of at least 1 and one or more spacings, got k = {graph.k}, {levels} spacings"
        )
    if list(graph.spacings) != sorted(graph.spacings) or not 0 <= graph.spacings[0] <= graph.spacings[-1] < math.inf:
        raise ConfigError(f"net.graph: expected spacings of at least 0 in increasing order, got {list(graph.spacings)}")
    for name in ("widths", "head_widths"):
        widths = getattr(net, name)
        if len(widths) != levels or min(widths) < 1:
            raise ConfigError(f"net: expected {levels} {name}, one per spacing, each at least 1, got {list(widths)}")
