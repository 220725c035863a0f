from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from toothgraph import fdi as nb
from toothgraph.errors import LabelError, ShapeError
from toothgraph.graph import GraphSpec
from toothgraph.transforms import (
    Augmentation,
    MirrorArch,
    Removal,
    RemoveParts,
    RemoveTeeth,
    TwoViews,
    ViewOptions,
    WarpTeeth,
    augment,
    close_gap,
    remove_parts,
)
from toothgraph.transforms.crowns import crowns_of


def test_classes_and_fdi_are_inverse() -> None:
    classes = np.arange(-1, 33)
    np.testing.assert_array_equal(nb.fdi_to_class(nb.class_to_fdi(classes)), classes)
    assert nb.class_to_fdi(np.array([1, 8, 9, 17, 25, 32])).tolist() == [11, 18, 21, 31, 41, 48]


def test_what_is_no_permanent_tooth_is_unknown() -> None:
    strange = np.array([-5, -1, 1, 9, 10, 19, 20, 29, 49, 51, 85, 99, 100, 10_000])
    assert (nb.fdi_to_class(strange) == -1).all()
    assert not nb.is_permanent(strange).any()
    assert nb.is_permanent(nb.FDI_OF_CLASS).all()


def test_a_chart_is_read_from_the_patients_right() -> None:
    assert nb.in_chart_order([34, 44, 21, 11, 11, 55]) == [11, 21, 44, 34, 55]
    assert sorted(nb.CHART) == sorted(nb.FDI_OF_CLASS[1:].tolist())


def test_jaw_of_labels() -> None:
    assert nb.jaw_of_labels(np.array([0, -1, 11, 28, 31])) == nb.UPPER
    assert nb.jaw_of_labels(np.array([48, 31, 21])) == nb.LOWER
    assert nb.jaw_of_labels(np.array([0, -1, 55])) == nb.UNKNOWN_JAW


def test_classes_of_jaw_have_one_position_each() -> None:
    upper, lower = nb.classes_of_jaw(nb.UPPER), nb.classes_of_jaw(nb.LOWER)
    assert len(upper) == len(lower) == nb.NUM_POSITIONS
    assert nb.class_to_fdi(upper)[[1, 9]].tolist() == [11, 21]
    assert nb.class_to_fdi(lower)[[1, 9]].tolist() == [31, 41]
    assert set(upper) & set(lower) == {0}
    assert len(nb.classes_of_jaw(nb.UNKNOWN_JAW)) == nb.NUM_CLASSES


def test_mirror_swaps_sides_and_twice_is_nothing() -> None:
    mirror = nb.mirror_classes()
    np.testing.assert_array_equal(mirror[mirror], np.arange(33))
    for fdi, other in ((0, 0), (11, 21), (28, 18), (36, 46)):
        assert nb.class_to_fdi(mirror[nb.fdi_to_class(np.array(fdi))]) == other


def test_positions_are_the_classes_within_a_jaw() -> None:
    upper, lower = nb.classes_of_jaw(0), nb.classes_of_jaw(1)
    assert nb.class_to_position(upper).tolist() == nb.class_to_position(lower).tolist() == list(range(17))
    assert nb.class_to_position(np.array([-1, 0])).tolist() == [0, 0]
    assert (-nb.class_to_position(np.array([9, 17], dtype=np.uint8))).tolist() == [-9, -1]


def test_names_of_teeth() -> None:
    assert nb.tooth_name(16) == "upper right first molar" and nb.tooth_name(23) == "upper left canine"
    assert nb.tooth_name(31) == "lower left central incisor" and nb.tooth_name(48) == "lower right third molar"
    assert len({nb.tooth_name(fdi) for fdi in nb.FDI_OF_CLASS[1:].tolist()}) == 32
    for strange in (0, -1, 19, 56, 91):
        with pytest.raises(ValueError, match="expected the FDI number of a permanent tooth"):
            nb.tooth_name(strange)


def test_primary_teeth_stand_where_their_successors_will() -> None:
    assert nb.tooth_name(55) == "upper right second primary molar" and nb.tooth_name(73) == "lower left primary canine"
    assert len({nb.tooth_name(fdi) for fdi in nb.PRIMARY_TEETH.tolist()}) == 20
    assert nb.successors_of(np.array([55, 85, 16, 0, -1, 56])).tolist() == [15, 45, 16, 0, -1, 56]
    assert nb.in_row_order([24, 55, 16, 11, 64, 84, 36]) == [16, 55, 11, 24, 64, 84, 36]
    assert nb.jaw_of_each(np.array([55, 11, 75, 48, 0, -1])).tolist() == [0, 0, 1, 1, -1, -1]


def test_fdi_numbers_do_not_pass_as_classes(arch_graph: Data) -> None:
    upper = np.array([0, *nb.FDI_OF_CLASS[1:17]])
    lower = np.array([0, *nb.FDI_OF_CLASS[17:]])
    for fdi in (upper, lower):
        with pytest.raises(ShapeError, match=r"y as class indices, 0 to 32, .*fdi_to_class"):
            nb.check_classes(fdi, "y")
        nb.check_classes(nb.fdi_to_class(fdi))
    for classes in (np.arange(17), np.arange(11, 17), np.arange(17, 33), np.array([-1, 0]), np.zeros(0, int)):
        nb.check_classes(classes)
    with pytest.raises(ShapeError, match="as class indices"):
        nb.class_to_fdi(lower)
    graph = arch_graph.clone()
    graph.y = torch.from_numpy(nb.class_to_fdi(graph.y.numpy()))
    rng, spec = np.random.default_rng(0), GraphSpec(k=6)
    rarely, gaps = Augmentation(mirror=1e-9), Removal(0.0, 0.0, 0.0, 1e-9)  # nothing is drawn, and still it is refused
    for call in (
        lambda: augment(graph, rng, Augmentation(mirror=1.0)),
        lambda: augment(graph, rng, rarely),
        lambda: close_gap(graph, rng, spec),
        lambda: remove_parts(graph, rng, gaps, spec),
        lambda: RemoveTeeth()(graph),
        lambda: RemoveTeeth((11, 31))(graph),
        lambda: MirrorArch(p=1e-9)(graph),
        lambda: TwoViews(ViewOptions(augmentation=rarely))(graph),
        lambda: WarpTeeth(spec=spec)(graph),
        lambda: crowns_of([graph], rng),
    ):
        with pytest.raises(ShapeError, match="expected y as class indices"):
            call()
    for call in (RemoveParts(Removal(0.0, 1.0, 1.0, 0.0), spec), MirrorArch(exchange=False), TwoViews()):
        call(graph)  # these read no classes


@pytest.mark.parametrize("jaw", [2, 1.0, True, "lower", None, torch.tensor([1])])
def test_what_is_no_jaw_is_told(jaw: object) -> None:
    with pytest.raises(ShapeError, match="a jaw of 0 upper, 1 lower or -1 unknown, got"):
        nb.check_jaw(jaw)
    with pytest.raises(ShapeError, match="a jaw of 0 upper"):
        nb.classes_of_jaw(jaw)  # type: ignore[arg-type]
    nb.check_jaw(np.int64(1))


def test_numbers_that_numpy_has_read_are_whole_floats() -> None:
    read = np.loadtxt(io.StringIO("11\n0\n-1\n48\n"))
    assert read.dtype == np.float64
    assert nb.fdi_to_class(read).tolist() == [1, 0, -1, 32] and nb.class_to_fdi(read[:3]).tolist() == [23, 0, -1]
    assert nb.check_fdi(read).dtype == np.int64


@pytest.mark.parametrize("wrong", [11.9, np.nan, np.inf, "11"])
def test_numbers_that_are_not_whole_are_told(wrong: object) -> None:
    for reader in (nb.check_fdi, nb.fdi_to_class, nb.class_to_fdi, nb.is_permanent):
        with pytest.raises(LabelError, match="as whole numbers, found"):
            reader(np.array([wrong]))
