"""Warnings that ask for a review: how many scans with something wrong get one, and how many scans that are right.

    python -m benchmarks.studies.doubts DATA [--keep FOLDER]

DATA holds 3d-iosseg, teeth3ds, odd-scans, field, palettes.json and split.json. Scans with something wrong are made from
labelled scans (odd_mouths.py) in random poses. Some are real. The limits of the warnings were chosen on training
patients ("chosen"). The warnings are counted on validation patients and other sets ("counted"). A closed model or shell
counts as right if every tooth found on it is right; the labels of the scan it was made from tell this. FOLDER keeps
what was found in each scan, so that warnings can be counted again without a net. Writes benchmarks/results/doubts.json.
"""

from __future__ import annotations

import json
import pickle
import zlib
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.options import parse, run
from benchmarks.paths import RESULTS
from benchmarks.studies import odd_mouths, shapes
from benchmarks.studies.datasets import Dataset, data_arguments, iosseg
from toothgraph import load_model, segment_file
from toothgraph.anatomy.mouth import COMPLETE, kind_of_mouth
from toothgraph.both_jaws import JawPair
from toothgraph.errors import MeshError
from toothgraph.fdi import LOWER, UPPER
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.labels import read_scan
from toothgraph.io.palette import Palette
from toothgraph.io.read import read_mesh
from toothgraph.mesh.mesh import Mesh
from toothgraph.segmentation import Segmentation
from toothgraph.system import provenance
from toothgraph.system.files import write_text

RESULT = RESULTS / "doubts.json"
CHOSEN, COUNTED = "chosen", "counted"
ORDINARY, MISSING = "ordinary", "missing teeth"
UNSURE = ("072", "036", "045")  # training patients with milk teeth, or with the labels of another patient
EACH = {CHOSEN: 5, COUNTED: 10}  # cases of each kind
# Real files that are not ordinary scans, and what each shows. 071 and 095 have attachments of aligners.
REAL = {
    "013TXGFK_upper": "mixed", "01A6HAN6_upper": "mixed", "ZGH1UT1Q_lower": "mixed", "gingiva-only-upper": "no teeth",
    "back-teeth-of-one-side_lower": "part", "front-teeth-only_lower": "part", "closed-u-model_lower": "model",
    "closed-u-model_upper": "model", "closed-crowns-no-gum_upper": "crowns", "crowns-no-gum_lower": "crowns",
    "shell-1mm_lower": "shell", "mixed-dentition_upper": "mixed", "prepared-molar_lower": "stump",
    "scan-body-for-46_lower": "scan body", "071_U": "brackets", "071_L": "brackets", "095_U": "brackets",
    "095_L": "brackets", "five-teeth-removed_lower": MISSING,
}  # fmt: skip
CLOSED = ("model", "shell")
RIGHT = ("closed-u-model_lower", "closed-u-model_upper")  # without labels; pictures show that every tooth is right
OTHERS = ("labelled-upper.vtp", "labelled-lower.vtp", "camera-element-lower.ply", "interleaved-normals-lower.obj",
          "gingiva-only-upper.stl")  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A scan to check for warnings.

    Attributes:
        name: name of the case.
        side: ``chosen`` or ``counted``.
        kind: what is wrong with the scan.
        real: whether the scan is real, not made by a program.
        make: function that reads or makes the scan.
        jaw: jaw to give, as for :func:`toothgraph.segment`.
        scan: for closed models and shells, the file with the labels that tell which teeth are right.
    """

    name: str
    side: str
    kind: str
    real: bool
    make: Callable[[], Mesh]
    jaw: int | None = None
    scan: Path | None = None


def made(data: Dataset, side: str, patients: list[str]) -> Iterator[Case]:
    """Cases with something wrong, made from the scans of some patients, the kinds in turn."""
    kinds = [*odd_mouths.KINDS, odd_mouths.PAIR[0]]
    for number in range(EACH[side]):
        for place, kind in enumerate(kinds):
            at = number + place
            patient, jaw = patients[at % len(patients)], (at + number // len(patients)) % 2
            name = f"{'set' if side == CHOSEN else 'told'}-{kind.replace(' ', '_')}-{patient}_{'UL'[jaw]}"
            told = -1 if kind == odd_mouths.PAIR[0] else jaw
            scan = data.jaw(patient, jaw)
            make = partial(_made, data, name, kind, patient, jaw)
            yield Case(name, side, kind, False, make, told, scan if kind in CLOSED else None)


def _made(data: Dataset, name: str, kind: str, patient: str, jaw: int) -> Mesh:
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    scans = [
        odd_mouths.upright(read_scan(data.jaw(patient, each), palette=data.palette))
        for each in ((UPPER, LOWER) if kind == odd_mouths.PAIR[0] else (jaw,))
    ]
    if kind == odd_mouths.PAIR[0]:
        return odd_mouths.turned_somehow(odd_mouths.both_jaws(scans[0], scans[1], rng), rng)
    return odd_mouths.turned_somehow(odd_mouths.KINDS[kind][1](scans[0], rng), rng)


def real(folder: Path, data: Dataset, chosen: list[str], counted: list[str]) -> Iterator[Case]:
    """Cases of scans as they are, without changes."""
    for side, patients in ((CHOSEN, chosen), (COUNTED, counted)):
        for patient in patients:
            yield from (_as_it_is(data.jaw(patient, jaw), side) for jaw in (UPPER, LOWER))
    files = [*sorted((folder / "teeth3ds").glob("*.ply")), *(folder / "odd-scans" / name for name in OTHERS)]
    files += [file for file in sorted((folder / "field").glob("[ms]*/*")) if file.suffix != ".txt"]
    for file in files:
        if file.is_file():
            yield _as_it_is(file, COUNTED)


def _as_it_is(file: Path, side: str) -> Case:
    kind = MISSING if file.parent.name == "missing-teeth" else REAL.get(file.stem, ORDINARY)
    name = f"{'set' if side == CHOSEN else 'told'}-ordinary-{file.stem}"
    return Case(name, side, kind, True, lambda: read_mesh(file), scan=file if kind in CLOSED else None)


def flagged(case: Case, keep: Path | None, palette: Palette | None = None) -> dict[str, object]:
    """The row of a case; ``palette`` is that of its scan."""
    kind, right = case.kind, None
    if kind == "unit":  # refused when it is read
        doubts = [refusal(case)]
    else:
        found = kept(case, keep)
        doubts = found.doubts
        if case.scan is not None:
            right = is_right(found, case.scan, palette)
        if kind == ORDINARY and any(kind_of_mouth(one.mesh.with_labels(one.labels)) != COMPLETE for one in found.jaws):
            kind = MISSING
    return {"name": case.name, "side": case.side, "kind": kind, "real": case.real, "right": right,
            "doubts": [d for d in doubts if d]}  # fmt: skip


def is_right(found: Segmentation | JawPair, scan: Path, palette: Palette | None) -> bool:
    """Whether the teeth found are exactly those that the labels of a scan have.

    Third molars do not count, because many scans end within them.
    """
    if scan.stem in RIGHT:
        return True
    meshes = (read_scan(scan, palette=palette), *(one.mesh.with_labels(one.labels) for one in found.jaws))
    wanted, *own = ([fdi for fdi in shapes.teeth_of(mesh) if fdi % 10 < 8] for mesh in meshes)
    return own == [wanted]


def refusal(case: Case) -> str:
    """Why the scan of a case is refused when it is read from a file; empty if it is not refused."""
    mesh = case.make()
    with TemporaryDirectory() as folder:
        file = Path(folder) / "scan.stl"
        write_stl(file, mesh.vertices, mesh.faces)
        try:
            read_mesh(file)
        except MeshError as error:
            return str(error).replace(f"{file.parent}/", "")  # a name that is the same in each run
    return ""


def kept(case: Case, keep: Path | None) -> Segmentation | JawPair:
    """What is found in the scan of a case, read from the folder ``keep`` if it is there already."""
    file = None if keep is None else keep / f"{case.name}.pkl"
    if file is not None and file.exists():
        found: Segmentation | JawPair = pickle.loads(file.read_bytes())
        return found
    found = segment_file(case.make(), load_model(), case.jaw)
    if file is not None:
        file.write_bytes(pickle.dumps(found))
    return found


def cases(options: Namespace) -> list[Case]:
    """All cases; in a quick run the first of each kind."""
    data = iosseg(options.data)
    if options.quick:
        one = data.split.val[:1]
        return [*list(made(data, COUNTED, [*one]))[: len(odd_mouths.KINDS) + 1], *real(options.data, data, [], [*one])]
    chosen = [patient for patient in data.split.train if patient not in UNSURE]
    counted = list(data.split.val)
    return [
        *made(data, CHOSEN, chosen[:12]),
        *real(options.data, data, chosen[12:20], [*counted, *chosen[20:]]),
        *made(data, COUNTED, counted),
    ]


def main(argv: list[str] | None = None) -> None:
    """Collect the warnings of all cases, and write the result."""
    parser = data_arguments(__doc__)
    parser.add_argument("--keep", type=Path, help="folder for what is found in each scan")
    options = parse(parser, argv, RESULT)
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    rows, palette = [], iosseg(options.data).palette
    for case in cases(options):
        rows.append(flagged(case, options.keep, None if case.real else palette))
        print(rows[-1]["name"], len(rows[-1]["doubts"]), flush=True)  # type: ignore[arg-type]
    kinds = {**{name: text for name, (text, _) in odd_mouths.KINDS.items()}, odd_mouths.PAIR[0]: odd_mouths.PAIR[1]}
    write_text(options.out, json.dumps({"rows": rows, "kinds": kinds, "facts": provenance.facts()}, indent=1) + "\n")


if __name__ == "__main__":
    run(main)
