"""Labels that a teacher finds on unlabelled scans: a prepared folder of those that may be learned from.

quarantine.csv    the scans of which nothing is kept, and why
teeth.csv         each tooth found on the others: whether it is kept, or why not
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

from toothgraph._version import __version__
from toothgraph.data.prepared.build import PrepareOptions, digest_of, done_before, reason_of
from toothgraph.data.prepared.file import Header, save_scan
from toothgraph.data.prepared.folder import (
    bad_file,
    open_folder,
    quarantine,
    read_options,
    read_prepared,
    read_sources,
    scan_file,
    write_lists,
)
from toothgraph.data.prepared.layout import is_prepared
from toothgraph.data.prepared.sources import Source, find_sources
from toothgraph.data.scan import Scan, prepare_scan
from toothgraph.errors import DataError, MemoryShortage, ToothgraphError
from toothgraph.inference.trust import KEPT, trusted_labels
from toothgraph.io.read import read_mesh
from toothgraph.mesh.label_origin import FOUND, LabelOrigin
from toothgraph.model.file import load_segmentation
from toothgraph.model.nets import SegmentationNet
from toothgraph.stages import stage
from toothgraph.system import provenance
from toothgraph.system.files import write_text
from toothgraph.system.memory import named_shortage
from toothgraph.system.progress import Display
from toothgraph.training.config import FinetuneConfig
from toothgraph.training.run import device_of

_log = logging.getLogger("toothgraph")
TEETH = "teeth.csv"


@dataclass(frozen=True)
class Unlabelled:
    """A scan to be labelled: where it is, and the unit of length in its file."""

    source: Source
    unit: str = "mm"


def find_unlabelled(paths: Sequence[Path], unit: str = "mm") -> list[Unlabelled]:
    """The scans in files, folders and lists; of a prepared folder, the files that it was made from.

    Prepared graphs themselves are too coarse: the whole of prediction looks at a scan's teeth from near.

    Raises:
        DataError: if a path does not exist.
    """
    raw = [path for path in paths if not is_prepared(path)]
    found = [Unlabelled(source, unit) for source in (find_sources(raw) if raw else [])]
    for path in filter(is_prepared, paths):
        found += [Unlabelled(source, str(read_options(path)["unit"])) for source in read_sources(path)]
    return list({one.source.scan_id: one for one in found}.values())


def left_over(unlabelled: Sequence[Unlabelled], labelled: Collection[Scan], val: Collection[str]) -> list[Unlabelled]:
    """Those without a scan of the same name that has labels, and of no patient who validates."""
    names = {scan.scan_id for scan in labelled}
    return [one for one in unlabelled if one.source.patient not in val and one.source.scan_id not in names]


def find_labels(
    unlabelled: Sequence[Unlabelled], teacher: Path, name: str, out: Path, config: FinetuneConfig
) -> list[Scan]:
    """Label scans by a teacher, and prepare those with teeth that may be learned from.

    What was labelled before the work was stopped is not labelled again. A scan that cannot be read stops nothing.

    Args:
        unlabelled: the scans.
        teacher: its model file.
        name: what the origin of the labels calls it.
        out: the prepared folder.
        config: what the graphs are to be like, and what a tooth must reach (``trust``).

    Returns:
        The prepared scans.

    Raises:
        DataError: if nothing can be learned from any scan.
        ConfigError: if the folder was begun with another teacher or other options.
        MemoryShortage: if a scan needs more memory than there is.
    """
    net, file = load_segmentation(teacher)
    net = net.to(device_of(config.device))
    options = PrepareOptions(config.net.graph, config.variants, config.bases, config.seed)
    content = {**options.content(), "teacher": provenance.sha256(file.path), "trust": asdict(config.trust)}
    digest = digest_of(content)
    open_folder(out, content)
    with Display("labelling", len(unlabelled)) as display:
        for one in unlabelled:
            display.begin(one.source.scan_id)
            if done_before(out, one.source, digest) is None:
                _label(one, net, LabelOrigin(FOUND, name), out, config, digest)
            display.advance()
    write_lists(out, [one.source.scan_id for one in unlabelled])
    scans = read_prepared(out)
    _say(scans, len(unlabelled), out)
    if not scans:
        raise DataError(f"none of the {len(unlabelled)} unlabelled scans has labels to learn from; see {out}")
    return scans


def _label(
    one: Unlabelled, net: SegmentationNet, origin: LabelOrigin, out: Path, config: FinetuneConfig, options: str
) -> None:
    """Label a scan, and keep its graphs, or the reason why not."""
    source = one.source
    try:
        with named_shortage(source.path):
            mesh = read_mesh(source.path, unit=one.unit)
            jaw = mesh.jaw if source.jaw is None else source.jaw
            mesh = replace(mesh, scan_id=source.scan_id, jaw=jaw)
            found = trusted_labels(net, mesh, config.trust, seed=config.seed)
            if found.reason:
                quarantine(out, source, options, found.reason)
                return
            stage("preparing graphs")
            mesh = replace(mesh.with_labels(found.labels), jaw=found.jaw)
            scan = prepare_scan(mesh, config.net.graph, config.variants, config.seed, config.bases)
    except MemoryShortage:  # all following scans would fail, too
        raise
    except (ToothgraphError, OSError) as error:
        reason = reason_of(source, error)
        _log.warning("left out: %s", reason)
        quarantine(out, source, options, reason)
        return
    write_text(_teeth_file(out, source.scan_id), json.dumps(found.teeth) + "\n")
    header = Header(
        source.scan_id, source.patient, str(source.path), source.digest(), options, mesh.jaw, len(mesh.faces),
        True, len(scan.variants), __version__, origin.kind, origin.model,
    )  # fmt: skip
    save_scan(scan_file(out, source.scan_id), replace(scan, patient=source.patient), header)
    bad_file(out, source.scan_id).unlink(missing_ok=True)


def _teeth_file(out: Path, scan_id: str) -> Path:
    return out / "teeth" / f"{scan_id}.json"


def _say(scans: Sequence[Scan], looked_at: int, out: Path) -> None:
    """Write ``teeth.csv``, and say how much is kept, and why the rest is not."""
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
