"""Synthetic arches as a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toothgraph.datasets.scan_folder import ScanFolder
from toothgraph.errors import check_number
from toothgraph.synthetic.write import synthetic_file, write_synthetic


class SyntheticArches(ScanFolder):
    """Labelled dental arches made by a program: a data set that needs no download and no patient.

    Upper and lower jaws alternate. For given ``faces``, an arch depends only on the seed and its own number, so that a
    larger data set begins with the same arches. Scores on these arches say nothing about real scans.

    Args:
        root: the folder to which the arches are written, as ``raw/<faces>-<seed>/0000_upper.stl`` and so on, and their
            graphs.
        arches: number of arches.
        faces: faces of each arch, 2,000 to 300,000.
        seed: seed of the arches and of random tessellations.
        options: see :class:`ScanFolder`.

    Raises:
        ConfigError: for numbers out of range.

    Example:
        >>> from toothgraph import GraphSpec
        >>> dataset = SyntheticArches("arches", arches=2, faces=2000, spec=GraphSpec(faces=500), log=False)
        >>> len(dataset), dataset.num_features, dataset.num_classes, dataset[0].scan_id
        (2, 15, 33, '0000_upper')
    """

    def __init__(
        self, root: str | Path, arches: int = 20, *, faces: int = 16_000, seed: int = 0, **options: Any
    ) -> None:
        check_number("arches", arches, least=1, whole=True)
        self.arches, self.faces, self.seed = arches, faces, seed
        folder = Path(root).expanduser() / "raw" / f"{faces}-{seed}"
        super().__init__(root, [synthetic_file(folder, number) for number in range(arches)], seed=seed, **options)

    @property
    def raw_file_names(self) -> list[str]:
        return [file.name for file in self._places]

    @property
    def _part(self) -> str:
        return f"{self.faces}-{self.seed}"

    def download(self) -> None:
        write_synthetic(Path(self.root) / "raw" / self._part, self.arches, self.faces, self.seed)
