"""The data set Teeth3DS as face graphs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from toothgraph.choices import did_you_mean
from toothgraph.data.prepared.sources import Source
from toothgraph.datasets.scan_folder import ScanFolder
from toothgraph.errors import ConfigError, DataError, check_one_path
from toothgraph.scan_names import patient_of

_log = logging.getLogger("toothgraph")
SPLITS = ("Teeth3DS", "3DTeethSeg22_challenge", "3DTeethLand_challenge")


def official_split(folder: str | Path, split: str = "Teeth3DS") -> dict[str, list[str]]:
    """The scans of a published split of Teeth3DS.

    Args:
        folder: a folder that contains, at any depth, ``<split>_train_test_split`` with ``training_*.txt`` and
            ``testing_*.txt``.
        split: ``Teeth3DS``, ``3DTeethSeg22_challenge`` or ``3DTeethLand_challenge``.

    Returns:
        The names of the scans, such as ``0132CR0A_upper``, under ``training`` and ``testing``.

    Raises:
        ConfigError: for another split.
        DataError: if these lists are missing or empty.

    Example:
        >>> lists = Path("raw/Teeth3DS_train_test_split")
        >>> lists.mkdir(parents=True)
        >>> _ = (lists / "training_upper.txt").write_text("A1_upper")
        >>> _ = (lists / "testing_upper.txt").write_text("B2_upper")
        >>> official_split("raw")
        {'training': ['A1_upper'], 'testing': ['B2_upper']}
    """
    if split not in SPLITS:
        raise ConfigError(
            f"expected a split of Teeth3DS, {', '.join(SPLITS)}, got {split!r}{did_you_mean(split, SPLITS)}"
        )
    sides = {}
    for side in ("training", "testing"):
        files = sorted(Path(folder).rglob(f"{split}_train_test_split/{side}*.txt"))
        names = [line.strip() for file in files for line in file.read_text(encoding="utf-8").splitlines()]
        sides[side] = [name for name in names if name]
        if not sides[side]:
            raise DataError(
                f"{folder}: expected {split}_train_test_split/{side}_upper.txt and {side}_lower.txt with the names of "
                "scans, found none; torch_geometric.datasets.Teeth3DS(root) downloads them with the scans"
            )
    return sides


class Teeth3DS(ScanFolder):
    """The data set Teeth3DS as face graphs, with its published splits.

    ``torch_geometric.datasets.Teeth3DS`` samples points of the same scans and drops the faces. The class here reads the
    ``raw`` folder of that class, or any folder with the published files, and keeps the faces. The labels of the
    vertices become labels of the faces. Nothing is downloaded here; the class of torch_geometric does that. The terms
    of the data are those of its authors.

    Source: Ben-Hamadou et al., https://arxiv.org/abs/2210.06094

    Args:
        root: a folder with ``raw/<anything>/<scan>.obj``, ``<scan>.json`` beside each scan, and
            ``raw/<split>_train_test_split/training_upper.txt`` and so on.
        split: ``Teeth3DS``, ``3DTeethSeg22_challenge`` or ``3DTeethLand_challenge``.
        train: True for the training scans, False for the test scans. The training scans of a patient who also has test
            scans are left out.
        scans: another folder with the same content as ``root/raw``.
        options: see :class:`ScanFolder`.

    Raises:
        ConfigError: for another split, or several ``scans``.
        DataError: if the lists or all scans are missing.

    Example:
        >>> test = Teeth3DS("teeth3ds", train=False)  # doctest: +SKIP
    """

    def __init__(
        self, root: str | Path, split: str = "Teeth3DS", train: bool = True, *, scans: str | Path | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        check_one_path("scans", scans)
        self.split, self.train = split, train
        super().__init__(root, scans, **options)

    @property
    def _side(self) -> str:
        return f"{self.split}-{'training' if self.train else 'testing'}"

    @property
    def _part(self) -> str:
        return "-".join(filter(None, (self._side, self._elsewhere)))

    def _find(self) -> list[Source]:
        [folder] = self._places
        sides = official_split(folder, self.split)
        tested = {patient_of(name) for name in sides["testing"]}
        names = (
            [name for name in sides["training"] if patient_of(name) not in tested] if self.train else sides["testing"]
        )
        there = {path.stem: path for path in sorted(folder.rglob("*.obj"))}
        found = [Source(there[name], name, patient_of(name)) for name in names if name in there]
        if not found:
            raise DataError(
                f"{folder}: expected the scans of {self._side}, such as {names[0]}.obj with {names[0]}.json, found "
                "none; torch_geometric.datasets.Teeth3DS(root) downloads them"
            )
        if len(found) < len(names):
            _log.warning(
                "%s: %d of the %d scans of %s are not there", folder, len(names) - len(found), len(names), self._side
            )
        return found
