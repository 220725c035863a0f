from __future__ import annotations

import numpy as np
import pytest
import torch
import torch_geometric.transforms as T
from torch_geometric.data import Batch, Data

from toothgraph.errors import ConfigError, MeshError, ShapeError
from toothgraph.fdi import fdi_to_class
from toothgraph.graph import GraphSpec, face_graph, scan_graph
from toothgraph.mesh.mesh import Mesh
from toothgraph.transforms import FaceGraph, NeighborTables, RemoveTeeth


def data_of(mesh: Mesh, **fields: object) -> Data:
    """As torch_geometric reads a mesh: single precision, faces [3, F]."""
    return Data(
        pos=torch.from_numpy(mesh.vertices).float(), face=torch.from_numpy(mesh.faces).t().contiguous(), **fields
    )


def test_a_chain_of_two_is_what_the_nets_are_given(arch: Mesh, small_spec: GraphSpec) -> None:
    ours = T.Compose([FaceGraph(small_spec.faces), NeighborTables(small_spec)])(arch)
    theirs = scan_graph(arch, small_spec)[0]
    assert set(ours.keys()) == set(theirs.keys())
    assert ours.scan_id == theirs.scan_id
    for name in set(theirs.keys()) - {"scan_id"}:
        assert torch.equal(ours[name], theirs[name]), name


def test_data_of_torch_geometric_gives_the_same_graph(arch: Mesh) -> None:
    ours = FaceGraph()(data_of(arch, y=torch.from_numpy(fdi_to_class(arch.labels)), jaw=0, scan_id="7_upper"))
    theirs = face_graph(arch)
    for name in ("edge_index", "y", "jaw"):
        assert torch.equal(ours[name], theirs[name])
    torch.testing.assert_close(ours.x, theirs.x, atol=1e-4, rtol=0)
    assert ours.scan_id == "7_upper" and "y" not in FaceGraph()(data_of(arch))


def test_any_classes_of_faces_or_vertices_are_kept(arch: Mesh) -> None:
    own = np.where(arch.labels > 0, 140, 3)  # no FDI numbers, and no classes of teeth
    assert np.array_equal(FaceGraph()(data_of(arch, y=torch.from_numpy(own))).y, own)
    coarse = FaceGraph(600)(data_of(arch, y=torch.from_numpy(own)))
    assert coarse.num_nodes < 610 and set(coarse.y.tolist()) == {3, 140}
    high = torch.from_numpy((arch.vertices[:, 1] > 0).astype(np.int32))
    graph = FaceGraph()(data_of(arch, y=high))
    assert np.array_equal(graph.y, high.numpy()[arch.faces].sum(axis=1) >= 2)


def test_a_soup_of_triangles_is_welded(arch: Mesh) -> None:
    soup = Data(
        pos=torch.from_numpy(arch.corners.reshape(-1, 3)), face=torch.arange(3 * len(arch.faces)).view(-1, 3).t()
    )
    assert torch.equal(FaceGraph()(soup).edge_index, face_graph(arch).edge_index)


def test_what_is_no_mesh_is_refused(arch: Mesh, arch_graph: Data) -> None:
    for wrong in (arch_graph, "scan.stl", Data(pos=torch.zeros(3, 3))):
        with pytest.raises(ShapeError, match=r"Data with pos \[V, 3\] and face \[3, F\], got"):
            FaceGraph()(wrong)
    for y in (torch.zeros(7, dtype=torch.long), torch.zeros(len(arch.faces)), "tooth"):
        with pytest.raises(ShapeError, match=r"expected y as integers, \[F = 2\d\d\d\]"):
            FaceGraph()(data_of(arch, y=y))
    with pytest.raises(MeshError, match="point outside"):
        FaceGraph()(Data(pos=torch.rand(3, 3), face=torch.tensor([[0], [1], [7]])))
    with pytest.raises(ConfigError, match="expected faces of at least 1"):
        FaceGraph(0)
    with pytest.raises(ShapeError, match="expected spec: a GraphSpec"):
        NeighborTables(6)


def test_what_can_be_put_right_is_said(arch: Mesh) -> None:
    data = data_of(arch)
    with pytest.raises(ShapeError, match=r"transpose face: face\.t\(\)"):
        FaceGraph()(Data(pos=data.pos, face=data.face.t()))
    with pytest.raises(ShapeError, match=r"read_scan\(file\) reads one, and toothgraph\.Mesh\(vertices, faces\) makes"):
        FaceGraph()("scan.stl")
    with pytest.raises(ShapeError, match=r"expected y as integers.*torch\.from_numpy\(y\)"):
        FaceGraph()(data_of(arch, y=arch.labels))
    graph = face_graph(arch)
    graph.y = arch.labels
    with pytest.raises(ShapeError, match=r"y .* as a tensor, got an ndarray; torch\.from_numpy\(y\)"):
        RemoveTeeth()(graph)


def test_each_mesh_of_a_batch_is_taken_alone(arch: Mesh) -> None:
    data = data_of(arch, y=torch.from_numpy(arch.labels), jaw=0)
    batch = FaceGraph(500)(Batch.from_data_list([data, data]))
    alone = FaceGraph(500)(data)
    assert batch.num_graphs == 2 and batch.num_nodes == 2 * alone.num_nodes
    assert all(
        torch.equal(each[name], alone[name]) for each in batch.to_data_list() for name in ("x", "y", "edge_index")
    )
