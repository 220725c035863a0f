"""The labelled scans the studies run on: where they are, what their colours mean, who trains."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.options import parser_of
from toothgraph.data.split import Split, load_split, make_split, of_patients, warn_of_missing
from toothgraph.datasets import official_split
from toothgraph.errors import DataError, LabelError, ToothgraphError
from toothgraph.io.find import find_scans
from toothgraph.io.labels import read_scan
from toothgraph.io.palette import Palette, load_palette
from toothgraph.scan_names import patient_of, scan_names


@dataclass(frozen=True)
class Dataset:
    """Scans with labels, and their split by patient.

    Attributes:
        name: as the rows of a study have it.
        scans: folder.
        palette: what face or vertex colours mean; None where labels are in files beside the scans.
        split: patients to train and to validate on.
        also: further files and folders of scans.
        unit, label_system: of the scans, see :func:`toothgraph.io.labels.read_scan`.
    """

    name: str
    scans: Path
    palette: Palette | None
    split: Split
    also: tuple[Path, ...] = ()
    unit: str = "mm"
    label_system: str = "auto"

    @property
    def places(self) -> list[Path]:
        """All files and folders of scans."""
        return [self.scans, *self.also]

    def training(self) -> list[Path]:
        """The files of the training patients."""
        return self._of(self.split.train)

    def validation(self) -> list[Path]:
        """The files of the validation patients."""
        return self._of(self.split.val)

    def few(self) -> Dataset:
        """The same with two patients to train on and one to validate on, to try a script."""
        return replace(self, split=Split(self.split.train[:2], self.split.val[:1], {}))

    def _of(self, patients: tuple[str, ...]) -> list[Path]:
        files = find_scans(self.places)
        return of_patients(files, scan_names(files), patients)


def data_arguments(doc: str | None) -> argparse.ArgumentParser:
    """The options of every script that reads labelled scans."""
    parser = parser_of(doc)
    parser.add_argument(
        "data", type=Path, nargs="?", help="folder of the data sets, see benchmarks/studies/datasets.py"
    )
    return parser


def runs_argument(parser: argparse.ArgumentParser, text: str = "gets the run folders") -> None:
    """The folder for the runs of a script that trains, after the data."""
    parser.add_argument("runs", type=Path, nargs="?", help=text)


def iosseg(data: Path) -> Dataset:
    """3D-IOSSeg in a folder ``3d-iosseg``, beside ``palettes.json`` and ``split.json``."""
    palette = load_palette(f"{data / 'palettes.json'}:3d-iosseg")
    return Dataset("3d-iosseg", data / "3d-iosseg", palette, load_split(data / "split.json"))


def teeth3ds(data: Path) -> Dataset:
    """A downloaded Teeth3DS folder: ``<jaw>/<patient>/<patient>_<jaw>.obj`` with ``.json`` beside, anywhere below
    it, and ``Teeth3DS_train_test_split`` with a list of scans per side and jaw.

    A patient of whom any scan is listed for testing is not trained on.
    """
    sides = official_split(data)
    tested = {patient_of(scan) for scan in sides["testing"]}
    trained = {patient_of(scan) for scan in sides["training"]} - tested
    return Dataset("teeth3ds", data, None, Split(tuple(sorted(trained)), tuple(sorted(tested)), {}))


def own_scans(
    paths: Sequence[Path],
    split: Path | None = None,
    palette: str | None = None,
    unit: str = "mm",
    label_system: str = "auto",
) -> Dataset:
    """Scans of anybody's, as the commands take them; without a split file, a fifth of the patients validates.

    Those who validate are looked at here, so that a study does not find out after hours that they have no labels.

    Raises:
        DataError: without scans, or with too few patients with labels.
        LabelError: if a scan to validate on has no labels.
    """
    files = find_scans(list(paths))
    names = scan_names(files)
    given = load_palette(palette) if palette else None
    patients = [patient_of(name) for name in names]
    where = ", ".join(map(str, paths))
    if not files:
        raise DataError(f"{where}: expected labelled scans, found none")

    def labelled(file: Path) -> bool:
        mesh = read_scan(file, palette=given, unit=unit, label_system=label_system)
        return mesh.labels is not None and bool((mesh.labels >= 0).any())

    def usable(file: Path) -> bool:
        try:
            return labelled(file)
        except ToothgraphError:  # those who train are told of it
            return False

    if split is None:
        able = [who for who, file in zip(patients, files, strict=True) if usable(file)]
        if not able:
            raise LabelError(
                f"{where}: none of {len(files)} scans has labels; are they colours? Give --palette FILE:SET"
            )
        chosen = make_split(able, 0.2, 0)
    else:
        chosen = load_split(split)
        warn_of_missing(split, (*chosen.train, *chosen.val), patients)
        validating = of_patients(files, names, chosen.val)
        bare = [file for file in validating if not labelled(file)]
        if bare:
            raise LabelError(
                f"{bare[0]}: has no labels to validate on; are they colours (--palette)? Else leave it out of {split}"
            )
        if not validating or not of_patients(files, names, chosen.train):
            raise DataError(f"{where}: no scan of a patient that {split} names for training, or none for validation")
    first, *others = paths
    return Dataset(first.stem, first, given, chosen, tuple(others), unit, label_system)


DATASETS = {"3d-iosseg": iosseg, "teeth3ds": teeth3ds}
