"""EdgeConv on the nearest neighbours in feature space, which each call searches for."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch_geometric.nn import DynamicEdgeConv

from toothgraph.errors import ConfigError, ShapeError
from toothgraph.nn.checks import called_as, check_count, check_nodes, check_weights, described
from toothgraph.nn.edge_conv import FastEdgeConv, _own_weight
from toothgraph.nn.knn import knn_edges
from toothgraph.nn.pyg_edge_conv import copied_aggr

CALL = "FastDynamicEdgeConv(torch.nn.Linear(2 * C_in, C_out), k=10)"


class FastDynamicEdgeConv(FastEdgeConv):
    """EdgeConv on the ``k`` nearest nodes of the same scan in feature space; each node is a neighbour of itself.

    Values, gradients, parameters and parameter names are the same as in PyG's ``DynamicEdgeConv``, but no compiled
    package is needed. The edge MLP is computed as in :class:`FastEdgeConv`.

    ``torch.compile`` does not compile the search for neighbours, because the number of neighbours is known only after
    the search. It compiles the rest of the layer. So neither ``fullgraph=True`` nor an export is possible.

    Source: Wang et al., ACM TOG 2019, https://doi.org/10.1145/3326362

    Args:
        nn: the edge MLP, from [.., 2·C_in] to [.., C_out]; it keeps its weights.
        k: number of neighbours; a scan with fewer nodes uses all of them.
        aggr: any aggregation of torch_geometric.

    Shapes:
        - input: ``x`` [N, C_in], or (sources [M, C_in], targets [N, C_in]); ``batch`` [N], or ([M], [N]), the scan of
          each node, ascending; one scan by default
        - output: [N, C_out]

    Raises:
        ConfigError: if ``nn`` is not a module, if ``k`` is below 1, or for other arguments, such as channel numbers.
        ShapeError: in a call with other shapes and, on a CPU, for scans that are not in ascending order.

    Example:
        >>> conv = FastDynamicEdgeConv(nn.Linear(2 * 3, 8), k=4)
        >>> conv(torch.rand(10, 3), torch.tensor([0] * 6 + [1] * 4)).shape  # the nodes of two scans
        torch.Size([10, 8])
    """

    @called_as(CALL)
    def __init__(self, nn: torch.nn.Module, k: int, aggr: object = "max") -> None:
        if not isinstance(nn, torch.nn.Module):
            raise ConfigError(f"expected nn, an edge MLP, as in {CALL}, got {described(nn)}")
        check_count("k", k)
        super().__init__(nn=nn, aggr=aggr)
        self.k = k

    def forward(  # type: ignore[override]
        self,
        x: Tensor | tuple[Tensor, Tensor],
        batch: Tensor | tuple[Tensor | None, Tensor | None] | None = None,
    ) -> Tensor:
        if isinstance(batch, Tensor) and batch.dim() == 2:
            raise ShapeError(
                f"expected batch [N], the scan of each node, got {described(batch)}; this layer finds its own edges, "
                "and takes no edge_index: FastEdgeConv does"
            )
        if not isinstance(x, tuple | list):
            check_nodes(x, None)
            self._check_weights(x)
            scans = torch.zeros(len(x), dtype=torch.long, device=x.device) if batch is None else batch
            if isinstance(scans, tuple) and len(scans) == 2:
                raise ShapeError("expected batch [N] of x [N, C], got a pair")
            edges, nodes = knn_edges(x, self.k, scans), len(x)
        else:
            pair = (batch, batch) if batch is None else batch
            if len(x) != 2 or not isinstance(pair, tuple | list) or len(pair) != 2:
                raise ShapeError("expected x and batch as pairs of sources and targets, got another number of them")
            for name, end in zip(("sources", "targets"), x, strict=True):
                check_nodes(end, None, name)
                self._check_weights(end, name)
            own = [
                torch.zeros(len(end), dtype=torch.long, device=end.device) if scan is None else scan
                for end, scan in zip(x, pair, strict=True)
            ]
            edges, nodes = knn_edges(x[0], self.k, own[0], targets=x[1], target_batch=own[1]), len(x[1])
        if nodes and edges.shape[1] == self.k * nodes:
            return super().forward(x, neighbor_index=edges[0].view(nodes, self.k).t())
        return super().forward(x, edges)

    def _check_weights(self, x: Tensor, name: str = "x") -> None:
        """Check that nodes are on the device of the weights, before the search for neighbours."""
        if (weight := _own_weight(self._parts())) is not None:
            check_weights(weight, x, name)

    @classmethod
    def from_pyg(cls, conv: DynamicEdgeConv) -> FastDynamicEdgeConv:
        """Convert a PyG ``DynamicEdgeConv``.

        Its modules are copied. The copies keep training modes and frozen parameters.

        Raises:
            ConfigError: for another layer, or a subclass.
        """
        if type(conv) is not DynamicEdgeConv:
            raise ConfigError(f"expected a DynamicEdgeConv of torch_geometric, got {described(conv)}")
        layer = cls(copy.deepcopy(conv.nn), conv.k, copied_aggr(conv))
        layer.training = conv.training
        return layer

    def to_pyg(self) -> DynamicEdgeConv:
        """Convert to a PyG ``DynamicEdgeConv``, which needs ``pyg-lib``. Modules are copied."""
        conv = DynamicEdgeConv(nn.Identity(), self.k, copied_aggr(self))
        conv.nn, conv.training = copy.deepcopy(self.nn), self.training
        return conv

    def __repr__(self) -> str:
        return f"{type(self).__name__}(nn={self.nn}, k={self.k}, aggr={self.aggr})"
