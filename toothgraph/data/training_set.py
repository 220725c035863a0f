"""Load the scans of a training run, raw or prepared, and their split."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from toothgraph.data.prepared.folder import read_prepared
from toothgraph.data.prepared.layout import is_prepared
from toothgraph.data.prepared.sources import warn_of_copies
from toothgraph.data.scan import Scan, prepare_scan
from toothgraph.data.split import (
    Split,
    load_split,
    make_split,
    warn_of_lone_jaws,
    warn_of_missing,
    warn_of_same_files,
    warn_of_visits,
)
from toothgraph.errors import ConfigError, DataError, MemoryShortage, ToothgraphError, check_names, repeated
from toothgraph.graph.spec import GraphSpec
from toothgraph.io.find import find_scans
from toothgraph.io.label_systems import warn_of_several_systems
from toothgraph.io.labels import read_scan
from toothgraph.io.palette import Palette
from toothgraph.io.read import read_mesh
from toothgraph.io.reviewed import read_approved
from toothgraph.io.unread_labels import unread_labels
from toothgraph.mesh.label_origin import CORRECTED, FOUND, GIVEN, ORIGINS
from toothgraph.scan_names import patients_of, scan_names
from toothgraph.system.files import check_there
from toothgraph.system.memory import named_shortage

Progress = Callable[[Sequence[Path]], Iterable[Path]]
_log = logging.getLogger("toothgraph")


def load_training_set(
    paths: Sequence[str | Path],
    spec: GraphSpec,
    *,
    variants: int,
    seed: int,
    bases: int = 0,
    split: str | Path | None = None,
    fraction: float = 1.0,
    val_fraction: float = 0.2,
    unit: str = "mm",
    palette: Palette | None = None,
    label_system: str = "auto",
    labels: bool = True,
    reviewed: Path | None = None,
    progress: Progress = iter,
) -> tuple[list[Scan], Split]:
    """Load the scans of a training run, and the split into training and validation patients.

    Args:
        paths: files and folders of scans, and folders of ``toothgraph prepare``.
        spec, variants, seed, bases: see :func:`toothgraph.data.prepare_scan`.
        split: a split file, see :func:`toothgraph.data.load_split`; without it, a share of the patients is held out.
        fraction: share of the training patients that are used, 0 to 1.
        val_fraction: share of the patients to hold out if there is no split file. If some labels were found by a model
            or corrected, only patients with given labels are held out. A single patient is used for training.
        unit, palette, label_system, labels, reviewed, progress: see :func:`read_scans`.

    Raises:
        DataError: if no scan can be used, or two scans have the same name.
        ConfigError: if the split file is wrong, a prepared folder contains other graphs, or for a single path in place
            of a list.
        MemoryShortage: if the scans do not fit into memory.
    """
    check_names("paths", paths)
    if reviewed is not None:
        _check_reviewed(reviewed, paths)
    named = load_split(split) if split else None
    wanted = None if named is None else {*(named.labelled(fraction) if labels else named.train), *named.val}
    scans = [
        scan
        for path in map(Path, paths)
        if is_prepared(path)
        for scan in read_prepared(path, spec)
        if wanted is None or scan.patient in wanted
    ]
    raw = [path for path in map(Path, paths) if not is_prepared(path)]
    whose: dict[str, str] = {}
    if raw and wanted is not None:
        names = scan_names(files := find_scans(raw))
        whose = dict(zip(names, patients_of(files, names), strict=True))
    if raw and (wanted is None or wanted & {*whose.values()}):
        scans += read_scans(
            raw, spec, variants=variants, seed=seed, bases=bases, unit=unit, palette=palette,
            label_system=label_system, labels=labels, reviewed=reviewed, progress=progress,
            keep=lambda name: wanted is None or whose[name] in wanted,
        )  # fmt: skip
    _check_once(scans)
    if not scans:
        which = f"belongs to a patient of {split}" if split else "can be used"
        raise DataError(f"none of the scans found {which}")
    if labels:
        warn_of_several_systems((scan.scan_id, scan.label_origin.guessed) for scan in scans if scan.labelled)
    if split is not None and wanted is not None:
        warn_of_missing(Path(split), wanted, (scan.patient for scan in scans))
    if named is None:
        usable = [scan for scan in scans if not labels or scan.labelled]
        if labels:
            warn_of_lone_jaws([scan.patient for scan in usable], (scan.jaw for scan in usable))
            known = {scan.source: scan.patient for scan in usable if scan.source}
            warn_of_visits([*known], [*known.values()])
        named = _own_split(usable, val_fraction, seed, labels) if usable else Split((), (), {})
    return scans, named


def _check_once(scans: Sequence[Scan]) -> None:
    """Raise DataError if a scan is given twice, for example prepared and raw."""
    keys = [[scan.scan_id for scan in scans], [os.path.abspath(scan.source) for scan in scans if scan.source]]
    for each in keys:
        if twice := repeated(each):
            raise DataError(f"{twice[0]}: this scan is given twice, perhaps prepared and not prepared; give it once")


def _check_reviewed(reviewed: Path, paths: Sequence[str | Path]) -> None:
    """Raise ConfigError if there is no such folder, or if scans are prepared and so have labels already."""
    if not reviewed.is_dir():
        check_there(reviewed, ConfigError)
        raise ConfigError(f"{reviewed}: expected the folder of `toothgraph review --labels`, found a file")
    if prepared := [path for path in paths if is_prepared(Path(path))]:
        raise ConfigError(f"{prepared[0]}: expected scan files with --labels, found prepared scans, which have labels")


def _own_split(scans: Sequence[Scan], val_fraction: float, seed: int, labels: bool) -> Split:
    """Make a split of scans without a split file.

    Labels that a model found cannot measure a model, and corrected labels are few and needed for training. If there are
    such labels, only patients who have neither are used for validation. At least one patient whose labels come from a
    person is used for training.
    """
    patients = {scan.patient for scan in scans}
    if not labels:
        return make_split(patients, val_fraction, seed)
    ours = {kind: {scan.patient for scan in scans if scan.label_origin.kind == kind} for kind in ORIGINS}
    given = sorted(ours[GIVEN] - ours[FOUND] - ours[CORRECTED])
    if ours[FOUND] and not ours[CORRECTED]:
        given = given[1:]
    return make_split(patients, val_fraction, seed, given)


def read_scans(
    paths: Iterable[str | Path],
    spec: GraphSpec,
    *,
    variants: int,
    seed: int,
    bases: int = 0,
    unit: str = "mm",
    palette: Palette | None = None,
    label_system: str = "auto",
    labels: bool = True,
    reviewed: Path | None = None,
    keep: Callable[[str], bool] = lambda scan_id: True,
    progress: Progress = iter,
) -> list[Scan]:
    """Read all scans in files and folders.

    A scan that cannot be used is left out; the log gives its name and the reason.

    Args:
        paths: files and folders.
        spec, variants, seed, bases: see :func:`prepare_scan`.
        unit: the unit of length in the files.
        palette: the meaning of face or vertex colours.
        label_system: numbering of the teeth; see :func:`toothgraph.io.labels.read_scan`.
        labels: whether to read labels.
        reviewed: folder of ``toothgraph review``; only the labels of its approved scans are used.
        keep: takes the name of a scan and returns whether to read it.
        progress: wraps the list of files, for a progress bar.

    Raises:
        DataError: if no scan can be used, or two scans have the same name.
        ConfigError: for a single path in place of a list.
        MemoryShortage: if the scans do not fit into memory.
    """
    check_names("paths", paths)
    files = find_scans(list(paths))
    names = scan_names(files)
    patients = dict(zip(files, patients_of(files, names), strict=True))
    wanted = {path: name for path, name in zip(files, names, strict=True) if keep(name)}
    warn_of_copies(list(wanted))
    warn_of_same_files(list(wanted), [patients[path] for path in wanted])
    scans = []
    for path in progress(list(wanted)):
        try:
            with named_shortage(path, "prepare the scans (toothgraph prepare), which keeps them on disk"):
                if reviewed is not None:
                    mesh = read_approved(path, reviewed, wanted[path], unit=unit)
                elif labels:
                    mesh = read_scan(path, unit=unit, palette=palette, label_system=label_system, scan_id=wanted[path])
                else:
                    mesh = read_mesh(path, unit=unit)
                mesh = replace(mesh, scan_id=wanted[path])
                scan = prepare_scan(mesh, spec, variants, seed, bases)
                scans.append(replace(scan, source=path, patient=patients[path]))
        except MemoryShortage:  # not only an error of this scan: all following scans would fail, too
            raise
        except ToothgraphError as error:
            _log.warning("left out: %s", error)
    if not scans:
        raise DataError(
            f"none of the {len(files)} scans found can be used ({len(wanted)} of them are of the wanted patients)"
        )
    if labels and reviewed is None and not any(scan.labelled for scan in scans):
        bare = next(path for path, name in wanted.items() if name == scans[0].scan_id)
        _log.warning("no labels were found for any scan; %s: %s", bare, unread_labels(bare))
    return scans
