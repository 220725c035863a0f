"""The surface of a scan for the tools, with faces of one size, so that a fold is equally sharp on any scan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from toothgraph.mesh.decimate import Decimated, decimate
from toothgraph.mesh.interpolate import Nearest, nearest
from toothgraph.mesh.mesh import Mesh
from toothgraph.review.embedding import Embedded

FACE = 0.3  # mm², a face of the coarse surface; about as on the scans on which the tools were tuned
LEAST_FACES = 500


@dataclass(frozen=True, eq=False)
class Surface:
    """A scan, with the values that the tools compute only once.

    Attributes:
        mesh: F faces.
        embed: gives the embedding of a scan, see :func:`toothgraph.review.embedding.embed`; None without a net.
    """

    mesh: Mesh
    embed: Callable[[Mesh], Embedded | None] | None = None

    @cached_property
    def decimated(self) -> Decimated:
        """The surface with faces of about ``FACE`` mm²; the scan itself if its faces are that large."""
        bare = self.mesh.with_labels(None)
        return decimate(bare, max(round(bare.areas.sum() / FACE), LEAST_FACES))

    @property
    def coarse(self) -> Mesh:
        """The coarse surface, C faces."""
        return self.decimated.mesh

    @cached_property
    def _nearest(self) -> Nearest | None:
        """The coarse faces that each face takes its values from; None where the two surfaces are the same."""
        return nearest(self.coarse, self.mesh)

    def carry(self, values: np.ndarray) -> np.ndarray:
        """Transfer values of the coarse faces [C, n] to the faces of the scan [F, n]."""
        return values if self._nearest is None else self._nearest.carry(values)

    @cached_property
    def _embedded(self) -> Embedded | None:
        return None if self.embed is None else self.embed(self.mesh)

    def embedding(self, part: Mesh) -> np.ndarray | None:
        """The embedding of the faces of a part of the scan, or of a coarser surface of it [n, D]; None without one."""
        return None if self._embedded is None else self._embedded.of(part)

    def prepare(self) -> None:
        """Compute the values that are needed once, so that the first step does not wait for them."""
        _ = self.mesh.adjacency, self.coarse.adjacency, self.coarse_face, self._nearest, self._embedded

    @property
    def coarse_face(self) -> np.ndarray:
        """The coarse face of each face. [F]"""
        return self.decimated.face_map
