"""The labelled scans that the studies use: their folders, the meaning of their colours, and their split by patient."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.options import parser_of
from toothgraph.cli.terminal import say
from toothgraph.data.split import Split, load_split, make_split, of_patients, warn_of_missing
from toothgraph.datasets import official_split
from toothgraph.errors import DataError, LabelError, ToothgraphError, some_of
from toothgraph.fdi import JAW_NAMES
from toothgraph.io.find import find_scans
from toothgraph.io.labels import read_scan
from toothgraph.io.palette import Palette, load_palette
from toothgraph.io.unread_labels import unread_labels
from toothgraph.scan_names import jaw_from_name, patient_of, patients_of, scan_names


@dataclass(frozen=True)
class Dataset:
    """Scans with labels, and their split by patient.

    Attributes:
        name: name of the data set in the rows of a study.
        scans: folder of the scans.
        palette: meaning of the face or vertex colours; None if the labels are in files beside the scans.
        split: patients to train and to validate on.
        also: further files and folders of scans.
        left_out: scans that cannot be used.
        unit, label_system: of the scans, see :func:`toothgraph.io.labels.read_scan`.
        palette_option: how a command is told the palette, FILE:SET.
    """

    name: str
    scans: Path
    palette: Palette | None
    split: Split
    also: tuple[Path, ...] = ()
    left_out: frozenset[Path] = frozenset()
    unit: str = "mm"
    label_system: str = "auto"
    palette_option: str | None = None

    @property
    def places(self) -> list[Path]:
        """All files and folders of scans."""
        return [self.scans, *self.also]

    def training(self) -> list[Path]:
        """The files of the training patients."""
        return list(self.names(self.split.train))

    def validation(self) -> list[Path]:
        """The files of the validation patients."""
        return list(self.names(self.split.val))

    def few(self) -> Dataset:
        """The data set with two patients to train on and one to validate on, to try a script."""
        return replace(self, split=Split(self.split.train[:2], self.split.val[:1], {}))

    def names(self, patients: tuple[str, ...]) -> dict[Path, str]:
        """The names of the scans of some patients, by file."""
        files = find_scans(self.places)
        names = dict(zip(files, scan_names(files), strict=True))
        chosen = of_patients(files, patients_of(files, list(names.values())), patients)
        return {file: names[file] for file in chosen if file not in self.left_out}

    def jaw(self, patient: str, jaw: int) -> Path:
        """The file of one jaw of a patient. ``jaw`` is 0 for upper and 1 for lower; the names of files tell the jaw.

        Raises:
            DataError: if the patient has no scan of that jaw.
        """
        found = [file for file in self.names((patient,)) if jaw_from_name(file) == jaw]
        if not found:
            raise DataError(f"{self.scans}: expected a scan of the {JAW_NAMES[jaw]} jaw of {patient}, found none")
        return found[0]


def data_arguments(doc: str | None, **texts: str) -> argparse.ArgumentParser:
    """A parser with the options of every script that reads labelled scans; ``texts`` as for :func:`parser_of`."""
    parser = parser_of(doc, **texts)
    parser.add_argument(
        "data", type=Path, nargs="?", help="folder of the data sets, see benchmarks/studies/datasets.py"
    )
    return parser


def runs_argument(parser: argparse.ArgumentParser, text: str = "gets the run folders") -> None:
    """Add the argument for the folder of the runs, which follows that of the data."""
    parser.add_argument("runs", type=Path, nargs="?", help=text)


def iosseg(data: Path) -> Dataset:
    """The data set 3D-IOSSeg in a folder ``3d-iosseg``, beside ``palettes.json`` and ``split.json``."""
    palette, split = f"{data / 'palettes.json'}:3d-iosseg", load_split(data / "split.json")
    return Dataset("3d-iosseg", data / "3d-iosseg", load_palette(palette), split, palette_option=palette)


def teeth3ds(data: Path) -> Dataset:
    """The data set Teeth3DS in its downloaded folder.

    Anywhere below the folder are the scans, ``<jaw>/<patient>/<patient>_<jaw>.obj``, each with a ``.json`` beside it,
    and ``Teeth3DS_train_test_split`` with a list of scans for each side (training, testing) and jaw. A patient with any
    scan listed for testing is not trained on.
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
    """The data set of a user's own scans, given in the same way as to the commands.

    Without a split file, a fifth of the patients validates. Scans that may be validated on are read here, so that a
    study does not find out after hours that they have no labels. As in the commands, a scan that cannot be used is
    reported and left out.

    Raises:
        DataError: if there are no scans, or too few patients with labels.
        LabelError: if no scan to validate on has labels.
    """
    files = find_scans(list(paths))
    names = scan_names(files)
    given = load_palette(palette) if palette else None
    patients = patients_of(files, names)
    where = ", ".join(map(str, paths))
    if not files:
        raise DataError(f"{where}: expected labelled scans, found none")

    def why_not(file: Path) -> str:
        try:
            mesh = read_scan(file, palette=given, unit=unit, label_system=label_system)
        except ToothgraphError as error:
            return str(error)
        known = mesh.labels is not None and bool((mesh.labels >= 0).any())
        return "" if known else f"{file}: has no labels; {unread_labels(file)}"

    chosen = None if split is None else load_split(split)
    looked_at = files if chosen is None else of_patients(files, patients, chosen.val)
    faults = {file: fault for file in looked_at if (fault := why_not(file))}
    if looked_at and len(faults) == len(looked_at):
        to_validate = "" if chosen is None else f" of the patients that {split} validates on"
        raise LabelError(
            f"{where}: none of {len(looked_at)} scans{to_validate} can be used: {next(iter(faults.values()))}"
        )
    for fault in faults.values():
        say(f"left out: {fault}")
    if split is None or chosen is None:
        chosen = make_split((who for who, file in zip(patients, files, strict=True) if file not in faults), 0.2, 0)
    else:
        warn_of_missing(split, (*chosen.train, *chosen.val), patients)
        if not looked_at or not of_patients(files, patients, chosen.train):
            raise DataError(
                f"{where}: no scan of a patient that {split} names for training, or none for validation; the patients "
                f"of the scans are {some_of(sorted({*patients}))}"
            )
        able = {who for who, file in zip(patients, files, strict=True) if file not in faults}
        chosen = replace(chosen, val=tuple(who for who in chosen.val if who in able))
    first, *others = paths
    return Dataset(first.stem, first, given, chosen, tuple(others), frozenset(faults), unit, label_system, palette)


DATASETS = {"3d-iosseg": iosseg, "teeth3ds": teeth3ds}
