"""Complete networks: a backbone with a projection head (pre-training) or a classifier (segmentation)."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import Tensor, nn
from torch_geometric.data import Data

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.model.backbone import GeometryBackbone, as_batch, count_graphs
from toothgraph.model.config import NetConfig, check_net
from toothgraph.model.crowns import CrownNet
from toothgraph.model.heads import ProjectionHead, SegmentationHead
from toothgraph.model.paper import PaperBackbone, PaperHead
from toothgraph.nn.checks import check_device, check_rows, described
from toothgraph.nn.kernels.neighborhoods import _on_cpu
from toothgraph.nn.pyramid import Levels, find_levels


def build_backbone(config: NetConfig) -> GeometryBackbone | PaperBackbone:
    """Build the backbone of a configuration.

    Raises:
        ConfigError: for an unknown kind, or options that do not fit each other.
    """
    if not isinstance(config, NetConfig):
        raise ConfigError(f"expected a NetConfig, got {described(config)}; toothgraph.model.NetConfig() is the default")
    check_net(config)
    if config.kind == "paper":
        return PaperBackbone(config.dynamic_k, config.recompute)
    if config.kind == "geometry":
        graph = config.graph
        return GeometryBackbone(
            graph.k, graph.spacings, config.widths, config.pair_channels, config.embedding,
            features=config.features, norm=config.norm, recompute=config.recompute,
        )  # fmt: skip
    raise ConfigError(f'expected a net of kind "geometry" or "paper", got {config.kind!r}')


def check_jaw(jaw: Tensor | None, data: Data) -> Tensor:
    """The jaw of each graph of a batch, [B]; -1 for all graphs if ``jaw`` is None.

    Raises:
        ShapeError: if ``jaw`` is not one number of -1, 0 or 1 per graph.
    """
    size = count_graphs(data)
    if jaw is None:
        return data.batch.new_full((size,), -1)
    check_rows("jaw", jaw, size, "graph (0 upper, 1 lower, -1 unknown)", whole=True)
    check_device(data.batch, "the graph", jaw=jaw)
    if _on_cpu(jaw) and not bool(((jaw >= -1) & (jaw <= 1)).all()):
        raise ShapeError(f"expected a jaw of 0 upper, 1 lower or -1 unknown, got {jaw.tolist()}")
    return jaw


class ContrastiveNet(nn.Module):
    """Backbone and projection head, from a batch of graphs, or one graph, to vectors [N, P] for InfoNCE.

    Errors are those of :class:`GeometryBackbone`.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config)
        hidden = 512 if config.kind == "paper" else config.embedding
        self.projector = ProjectionHead(self.backbone.out_channels, hidden, config.projection)

    def forward(self, data: Data) -> Tensor:
        return self.projector(self.backbone(as_batch(data)))


class SegmentationNet(nn.Module):
    """Backbone and classifier, from a batch of graphs, or one graph, to log-probabilities [N, 33] of the tooth classes.

    ``jaw`` [B] is the jaw of each scan: 0 upper, 1 lower, -1 unknown; None if all are unknown. ``source`` names the
    file that the weights were loaded from; it goes into the record of the labels that the net finds. Errors are those
    of :class:`GeometryBackbone`, and ShapeError for another number of jaws.

    Example:
        >>> from toothgraph import synthetic_arch
        >>> arch = synthetic_arch(1, jaw=0, faces=2000)
        >>> from toothgraph import GraphSpec, scan_graph
        >>> from toothgraph.model import NetConfig
        >>> spec = GraphSpec(faces=500, k=6)
        >>> graph, _ = scan_graph(arch, spec)
        >>> log_prob = SegmentationNet(NetConfig(graph=spec)).eval()(graph, graph.jaw)
        >>> log_prob.shape == (graph.num_nodes, 33)
        True
    """

    source = ""

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config)
        channels = self.backbone.out_channels
        self.crowns: CrownNet | None = None
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
        jaw = check_jaw(jaw, data)
        levels = self._levels(data)
        return self.head(self.backbone(data, *levels), data, jaw, *levels)

    def _levels(self, data: Data) -> tuple[Levels, ...]:
        """The levels of a batch, found once for backbone and head; empty for the net of the paper, which has none."""
        if not isinstance(self.backbone, GeometryBackbone):
            return ()
        return (find_levels(data, self.backbone.k, self.backbone.num_levels),)

    def in_any_frame(self, data: Data, jaw: Tensor) -> Callable[[Tensor], Tensor]:
        """A function from a rotation [3, 3] to the log-probabilities [N, 33] of the rotated scans.

        If the backbone is invariant to rotation, the embedding is computed only once for all calls.
        """
        levels = self._levels(data)
        embedding = self.backbone(data, *levels) if self.backbone.pose_invariant else None

        def say(rotation: Tensor) -> Tensor:
            turned = copy.copy(data)
            turned.x = (data.x.view(len(data.x), -1, 3) @ rotation.t()).flatten(1)  # position, corners, normal
            turned.pos, turned.normal = data.pos @ rotation.t(), data.normal @ rotation.t()
            seen = self.backbone(turned, *levels) if embedding is None else embedding
            return self.head(seen, turned, jaw, *levels)

        return say
