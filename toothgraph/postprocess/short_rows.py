"""Read the numbers of a short row of teeth from both ends, because its shape does not tell which end is the front.

For each direction, the crowns are turned accordingly. The direction in which they fit better is taken. The reading in
the other direction becomes the second best if no other reading comes closer.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toothgraph.postprocess.read_row import Reading, Row, read_row, score_of
from toothgraph.rules import DEFAULT, RowRules


def read_either_way(
    rows: tuple[Row, Row], orders: tuple[np.ndarray, np.ndarray], jaw: int, rules: RowRules = DEFAULT.row
) -> tuple[Reading, bool]:
    """The likelier of the two readings of a row, from one end or from the other.

    Args:
        rows: the T pieces in order from one end, and in order from the other end.
        orders: [T] each, the piece at each place of the two rows; one need not be the reverse of the other.
        jaw: 0 upper, 1 lower.
        rules: what gaps, missing teeth and pieces of gingiva cost.

    Returns:
        The reading, and whether it is the reading of the second row. Its pieces are in the order of the row that was
        read.
    """
    scores = [score_of(row, jaw, rules) for row in rows]
    best = int(scores[1] > scores[0])
    chosen, other = (read_row(rows[each], jaw, rules) for each in (best, 1 - best))
    in_other = np.argsort(orders[1 - best])[orders[best]]  # the place of each piece in the other row
    ahead = scores[best] - scores[1 - best]
    share, odds = 1 / (1 + np.exp(-ahead)), float(np.exp(min(ahead, 50.0)))
    probability = share * chosen.probability + (1 - share) * other.probability[in_other]
    if odds < chosen.odds:
        chosen = replace(chosen, second=other.places[in_other], odds=odds)
    return replace(chosen, probability=probability), bool(best)
