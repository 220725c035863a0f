"""Base classes of the transforms: how they treat a batch, and where random values come from."""

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
    """A transform of one graph. In a ``Batch``, each graph is transformed on its own.

    The input graph is not changed.
    """

    def forward(self, data: Data) -> Data:
        if isinstance(data, Batch):
            return Batch.from_data_list([self._of_graph(graph) for graph in data.to_data_list()])
        return self._of_graph(data)

    @abstractmethod
    def _of_graph(self, graph: Data) -> Data:
        """The graph after the transform."""


@dataclass(eq=False)
class RandomTransform(GraphTransform):
    """A transform with random values.

    Args:
        rng: source of the random values. None, the default, uses torch's generator, which ``torch.manual_seed`` seeds
            and a ``DataLoader`` seeds anew in each of its workers. A seed or a NumPy generator gives this transform a
            sequence of its own, the same in each run. It is refused in the workers of a ``DataLoader``, which would
            all draw the same values.

    Raises:
        ConfigError: in a call in a worker of a ``DataLoader``, if ``rng`` is a seed or a generator.
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
        """The random generator for one graph."""
        if self.rng is None:
            return np.random.default_rng(int(torch.randint(2**62, ())))
        if get_worker_info() is not None:
            raise ConfigError(
                f"{type(self).__name__} has an rng of its own, and each worker of a DataLoader would draw the same "
                "from it; leave rng out (torch.manual_seed makes the draws repeatable), or take num_workers=0"
            )
        return self._own


def before_own_classes(transform: GraphTransform) -> str:
    """Text of a warning: a transform of teeth reads ``y`` as classes of teeth, so a user's own labels come later."""
    name = type(transform).__name__
    return f"{name} takes y as classes of teeth: take it before you put labels of your own into y, or leave it out"


def spec_after_move(transform: GraphTransform, graph: Data, spec: GraphSpec | None) -> GraphSpec:
    """Specification of the tables that are computed again after a transform has moved the nodes of a graph.

    For a graph without tables, it is a specification of no tables.

    Raises:
        ConfigError: if the graph has tables and ``spec`` is None.
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
