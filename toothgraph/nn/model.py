"""Whole networks: a backbone with a projection (pre-training) or with a classifier (segmentation)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from toothgraph.errors import ConfigError
from toothgraph.graph.spec import GraphSpec
from toothgraph.nn.backbone import GeometryBackbone
from toothgraph.nn.heads import ProjectionHead, SegmentationHead
from toothgraph.nn.paper import PaperBackbone, PaperHead


@dataclass(frozen=True)
class NetConfig:
    """A network's shape, and the graphs it works on.

    Attributes:
        kind: ``geometry`` (the default backbone) or ``paper``.
        graph: how scans become graphs.
        widths, pair_channels, embedding: see :class:`toothgraph.nn.GeometryBackbone`.
        head_widths: channels per level of the segmentation head.
        features: ``pair`` (invariant pair geometry), ``shape`` (that, and the area and bend of each face) or
            ``coordinates`` (coordinates and normals alone).
        norm: ``batch`` or ``layer``, over nodes.
        context: whether the head pools a feature of the whole scan.
        classes: ``places`` (17 places of one jaw, times the jaw) or ``all`` (33 at once, the jaw not told apart).
        projection: contrasted channels in pre-training.
        dropout: in the segmentation head.
        dynamic_k: neighbours of the dynamic graphs of ``paper``.
        recompute: compute inner values again in the backward pass instead of keeping them (activation
            checkpointing): less memory for more time.
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


def build_backbone(config: NetConfig) -> GeometryBackbone | PaperBackbone:
    """The backbone a configuration asks for.

    Raises:
        ConfigError: for an unknown kind.
    """
    if config.kind == "paper":
        return PaperBackbone(config.dynamic_k, config.recompute)
    if config.kind == "geometry":
        graph = config.graph
        return GeometryBackbone(
            graph.k, graph.spacings, config.widths, config.pair_channels, config.embedding,
            features=config.features, norm=config.norm, recompute=config.recompute,
        )  # fmt: skip
    raise ConfigError(f'expected a net of kind "geometry" or "paper", got {config.kind!r}')


def as_batch(data: Data) -> Data:
    """The graphs as they are if they are a batch, one graph as a batch of it alone."""
    return data if data.batch is not None else Batch.from_data_list([data])


class ContrastiveNet(nn.Module):
    """Backbone and projection: a batch of graphs, or one alone, to contrasted vectors [N, P]."""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config)
        hidden = 512 if config.kind == "paper" else config.embedding
        self.projector = ProjectionHead(self.backbone.out_channels, hidden, config.projection)

    def forward(self, data: Data) -> Tensor:
        return self.projector(self.backbone(as_batch(data)))


class SegmentationNet(nn.Module):
    """Backbone and classifier: a batch of graphs, or one alone, to log-probabilities [N, 33] of the tooth classes.

    ``jaw`` [B] tells each scan's jaw (0 upper, 1 lower); -1, or None for all, where it is not known.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config)
        channels = self.backbone.out_channels
        self.head: nn.Module
        if config.kind == "paper":
            self.head = PaperHead(channels, config.dropout)
        else:
            levels = len(config.graph.spacings)
            self.head = SegmentationHead(
                channels, config.graph.k, levels, config.head_widths, config.dropout,
                norm=config.norm, context=config.context, classes=config.classes, recompute=config.recompute,
            )  # fmt: skip

    def forward(self, data: Data, jaw: Tensor | None = None) -> Tensor:
        data = as_batch(data)
        if jaw is None:
            jaw = data.batch.new_full((int(data.batch.max()) + 1,), -1)
        return self.head(self.backbone(data), data, jaw)

    def in_any_frame(self, data: Data, jaw: Tensor) -> Callable[[Tensor], Tensor]:
        """A function from a rotation [3, 3] to what the net says of the scans turned by it, [N, 33].

        An embedding that no rotation changes is computed once, for all calls.
        """
        embedding = self.backbone(data) if self.backbone.pose_invariant else None

        def say(rotation: Tensor) -> Tensor:
            turned = copy.copy(data)
            turned.x = (data.x.view(len(data.x), -1, 3) @ rotation.t()).flatten(1)  # position, corners, normal
            turned.pos, turned.normal = data.pos @ rotation.t(), data.normal @ rotation.t()
            return self.head(self.backbone(turned) if embedding is None else embedding, turned, jaw)

        return say
