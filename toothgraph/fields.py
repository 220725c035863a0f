"""Every field of a graph and every key of a score, by name: shape, unit, one line each.

N faces, E directed edges, K places in a neighbour table. Lengths in millimetres. The dictionaries at the end
hold the same lines for the documentation and for ``--help`` to print.
"""

from __future__ import annotations

# --- fields of a graph (``torch_geometric.data.Data``); a node is a face -----------------------------------

POS = "pos"
"""[N, 3] float, mm: face barycentres."""

NORMAL = "normal"
"""[N, 3] float, unit length: face normals."""

X = "x"
"""[N, 15] float: barycentre 3, the three corners minus the barycentre 9 (mm), unit normal 3."""

EDGE_INDEX = "edge_index"
"""[2, E] long: face adjacency, both directions, sorted, without duplicates."""

NEIGHBOR_INDEX = "neighbor_index"
"""[K, N] int or long: neighbour tables, level by level; a missing neighbour is the node itself, never -1."""

LEVEL = "level"
"""[N] long: the last level of the neighbour tables each node belongs to."""

Y = "y"
"""[N] long: class index 0 … 32, -1 unknown (``toothgraph.mesh.numbering``)."""

JAW = "jaw"
"""[1] long: 0 upper, 1 lower, -1 unknown."""

SCAN_ID = "scan_id"
"""str: the name of the scan in messages, rows and file names."""

AREA = "area"
"""[N] float, mm²: face areas."""

FIELDS = {
    POS: "[N, 3] float, mm: face barycentres",
    NORMAL: "[N, 3] float, unit length: face normals",
    X: "[N, 15] float: barycentre 3, three corners minus the barycentre 9 (mm), unit normal 3",
    EDGE_INDEX: "[2, E] long: face adjacency, both directions, sorted, without duplicates",
    NEIGHBOR_INDEX: "[K, N] int or long: neighbour tables; a missing neighbour is the node itself",
    LEVEL: "[N] long: the last level of the tables each node belongs to",
    Y: "[N] long: class index 0 … 32, -1 unknown",
    JAW: "[1] long: 0 upper, 1 lower, -1 unknown",
    SCAN_ID: "str: the name of the scan",
    AREA: "[N] float, mm²: face areas",
}

# --- keys of one scan's scores; each is a number in 0 … 1, or None where the scan does not define it --------

ACCURACY = "accuracy"
"""Share of faces labelled right."""

DICE = "dice"
"""Dice coefficient, mean over the classes present in truth or prediction."""

MIOU = "miou"
"""Intersection over union, mean over the classes present in truth or prediction."""

MIOU_PAPER = "miou_paper"
"""Intersection over union, mean over the jaw's 17 classes, a class absent from both counting 1."""

MIOU_MATCHED = "miou_matched"
"""``miou`` once the predicted teeth are renumbered, one to one, to fit best: how good it is, numbers aside."""

BOUNDARY_IOU = "boundary_iou"
"""``miou`` over the faces whose centroid lies within 1.0 mm of a true label-change edge."""

CHALLENGE_CODE = "challenge_code"
"""3DTeethSeg challenge scores as its scorer computes them, over vertices: a dict of ``CHALLENGE_PARTS``."""

CHALLENGE_DOCUMENTED = "challenge_documented"
"""3DTeethSeg challenge scores as its documentation defines them, over vertices: the same dict."""

METRICS = {
    ACCURACY: "share of faces labelled right",
    DICE: "Dice coefficient, mean over the classes present in truth or prediction, gingiva included",
    MIOU: "intersection over union, mean over the classes present in truth or prediction, gingiva included",
    MIOU_PAPER: "intersection over union, mean over the jaw's 17 classes, one absent from both counting 1",
    MIOU_MATCHED: "miou once the predicted teeth are renumbered, one to one, to fit best: numbers aside",
    BOUNDARY_IOU: "miou over the faces whose centroid lies within 1.0 mm of a true label-change edge",
    CHALLENGE_CODE: "3DTeethSeg challenge over vertices, as its scorer computes it",
    CHALLENGE_DOCUMENTED: "3DTeethSeg challenge over vertices, as its documentation defines it",
}

EXP_TLA = "exp_tla"
"""exp(-TLA): tooth localisation, 1 is best."""

TSA = "tsa"
"""Tooth segmentation accuracy."""

TIR = "tir"
"""Tooth identification rate."""

SCORE = "score"
"""Mean of the three."""

CHALLENGE_PARTS = {
    EXP_TLA: "exp(-TLA), TLA the mean distance of tooth centroids in units of the true tooth's size",
    TSA: "tooth segmentation: accuracy of tooth against gingiva (code), mean F1 per true tooth (documented)",
    TIR: "found within half their size, numbered right: of matched pairs (code), of true teeth (documented)",
    SCORE: "mean of exp_tla, tsa and tir",
}
