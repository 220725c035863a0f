"""The keys of all scores, with their definitions. ``evaluate`` writes these definitions beside the scores.

Each score is a number from 0 to 1, or None where the scan does not define it. The fields of a graph are in the docs,
``docs/conventions.md``.
"""

from __future__ import annotations

ACCURACY = "accuracy"
DICE = "dice"
MIOU = "miou"
MIOU_PAPER = "miou_paper"
MIOU_MATCHED = "miou_matched"
BOUNDARY_IOU = "boundary_iou"
TEETH_FOUND = "teeth_found"
NUMBERS_RIGHT = "numbers_right"
SCANS_RIGHT = "scans_right"
CHALLENGE_CODE = "challenge_code"
CHALLENGE_DOCUMENTED = "challenge_documented"

METRICS = {
    ACCURACY: "share of faces with the right label",
    DICE: "Dice coefficient, mean over the classes present in truth or prediction, gingiva included",
    MIOU: "intersection over union, mean over the classes present in truth or prediction, gingiva included",
    MIOU_PAPER: "intersection over union, mean over the 17 classes of the jaw; a class absent from both counts 1",
    MIOU_MATCHED: "miou after the predicted teeth are renumbered, one to one, to fit best: quality without the numbers",
    BOUNDARY_IOU: "miou over the faces whose centroid lies within 1.0 mm of an edge where the true label changes",
    TEETH_FOUND: "share of true teeth that overlap with a predicted tooth by an IoU above 0.5",
    NUMBERS_RIGHT: "share of the found teeth whose FDI number is right",
    SCANS_RIGHT: "share of scans whose found teeth all have the right number",
    CHALLENGE_CODE: "3DTeethSeg challenge over vertices, as its scorer computes it",
    CHALLENGE_DOCUMENTED: "3DTeethSeg challenge over vertices, as its documentation defines it",
}

FLAT = [key for key in METRICS if key not in (CHALLENGE_CODE, CHALLENGE_DOCUMENTED)]  # the scores that are one number

# Parts of the two challenge scores.
EXP_TLA = "exp_tla"
TSA = "tsa"
TIR = "tir"
SCORE = "score"

CHALLENGE_PARTS = {
    EXP_TLA: "exp(-TLA); TLA is the mean distance of tooth centroids, in units of the size of the true tooth",
    TSA: "tooth segmentation: accuracy of tooth against gingiva (code), mean F1 per true tooth (documented)",
    TIR: "share found within half their size and numbered right: of matched pairs (code), of true teeth (documented)",
    SCORE: "mean of exp_tla, tsa and tir",
}
