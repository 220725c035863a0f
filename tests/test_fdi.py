from __future__ import annotations

import numpy as np
import pytest

from toothgraph import fdi as nb


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


def test_names_of_teeth() -> None:
    assert nb.tooth_name(16) == "upper right first molar" and nb.tooth_name(23) == "upper left canine"
    assert nb.tooth_name(31) == "lower left central incisor" and nb.tooth_name(48) == "lower right third molar"
    assert len({nb.tooth_name(fdi) for fdi in nb.FDI_OF_CLASS[1:].tolist()}) == 32
    for strange in (0, -1, 19, 55):
        with pytest.raises(ValueError, match="expected the FDI number of a permanent tooth"):
            nb.tooth_name(strange)
