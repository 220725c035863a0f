from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from toothgraph.anatomy.frame import turned
from toothgraph.anatomy.measures import QUADRANTS, measure_arch, measure_pair, usual_width
from toothgraph.fdi import LOWER, UPPER
from toothgraph.io.palette import load_palette
from toothgraph.mesh.mesh import Mesh
from toothgraph.synthetic import Variation, synthetic_arch
from toothgraph.synthetic.layout import Tooth, lay_out

COMPLETE = [10 * quadrant + number for quadrant in (1, 2, 3, 4) for number in range(1, 8)]
USUAL = {fdi: usual_width(fdi) for fdi in COMPLETE}


@pytest.fixture(scope="module", params=[UPPER, LOWER], ids=["upper", "lower"])
def plain(request: pytest.FixtureRequest) -> tuple[Mesh, dict[int, Tooth]]:
    """An arch without variation, and the crowns it was made of."""
    rng = np.random.default_rng(3)
    rng.integers(2)
    _, teeth = lay_out(rng, request.param, Variation.none(), ())
    arch = synthetic_arch(3, jaw=request.param, faces=30_000, variation=Variation.none())
    return arch, {tooth.fdi: tooth for tooth in teeth}


def values(mesh: Mesh, labels: np.ndarray | None = None) -> dict[str, float | None]:
    return {measure.key: measure.value for measure in measure_arch(mesh, labels).measures}


def reasons(mesh: Mesh, labels: np.ndarray) -> dict[str, str]:
    found = measure_arch(mesh, labels).measures
    assert all((measure.value is None) == bool(measure.reason) for measure in found)
    return {measure.key: measure.reason for measure in found if measure.reason}


def place(tooth: Tooth, distal: float, buccal: float, height: float) -> np.ndarray:
    return tooth.origin + np.array([distal, buccal, height]) @ tooth.axes


def contact(tooth: Tooth) -> np.ndarray:
    """Where a crown is widest, on its mesial side: at the equator of a molar, on the labial half of a front tooth."""
    crown = tooth.crown
    if crown.cusps:
        return place(tooth, -crown.width / 2, 0, 0.5 * crown.height)
    edge = 1.4 if crown.point > 1 else 0.9
    labial, thick = 0.437 * crown.depth, edge + 0.318 * (crown.depth - edge)  # at 0.6 of the height
    return place(tooth, -crown.width / 2, labial - thick / 2, 0.6 * crown.height)


def test_widths_of_known_crowns(plain: tuple[Mesh, dict[int, Tooth]]) -> None:
    mesh, teeth = plain
    found = measure_arch(mesh)
    assert found.jaw == mesh.jaw and set(found.widths) == set(teeth)
    errors = [found.widths[fdi] - tooth.crown.width for fdi, tooth in teeth.items()]
    assert np.abs(errors).max() < 0.35 and abs(np.mean(errors)) < 0.1


def test_distances_between_known_points(plain: tuple[Mesh, dict[int, Tooth]]) -> None:
    mesh, teeth = plain
    right, left = QUADRANTS[mesh.jaw]

    def canine(fdi: int) -> np.ndarray:
        crown = teeth[fdi].crown
        return place(teeth[fdi], 0, 0.325 * crown.depth - 0.7, crown.height)

    def molar(fdi: int) -> np.ndarray:
        crown = teeth[fdi].crown
        distal, buccal, below = crown.cusps[0]
        return place(teeth[fdi], distal * crown.width / 2, buccal * crown.depth / 2, crown.height - below)

    corners = [contact(teeth[10 * right + 6]), contact(teeth[10 * right + 3]),
               (contact(teeth[10 * right + 1]) + contact(teeth[10 * left + 1])) / 2,
               contact(teeth[10 * left + 3]), contact(teeth[10 * left + 6])]  # fmt: skip
    wanted = {
        "arch_length": sum(np.linalg.norm((b - a)[[0, 2]]) for a, b in pairwise(corners)),
        "arch_depth": corners[2][0] - (corners[0][0] + corners[-1][0]) / 2,
        "intercanine_width": np.linalg.norm(canine(10 * right + 3) - canine(10 * left + 3)),
        "intermolar_width": np.linalg.norm(molar(10 * right + 6) - molar(10 * left + 6)),
    }
    found = values(mesh)
    assert list(found) == list(wanted)
    for key, value in wanted.items():
        assert found[key] == pytest.approx(value, abs=1.0), key


def test_they_do_not_depend_on_the_pose_or_on_the_mesh(plain: tuple[Mesh, dict[int, Tooth]]) -> None:
    mesh, _ = plain
    moved = turned(mesh, Rotation.random(random_state=1).as_matrix())
    assert values(moved) == pytest.approx(values(mesh), abs=0.1)
    coarse = synthetic_arch(3, jaw=mesh.jaw, faces=12_000, variation=Variation.none())
    assert values(coarse) == pytest.approx(values(mesh), abs=0.8)


def test_a_missing_tooth_takes_only_the_measures_that_need_it(plain: tuple[Mesh, dict[int, Tooth]]) -> None:
    mesh, _ = plain
    assert mesh.labels is not None
    right, _ = QUADRANTS[mesh.jaw]
    canine, premolar, molar = (10 * right + number for number in (3, 4, 6))
    without = {fdi: reasons(mesh, np.where(mesh.labels == fdi, 0, mesh.labels)) for fdi in (canine, premolar, molar)}
    assert without[canine] == dict.fromkeys(("arch_length", "intercanine_width"), f"no permanent {canine} found")
    assert without[molar] == dict.fromkeys(
        ("arch_length", "arch_depth", "intermolar_width"), f"no permanent {molar} found"
    )
    assert without[premolar] == {}
    few = np.where(mesh.labels % 10 == 1, mesh.labels, 0)
    assert set(reasons(mesh, few).values()) == {"fewer than 4 teeth found"}
    assert set(reasons(mesh, np.zeros_like(few)).values()) == {"fewer than 4 teeth found"}


def test_numbers_that_do_not_fit_their_teeth_are_not_measured(plain: tuple[Mesh, dict[int, Tooth]]) -> None:
    """A second premolar is missing, and the teeth are counted past its gap."""
    mesh, _ = plain
    assert mesh.labels is not None
    right, _ = QUADRANTS[mesh.jaw]
    fifth, sixth, seventh = (10 * right + number for number in (5, 6, 7))
    labels = mesh.labels.copy()
    for now, other in ((fifth, 0), (sixth, fifth), (seventh, sixth)):
        labels[mesh.labels == now] = other
    found = reasons(mesh, labels)
    assert set(found) == {"arch_length", "arch_depth", "intermolar_width"}
    assert all(
        reason.startswith(f"{fifth} is 1") and "wrong numbers from this tooth on" in reason for reason in found.values()
    )


def test_a_molar_without_its_mesiobuccal_part_has_no_tip_there(plain: tuple[Mesh, dict[int, Tooth]]) -> None:
    mesh, teeth = plain
    assert mesh.labels is not None
    molar = 10 * QUADRANTS[mesh.jaw][0] + 6
    distal, buccal, _ = ((mesh.centroids - teeth[molar].origin) @ teeth[molar].axes.T).T
    labels = np.where((mesh.labels == molar) & (distal < 3) & (buccal > -3), 0, mesh.labels)
    assert reasons(mesh, labels) == {"intermolar_width": f"the mesiobuccal part of {molar} is not labelled"}


def test_a_few_faces_elsewhere_with_the_number_of_a_tooth_move_nothing(plain: tuple[Mesh, dict[int, Tooth]]) -> None:
    mesh, teeth = plain
    assert mesh.labels is not None
    canine, other = (10 * quadrant + number for quadrant, number in zip(QUADRANTS[mesh.jaw], (3, 5), strict=True))
    height = (mesh.centroids - teeth[other].origin) @ teeth[other].axes[2]
    top = np.argsort(np.where(mesh.labels == other, height, -np.inf))[-3:]  # the tip of another tooth
    labels = mesh.labels.copy()
    labels[top] = canine
    before, after = measure_arch(mesh), measure_arch(mesh, labels)
    assert [measure.value for measure in after.measures] == pytest.approx(
        [measure.value for measure in before.measures], abs=0.01
    )
    assert after.widths[canine] == pytest.approx(before.widths[canine], abs=0.01)


def test_primary_numbers_mean_milk_teeth_in_the_places_of_others(plain: tuple[Mesh, dict[int, Tooth]]) -> None:
    mesh, _ = plain
    fifth = int(mesh.labels.max()) // 10 * 10 + 5
    by_place = measure_arch(mesh, milk_teeth=(fifth,))
    assert measure_arch(mesh, np.where(mesh.labels == fifth, fifth + 40, mesh.labels)) == by_place
    assert fifth not in by_place.widths


def test_a_milk_tooth_is_not_measured_as_its_successor(plain: tuple[Mesh, dict[int, Tooth]]) -> None:
    mesh, _ = plain
    canine, fifth = (10 * QUADRANTS[mesh.jaw][0] + number for number in (3, 5))
    found = measure_arch(mesh, milk_teeth=(canine, fifth))
    assert not {canine, fifth} & set(found.widths)
    lost = {measure.key: measure.reason for measure in found.measures if measure.reason}
    assert lost == dict.fromkeys(("arch_length", "intercanine_width"), f"no permanent {canine} found")


def test_labels_of_the_other_jaw_are_left_out(plain: tuple[Mesh, dict[int, Tooth]]) -> None:
    mesh, _ = plain
    assert mesh.labels is not None
    stray = np.where(
        mesh.centroids[:, 0] < mesh.centroids[:, 0].min() + 4, 51 - 10 * QUADRANTS[mesh.jaw][0], mesh.labels
    )
    assert values(mesh, stray) == values(mesh)


def test_bolton_ratios_of_known_widths() -> None:
    overall, anterior = measure_pair(USUAL, USUAL)
    assert overall.value == pytest.approx(100 * (5 + 5.5 + 7 + 7 + 7 + 11) / (8.5 + 6.5 + 7.5 + 7 + 7 + 10))
    assert anterior.value == pytest.approx(100 * (5 + 5.5 + 7) / (8.5 + 6.5 + 7.5))
    assert overall.unit == anterior.unit == "%"
    no_premolar = {fdi: width for fdi, width in USUAL.items() if fdi not in (14, 35)}
    overall, same = measure_pair(no_premolar, no_premolar)
    assert overall.value is None and overall.reason == "no permanent 14, 35 found" and same == anterior
    overall, same = measure_pair(USUAL | {45: 11.1}, USUAL | {45: 11.1})
    assert overall.value is None and overall.reason.startswith("45 is 11.1 mm wide") and same == anterior


@pytest.fixture(scope="module")
def real(data_dir: Path) -> Iterator[dict[str, Mesh]]:
    from toothgraph.io.labels import read_scan

    palette = load_palette(f"{data_dir / 'palettes.json'}:3d-iosseg")
    names = [f"{patient}_{jaw}" for patient in ("007", "010", "019", "045", "055", "098") for jaw in "UL"]
    yield {name: read_scan(data_dir / "3d-iosseg" / f"{name}.ply", palette=palette) for name in names}


def test_real_arches_measure_what_the_literature_says(real: dict[str, Mesh]) -> None:
    """Wide ranges about the means of docs/measures.md, and about Bolton's."""
    keys = ("arch_length", "arch_depth", "intercanine_width", "intermolar_width")
    upper, lower = ((64, 90), (19, 33), (29, 43), (45, 62)), ((55, 78), (15, 28), (21, 32), (39, 56))
    ranges = {jaw: dict(zip(keys, rows, strict=True)) for jaw, rows in (("U", upper), ("L", lower))}
    found = {name: measure_arch(mesh) for name, mesh in real.items()}
    for name, arch in found.items():
        for measure in arch.measures:
            low, high = ranges[name[-1]][measure.key]
            assert measure.value is not None and low < measure.value < high, (name, measure)
    widths = np.array([[arch.widths[10 * q + 6] for q in (1, 2)] for name, arch in found.items() if name[-1] == "U"])
    assert 9.8 < widths.mean() < 11.2 and np.median(np.abs(np.diff(widths))) < 0.6
    patients = sorted({name[:3] for name in found})
    ratios = np.array([[measure.value for measure in measure_pair(found[f"{p}_U"].widths, found[f"{p}_L"].widths)]
                       for p in patients])  # fmt: skip
    assert np.abs(ratios - [91.3, 77.2]).max() < 6 and np.abs(ratios.mean(axis=0) - [91.3, 77.2]).max() < 2
