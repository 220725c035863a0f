"""Prior knowledge about teeth, before a scan is seen: how wide they are, and how often one is missing.

Sizes: S. J. Nelson, Wheeler's Dental Anatomy, Physiology and Occlusion, tables of average measurements. The costs of a
missing tooth are set by hand. Their order follows agenesis (Polder et al. 2004, doi:10.1111/j.1600-0528.2004.00158.x:
second premolars and upper laterals most often), extraction for braces (first premolars most often) and wisdom teeth.
"""

from __future__ import annotations

import numpy as np

from toothgraph.anatomy.frame import ALONG

# Mesiodistal widths of the teeth 1 … 8, mm, upper and lower jaw.
CROWN_WIDTH = np.array([[8.5, 6.5, 7.5, 7.0, 7.0, 10.0, 9.0, 8.5], [5.0, 5.5, 7.0, 7.0, 7.0, 11.0, 10.5, 10.0]])
# Buccolingual widths of the same teeth.
CROWN_DEPTH = np.array([[7.0, 6.0, 8.0, 9.0, 9.0, 11.0, 11.0, 10.0], [6.0, 6.5, 7.5, 7.5, 8.0, 10.5, 10.0, 9.5]])
CROWN_SIZE = np.sqrt(CROWN_WIDTH * CROWN_DEPTH)
# Sizes of the milk canine and the milk molars, mm, for the places of teeth 3, 4 and 5, upper and lower jaw.
MILK_SIZE = np.sqrt(np.array([[7.0, 7.3, 8.2], [5.0, 7.7, 9.9]]) * np.array([[7.0, 8.5, 10.0], [4.8, 7.0, 8.7]]))
# The permanent teeth that each of these milk teeth looks like, upper and lower jaw.
MILK_LOOKS = (((3,), (4, 5), (6,)), ((3,), (4, 5, 6, 7), (6,)))
# Cost of a missing tooth 1 … 8 between two others, nats, upper and lower jaw.
MISSING_COST = np.array([[4.5, 3.0, 4.0, 2.0, 3.0, 3.5, 2.5, 0.5], [3.5, 3.5, 4.5, 2.0, 2.5, 3.0, 2.5, 0.5]])


def along(table: np.ndarray, jaw: int) -> np.ndarray:
    """The values of one jaw in a table of this module, for the sixteen positions in order along the arch. [16]"""
    values: np.ndarray = table[jaw][(ALONG - 1) % 8]
    return values
