"""Milk teeth in a row of teeth.

A milk tooth may look like a permanent tooth of another place, only smaller. For example, the second milk molar looks
like a first permanent molar. Without the rules of this module, it gets the number of the first molar, and the numbers
of all teeth behind it are shifted.
"""

from __future__ import annotations

import numpy as np

from toothgraph.anatomy.dentition import CROWN_SIZE, MILK_LOOKS, MILK_SIZE
from toothgraph.rules import DEFAULT, RowRules

MILK_PLACES = (3, 4, 5)  # counted from the midline
LATE_PLACES = (7, 8)  # these teeth erupt when the milk teeth fall out
FIT = 3.0  # a milk tooth may be smaller than the mean size by at most this many standard deviations
MOST = 3.0  # nats that the size alone may speak for a milk tooth, compared with each tooth that it may look like


def in_mixed_dentition(
    log_prob: np.ndarray, size: np.ndarray, jaw: int, rules: RowRules = DEFAULT.row
) -> tuple[np.ndarray, np.ndarray]:
    """What crowns look like if the mouth has milk teeth, each in the place of its successor.

    A milk tooth looks like certain permanent teeth. Its size speaks for or against a milk tooth: sizes are log-normal
    about the mean sizes of the milk tooth and of the permanent tooth. Second and third molars have an extra cost.

    Args:
        log_prob: [T, 16] log-probabilities of the positions 1 … 16 as permanent teeth.
        size: [T] mm, the square root of the product of both widths of each crown; NaN where it is not known.
        jaw: 0 upper, 1 lower.
        rules: the costs, and how much sizes spread.

    Returns:
        [T, 16] log-probabilities of the positions, and [T, 16] bool, whether the tooth there would be a milk tooth.
    """
    said, milk = log_prob.copy(), np.zeros(log_prob.shape, dtype=bool)
    for number, mean, looks in zip(MILK_PLACES, MILK_SIZE[jaw], MILK_LOOKS[jaw], strict=True):
        for side in (0, 8):
            place = side + number - 1
            as_milk = [log_prob[:, side + look - 1] + _smaller(size, mean, CROWN_SIZE[jaw, look - 1], rules)
                       for look in looks]  # fmt: skip
            best = np.max(as_milk, axis=0) - rules.milk
            milk[:, place] = best > said[:, place]
            said[:, place] = np.maximum(best, said[:, place])
    for late in LATE_PLACES:
        said[:, [late - 1, late + 7]] -= rules.late
    return said, milk


def _smaller(size: np.ndarray, milk: float, permanent: float, rules: RowRules) -> np.ndarray:
    """Nats by which sizes [T] fit a milk tooth better than a permanent one; 0 where a size is not known.

    A crown that is far too small even for a milk tooth fits neither, and its size does not speak for a milk tooth. It
    is a part of a tooth, or a tooth of coarse faces that has lost its border.
    """
    off, of_permanent = (np.log(size / mean) / rules.milk_size for mean in (milk, permanent))
    better = np.nan_to_num(np.clip((of_permanent**2 - off**2) / 2, None, MOST))
    return np.where(off < -FIT, np.minimum(better, 0.0), better)


def with_milk_incisors(places: np.ndarray, milk: np.ndarray) -> np.ndarray:
    """Which teeth are milk teeth, including incisors, if the milk teeth at the places 3 to 5 are known.

    Milk incisors look like permanent incisors. They fall out after the first permanent molars have erupted. So all
    teeth are milk teeth if those at the places 3 to 5 are, with at least one on each side, and no permanent molar is
    found.

    Args:
        places: [T] positions 1 … 16, 0 gingiva.
        milk: [T] bool, whether a tooth at the place of a canine or premolar is a milk tooth.

    Returns:
        [T] bool.
    """
    tooth = (places - 1) % 8 + 1
    side = (places - 1) // 8
    behind = (places > 0) & (tooth > max(MILK_PLACES))
    all_milk = milk[(places > 0) & np.isin(tooth, MILK_PLACES)].all()
    if behind.any() or not all_milk or set(side[milk].tolist()) != {0, 1}:
        return milk
    return np.asarray(places > 0)
