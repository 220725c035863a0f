"""What the transforms of this room share: they take each graph of a batch alone, and say where chance comes from."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch.utils.data import get_worker_info
from torch_geometric.data import Batch, Data
from torch_geometric.transforms import BaseTransform

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.graph.spec import GraphSpec


class GraphTransform(BaseTransform):  # type: ignore[misc]  # torch_geometric has no types
    """A transform of one graph. Of a ``Batch`` each graph is taken on its own.

    The graph that is given stays as it is.
    """

    def forward(self, data: Data) -> Data:
        if isinstance(data, Batch):
            return Batch.from_data_list([self._of_graph(graph) for graph in data.to_data_list()])
        return self._of_graph(data)

    @abstractmethod
    def _of_graph(self, graph: Data) -> Data:
        """The graph after the transform; see the class."""


@dataclass(eq=False)
class RandomTransform(GraphTransform):
    """A transform that draws.

    Args:
        rng: where the draws come from. None, the default: the state of torch's generator, which ``torch.manual_seed``
            sets and a ``DataLoader`` sets anew in each of its workers. A seed or a generator of NumPy: a sequence of
            its own, the same in each run; not in the workers of a ``DataLoader``, which would all draw the same.

    Raises:
        ConfigError: in a call in a worker of a ``DataLoader``, with a seed or a generator.
        ShapeError: for an ``rng`` of another kind.
    """

    rng: np.random.Generator | int | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        seed = isinstance(self.rng, int | np.integer) and not isinstance(self.rng, bool) and self.rng >= 0
        if not (seed or self.rng is None or isinstance(self.rng, np.random.Generator)):
            raise ShapeError(
                f"expected rng: a seed of at least 0, or what numpy.random.default_rng(seed) makes, got {self.rng!r}"
            )

    @cached_property
    def _own(self) -> np.random.Generator:
        return np.random.default_rng(self.rng)

    def generator(self) -> np.random.Generator:
        """The generator for one graph."""
        if self.rng is None:
            return np.random.default_rng(int(torch.randint(2**62, ())))
        if get_worker_info() is not None:
            raise ConfigError(
                f"{type(self).__name__} has an rng of its own, and each worker of a DataLoader would draw the same "
                "from it; leave rng out (torch.manual_seed makes the draws repeatable), or take num_workers=0"
            )
        return self._own


def before_own_classes(transform: GraphTransform) -> str:
    """What a transform of teeth does with labels of somebody's own, for a warning."""
    name = type(transform).__name__
    return f"{name} takes y as classes of teeth: take it before you put labels of your own into y, or leave it out"


def spec_after_move(transform: GraphTransform, graph: Data, spec: GraphSpec | None) -> GraphSpec:
    """How the tables of a graph are computed again whose nodes a transform moves; a graph without tables gets none.

    Raises:
        ConfigError: for a graph that has tables, without their specification.
    """
    if "neighbor_index" not in graph:
        return GraphSpec(spacings=())
    if spec is None:
        name = type(transform).__name__
        raise ConfigError(
            f"{name} moves the nodes, so that the tables of the graph have to be computed again; give their "
            f"specification, {name}(spec=spec), or take it before NeighborTables"
        )
    return spec
