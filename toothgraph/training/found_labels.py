"""Labels that a teacher finds on unlabelled scans, in a prepared folder from which a student learns.

quarantine.csv    scans of which nothing is kept, and why
teeth.csv         each tooth found on the other scans: whether it is kept, or why not
"""

from __future__ import annotations

import csv
import io
import json
import logging
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from toothgraph._version import __version__
from toothgraph.data.prepared.build import PrepareOptions, digest_of, done_before, reason_of
from toothgraph.data.prepared.file import Header, save_scan
from toothgraph.data.prepared.folder import (
    bad_file,
    open_folder,
    quarantine,
    read_manifest,
    read_prepared,
    read_quarantine,
    scan_file,
    write_lists,
)
from toothgraph.data.prepared.layout import FOUND_BY_TEACHER, MANIFEST, QUARANTINE
from toothgraph.data.scan import Scan, prepare_scan
from toothgraph.errors import ConfigError, DataError, MemoryShortage
from toothgraph.fdi import LOWER, UPPER
from toothgraph.inference.options import PredictOptions
from toothgraph.inference.trust import KEPT, Trusted, trusted_labels
from toothgraph.io.read import read_mesh
from toothgraph.mesh.label_origin import FOUND, LabelOrigin
from toothgraph.mesh.mesh import Mesh
from toothgraph.model.file import load_segmentation
from toothgraph.model.nets import SegmentationNet
from toothgraph.stages import stage
from toothgraph.system import provenance
from toothgraph.system.files import write_text
from toothgraph.system.memory import named_shortage
from toothgraph.system.progress import Display
from toothgraph.training.config import FinetuneConfig
from toothgraph.training.run import device_of
from toothgraph.training.run_folder import has_begun, is_finished
from toothgraph.training.unlabelled import Unlabelled
from toothgraph.weights import FILE as DEFAULT_WEIGHTS

_log = logging.getLogger("toothgraph")
TEETH = "teeth.csv"


def find_labels(
    unlabelled: Sequence[Unlabelled],
    teacher: Path,
    name: str,
    out: Path,
    config: FinetuneConfig,
    *,
    jaws: Collection[int] = (UPPER, LOWER),
    student: Path | None = None,
) -> list[Scan]:
    """Label scans with a teacher, and prepare the scans that have teeth to learn from.

    After an interruption, a scan is not labelled again if the scan, the teacher, the options and the version are the
    same. A scan that fails goes to quarantine, and the other scans go on.

    Args:
        unlabelled: the scans.
        teacher: model file of the teacher.
        name: name of the teacher, as it is stored with the labels.
        out: the prepared folder.
        config: options of the graphs, and limits that a tooth must reach (``trust``).
        jaws: jaws of which the teacher has learned labels.
        student: run folder of the student that learns from these labels. Once that run has begun, the labels must not
            change. Once it is finished, labels are accepted whatever teacher, options or version found them.

    Returns:
        The prepared scans.

    Raises:
        DataError: if nothing can be learned from any scan.
        ConfigError: if the folder was begun with other graph options, or the student has begun with other labels.
        MemoryShortage: if a scan needs more memory than there is.
    """
    net, file = load_segmentation(teacher)
    net = net.to(device_of(config.device))
    content = PrepareOptions(config.net.graph, config.variants, config.bases, config.seed).content()
    del content["unit"]  # each scan has its own
    labeller = _Labeller(net, LabelOrigin(FOUND, name), out, config, jaws, {
        **content, "teacher": provenance.sha256(file.path), "trust": asdict(config.trust), "jaws": sorted(jaws),
        "version": __version__, "rules": digest_of(asdict(PredictOptions().rules)),
        "crowns": None if net.crowns is not None else provenance.sha256(DEFAULT_WEIGHTS),
    })  # fmt: skip
    names = [one.source.scan_id for one in unlabelled]
    learned = student is not None and is_finished(student)
    todo = [one for one in unlabelled if not labeller.has(one, anyhow=learned)]
    if student is not None and has_begun(student):
        _check_unchanged(student, out, names, todo)
    open_folder(out, {**content, **FOUND_BY_TEACHER})
    with Display("labelling", len(unlabelled)) as display:
        display.start_at(len(unlabelled) - len(todo))
        for one in todo:
            display.begin(one.source.scan_id)
            labeller.label(one)
            display.advance()
    write_lists(out, names)
    scans = read_prepared(out)
    _say(scans, len(unlabelled), out)
    if not scans:
        raise DataError(
            f"none of the {len(unlabelled)} unlabelled scans has labels to learn from; {out / QUARANTINE} says why. "
            "Label more scans, or lower the limits of `trust` in --config, and go on with --resume"
        )
    return scans


def _check_unchanged(student: Path, out: Path, names: Sequence[str], todo: Sequence[Unlabelled]) -> None:
    """Raise ConfigError if labels would change from which a student has begun to learn."""
    if todo or {*names} != {header.scan_id for header in read_manifest(out)} | {*read_quarantine(out)}:
        changed = todo[0].source.path if todo else out / MANIFEST
        raise ConfigError(
            f"{student}: cannot resume: it has begun to learn from {out}, and now other labels would be found there "
            f"({changed}); use the scans, options and version that it began with, or choose another --out"
        )


@dataclass(frozen=True)
class _Labeller:
    """Labels scans one by one, and writes them to a folder.

    Attributes:
        net: the teacher.
        origin: origin that is stored with the labels.
        out: the prepared folder.
        config: options of the run.
        jaws: jaws of which the teacher has learned labels.
        content: everything except the scan that its labels depend on, as values for JSON.
    """

    net: SegmentationNet
    origin: LabelOrigin
    out: Path
    config: FinetuneConfig
    jaws: Collection[int]
    content: dict[str, Any]

    def digest(self, one: Unlabelled) -> str:
        """Digest of everything except the scan itself that its labels depend on."""
        return digest_of({**self.content, "unit": one.unit})

    def has(self, one: Unlabelled, *, anyhow: bool = False) -> bool:
        """Whether a scan was labelled before with the same teacher, options and version; with any if ``anyhow``."""
        done = done_before(self.out, one.source, None if anyhow else self.digest(one))
        return done is not None and (done.state == "bad" or _teeth_file(self.out, one.source.scan_id).is_file())

    def label(self, one: Unlabelled) -> None:
        """Label a scan, and write its graphs, or the reason why nothing of it is kept."""
        source = one.source
        try:
            with named_shortage(source.path):
                found, mesh, scan = self._found(one)
        except MemoryShortage:  # all following scans would fail as well
            raise
        except Exception as error:  # also a bug in this package: it is reported, and the other scans go on
            reason = reason_of(source, error)
            _log.warning("left out: %s", reason)
            quarantine(self.out, source, self.digest(one), reason)
            return
        if scan is None:
            quarantine(self.out, source, self.digest(one), found.reason)
            return
        write_text(_teeth_file(self.out, source.scan_id), json.dumps(found.teeth) + "\n")
        header = Header(
            source.scan_id, source.patient, str(source.path), source.digest(), self.digest(one), mesh.jaw,
            len(mesh.faces), True, len(scan.variants), __version__, self.origin.kind, self.origin.model,
        )  # fmt: skip
        save_scan(scan_file(self.out, source.scan_id), replace(scan, patient=source.patient), header)
        bad_file(self.out, source.scan_id).unlink(missing_ok=True)

    def _found(self, one: Unlabelled) -> tuple[Trusted, Mesh, Scan | None]:
        """The labels to learn from, the scan with these labels, and its graphs, which are None if nothing is kept."""
        config, source = self.config, one.source
        mesh = read_mesh(source.path, unit=one.unit)
        mesh = replace(mesh, scan_id=source.scan_id, jaw=mesh.jaw if source.jaw is None else source.jaw)
        found = trusted_labels(self.net, mesh, config.trust, seed=config.seed, jaws=self.jaws)
        if found.reason:
            return found, mesh, None
        stage("preparing graphs")
        mesh = replace(mesh.with_labels(found.labels), jaw=found.jaw)
        return found, mesh, prepare_scan(mesh, config.net.graph, config.variants, config.seed, config.bases)


def _teeth_file(out: Path, scan_id: str) -> Path:
    return out / "teeth" / f"{scan_id}.json"


def _say(scans: Sequence[Scan], looked_at: int, out: Path) -> None:
    """Write ``teeth.csv``, and log how many teeth are kept, and why the others are not."""
    text, count = io.StringIO(), Counter[str]()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["scan_id", "tooth", "state"])
    for scan in scans:
        teeth = json.loads(_teeth_file(out, scan.scan_id).read_text(encoding="utf-8"))
        table.writerows((scan.scan_id, *tooth) for tooth in teeth.items())
        count.update(teeth.values())
    write_text(out / TEETH, text.getvalue())
    kept = count.pop(KEPT, 0)
    why = ", ".join(f"{reason}: {number}" for reason, number in count.most_common())
    _log.info(
        "labels found on %d of %d unlabelled scans: %d teeth kept%s; see %s",
        len(scans), looked_at, kept, f", {count.total()} not ({why})" if why else "", out,
    )  # fmt: skip
