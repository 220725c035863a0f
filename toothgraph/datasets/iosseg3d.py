"""The data set 3D-IOSSeg as face graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toothgraph.choices import did_you_mean
from toothgraph.data.prepared.sources import Source, find_sources
from toothgraph.data.split import load_split
from toothgraph.datasets.scan_folder import ScanFolder
from toothgraph.errors import ConfigError, check_one_path

SIDES = ("train", "val", "all")


class IOSSeg3D(ScanFolder):
    """The data set 3D-IOSSeg as face graphs; its labels are the colours of the faces.

    Nothing is downloaded. The terms of the data are those of its authors.

    Source: Li et al., Computers in Biology and Medicine 168, 2024

    Args:
        root: a folder with the scans ``raw/3d-iosseg/007_L.ply``, ``007_U.ply`` and so on, with ``raw/palettes.json``
            that has a set ``3d-iosseg`` (see :func:`toothgraph.load_palette`), and with ``raw/split.json`` (see
            :func:`toothgraph.data.load_split`).
        side: ``train`` or ``val`` of the split, or ``all``, which needs no split.
        scans: another folder with the same content as ``root/raw``.
        options: see :class:`ScanFolder`.

    Raises:
        ConfigError: for another side, several ``scans``, or without palette or split.
        DataError: without scans.

    Example:
        >>> val = IOSSeg3D("iosseg", "val")  # doctest: +SKIP
    """

    def __init__(
        self, root: str | Path, side: str = "train", *, scans: str | Path | None = None, **options: Any
    ) -> None:
        if side not in SIDES:
            raise ConfigError(
                f"expected a side of the split, {', '.join(SIDES)}, got {side!r}{did_you_mean(side, SIDES)}"
            )
        check_one_path("scans", scans)
        self.side, self._own = side, scans is None
        folder = Path(scans) if scans is not None else Path(root).expanduser() / "raw"
        super().__init__(root, folder, palette=f"{folder / 'palettes.json'}:3d-iosseg", **options)

    @property
    def _part(self) -> str:
        return self.side if self._own else f"{self.side}-{self._elsewhere}"

    def _find(self) -> list[Source]:
        [folder] = self._places
        sources = find_sources([folder / "3d-iosseg"])
        if self.side == "all":
            return sources
        patients = getattr(load_split(folder / "split.json"), self.side)
        return [source for source in sources if source.patient in patients]
