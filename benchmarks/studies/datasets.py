"""The labelled data sets the studies run on: where their scans are, what their colours mean, who trains."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.options import parser_of
from toothgraph.data.split import Split, load_split, of_patients
from toothgraph.errors import DataError
from toothgraph.io.find import find_scans
from toothgraph.io.palette import Palette, load_palette
from toothgraph.scan_names import patient_of, scan_names

TEETH3DS_LISTS = "Teeth3DS_train_test_split"


@dataclass(frozen=True)
class Dataset:
    """Scans with labels, and their official split by patient.

    Attributes:
        name: as the rows of a study have it.
        scans: folder.
        palette: what face or vertex colours mean; None where labels are in files beside the scans.
        split: patients to train and to validate on.
    """

    name: str
    scans: Path
    palette: Palette | None
    split: Split

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
        files = find_scans([self.scans])
        return of_patients(files, scan_names(files), patients)


def data_arguments(doc: str | None) -> argparse.ArgumentParser:
    """The options of every script that reads labelled scans."""
    parser = parser_of(doc)
    parser.add_argument("data", type=Path, help="folder of the data sets, see benchmarks/studies/datasets.py")
    return parser


def iosseg(data: Path) -> Dataset:
    """3D-IOSSeg in a folder ``3d-iosseg``, beside ``palettes.json`` and ``split.json``."""
    palette = load_palette(f"{data / 'palettes.json'}:3d-iosseg")
    return Dataset("3d-iosseg", data / "3d-iosseg", palette, load_split(data / "split.json"))


def teeth3ds(data: Path) -> Dataset:
    """A downloaded Teeth3DS folder: ``<jaw>/<patient>/<patient>_<jaw>.obj`` with ``.json`` beside, anywhere below
    it, and ``Teeth3DS_train_test_split`` with a list of scans per side and jaw.

    A patient of whom any scan is listed for testing is not trained on.
    """
    sides = {side: _listed(data, side) for side in ("training", "testing")}
    tested = {patient_of(scan) for scan in sides["testing"]}
    trained = {patient_of(scan) for scan in sides["training"]} - tested
    return Dataset("teeth3ds", data, None, Split(tuple(sorted(trained)), tuple(sorted(tested)), {}))


def _listed(data: Path, side: str) -> list[str]:
    files = sorted(data.rglob(f"{TEETH3DS_LISTS}/{side}_*.txt"))
    names = [line.strip() for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    found = [name for name in names if name]
    if not found:
        raise DataError(f"{data}: expected {TEETH3DS_LISTS}/{side}_upper.txt and {side}_lower.txt with scans")
    return found


DATASETS = {"3d-iosseg": iosseg, "teeth3ds": teeth3ds}
