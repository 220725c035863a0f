from __future__ import annotations

import torch
from torch_geometric.data import Batch, Data

from toothgraph.nn import PaperBackbone, PaperHead, knn_edges
from toothgraph.nn.paper import TransformNet


def test_backbone_gives_global_and_local_features(graphs: list[Data]) -> None:
    batch = Batch.from_data_list(graphs)
    out = PaperBackbone(k=4)(batch)
    assert out.shape == (batch.num_nodes, 1216)
    pooled = out[:, :1024]
    for scan in (0, 1):
        own = pooled[batch.batch == scan]
        assert torch.equal(own, own[:1].expand_as(own))
    assert not torch.equal(pooled[0], pooled[-1])


def test_transform_starts_as_the_identity() -> None:
    torch.manual_seed(0)
    x, batch = torch.randn(20, 15), torch.tensor([0] * 12 + [1] * 8)
    matrix = TransformNet(15)(x, knn_edges(x, 3, batch), batch, 2)
    assert torch.equal(matrix, torch.eye(15).expand(2, 15, 15))


def test_head_shapes_and_unknown_jaw() -> None:
    torch.manual_seed(0)
    head = PaperHead().eval()
    data = Data(batch=torch.tensor([0, 0, 1, 2]))
    embedding = torch.randn(1, 1216).expand(4, 1216)
    out = head(embedding, data, torch.tensor([0, 1, -1]))
    assert out.shape == (4, 33)
    torch.testing.assert_close(out.exp().sum(dim=1), torch.ones(4))
    assert torch.equal(out[0], out[1])
    assert not torch.equal(out[0], out[2])  # the jaw is told
    seen = []
    head.jaw.register_forward_hook(lambda module, inputs, result: seen.append(inputs[0]))
    head(embedding, data, torch.tensor([0, 1, -1]))
    assert seen[0].tolist() == [[1, 0], [0, 1], [0, 0]]
