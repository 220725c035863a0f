"""Configuration of a network and of its input graphs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from toothgraph.config import check_choices
from toothgraph.errors import ConfigError
from toothgraph.graph.spec import GraphSpec

FEATURES = ("pair", "shape", "coordinates")
CLASSES = ("places", "all")
WIDTHS = (64, 128, 192, 256)  # channels per level, finest first
_NET_CHOICES = {"features": FEATURES, "norm": ("batch", "layer"), "classes": CLASSES}


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
        recompute: activation checkpointing. Inner values are computed again in the backward pass, which takes less
            memory and more time.
    """

    kind: str = "geometry"
    graph: GraphSpec = field(default_factory=GraphSpec)
    widths: tuple[int, ...] = WIDTHS
    pair_channels: int = 32
    embedding: int = 96
    head_widths: tuple[int, ...] = WIDTHS
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
    graph = net.graph
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
    check_levels(graph.k, graph.spacings, {"widths": net.widths, "head_widths": net.head_widths}, "net: ")


def check_levels(k: int, spacings: Sequence[float], widths: Mapping[str, Sequence[int]], where: str = "") -> None:
    """Check the levels of a net.

    Args:
        k: neighbours per level.
        spacings: mm, one per level.
        widths: channels per level, by the name of the option.
        where: the beginning of the message.

    Raises:
        ConfigError: if ``k`` or the spacings are invalid, or there is not one width per level; the text names the
            option.
    """
    if not isinstance(spacings, Sequence) or not spacings or not isinstance(k, int) or k < 1:
        raise ConfigError(f"{where}expected k of at least 1 and one or more spacings (mm), got {k!r} and {spacings!r}")
    if list(spacings) != sorted(spacings) or not 0 <= spacings[0] <= spacings[-1] < math.inf:
        raise ConfigError(f"{where}expected spacings of at least 0 mm in increasing order, got {list(spacings)}")
    for name, given in widths.items():
        if not isinstance(given, Sequence) or len(given) != len(spacings) or min(given) < 1:
            found = list(given) if isinstance(given, Sequence) else given
            raise ConfigError(
                f"{where}expected {len(spacings)} {name}, one per spacing, each at least 1, got {found}; give "
                f"{name}={tuple(WIDTHS[: len(spacings)])} or spacings for as many levels"
            )
