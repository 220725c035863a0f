"""Read and write a folder of prepared scans; its layout is in layout.py."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

from toothgraph.data.prepared.file import FORMAT, SUFFIX, Header, read_header, scan_of
from toothgraph.data.prepared.layout import BAD, MANIFEST, OPTIONS, QUARANTINE, SCANS
from toothgraph.data.prepared.sources import Source
from toothgraph.data.scan import Scan
from toothgraph.errors import ConfigError, DataError
from toothgraph.fdi import UNKNOWN_JAW
from toothgraph.graph.spec import GraphSpec
from toothgraph.scan_names import printable
from toothgraph.system.files import write_text
from toothgraph.system.lock import one_at_a_time

_LOCK = ".lock"
_COLUMNS = [field.name for field in fields(Header)]
_LATER = {field.name for field in fields(Header) if field.default is not MISSING}  # missing in older folders


def open_folder(out: Path, options: dict[str, Any]) -> None:
    """Create the folder, or check that it was begun with the same options.

    Raises:
        ConfigError: if it was begun with other options.
    """
    (out / SCANS).mkdir(parents=True, exist_ok=True)
    (out / BAD).mkdir(exist_ok=True)
    with one_at_a_time(out / _LOCK):  # of two runs that begin at once, the second reads what the first wrote
        if (out / OPTIONS).exists():
            _check_options(out, json.loads(json.dumps(options)))
        else:
            write_text(out / OPTIONS, json.dumps(options, indent=1) + "\n")


def _check_options(out: Path, options: dict[str, Any]) -> None:
    before = read_options(out)
    changed = [name for name, value in options.items() if before.get(name) != value]
    if changed:
        raise ConfigError(
            f"{out}: expected the options that this folder was begun with, got another {changed[0]} (before: "
            f"{before.get(changed[0])}); choose another folder"
        )


def read_options(folder: Path) -> dict[str, Any]:
    """The options of a prepared folder.

    Raises:
        DataError: if it is not a prepared folder.
    """
    try:
        content: dict[str, Any] = dict(json.loads((folder / OPTIONS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{folder / OPTIONS}: cannot be read; is it a folder of `toothgraph prepare`? ({error})"
        ) from error
    return content


def read_prepared(folder: Path, graph: GraphSpec | None = None) -> list[Scan]:
    """The scans of a prepared folder; their graphs stay on disk.

    Args:
        folder: output of :func:`toothgraph.data.prepared.build.prepare`.
        graph: the required specification of the graphs; None for any.

    Raises:
        ConfigError: if the graphs were built with another specification, or by a version with another format.
        DataError: if its manifest cannot be read, or a scan name in it is not a valid file name.
    """
    options = read_options(folder)
    if options.get("format") != FORMAT:
        raise ConfigError(
            f"{folder}: was made by another version of toothgraph ({options.get('format')}, this one has {FORMAT}); "
            "prepare the scans again, into another folder"
        )
    built = options.get("graph", {})
    needed = built if graph is None else stored_graph(graph)
    if built != needed:
        unlike = [name for name in needed if built.get(name) != needed[name]]
        has, wants = (", ".join(f"{name} {one.get(name)}" for name in unlike) for one in (built, needed))
        way = f"give the run --faces {built['faces']}, or prepare" if unlike == ["faces"] else "prepare"
        raise ConfigError(f"{folder}: its graphs have {has}, the run needs {wants}; {way} the scans again")
    return [scan_of(scan_file(folder, header.scan_id), header) for header in read_manifest(folder)]


def stored_graph(graph: GraphSpec) -> dict[str, Any]:
    """A specification of graphs in the form in which a prepared folder stores it."""
    content: dict[str, Any] = json.loads(json.dumps(asdict(graph)))
    return content


def read_manifest(folder: Path) -> list[Header]:
    """The headers of the scans of a prepared folder.

    Raises:
        DataError: if its manifest cannot be read.
    """
    try:
        with (folder / MANIFEST).open(newline="", encoding="utf-8") as stream:
            return [_header_of(row) for row in csv.DictReader(stream)]
    except (OSError, KeyError, ValueError, TypeError, csv.Error) as error:
        raise DataError(f"{folder / MANIFEST}: cannot be read ({error}); run `toothgraph prepare` again") from error


def read_quarantine(folder: Path) -> list[str]:
    """The names of the scans in quarantine."""
    try:
        with (folder / QUARANTINE).open(newline="", encoding="utf-8") as stream:
            return [row["scan_id"] for row in csv.DictReader(stream)]
    except OSError:
        return []


def _header_of(row: dict[str, str]) -> Header:
    values: dict[str, Any] = {name: row[name] for name in _COLUMNS if name in row or name not in _LATER}
    for name in ("jaw", "faces", "tessellations"):
        values[name] = int(values[name])
    values["labelled"] = {"True": True, "False": False}[values["labelled"]]
    return Header(**values)


def scan_file(folder: Path, scan_id: str) -> Path:
    """The file of a prepared scan.

    Raises:
        DataError: if no file in the folder can have this name.
    """
    file = folder / SCANS / f"{scan_id}{SUFFIX}"
    if file.parent != folder / SCANS or scan_id in ("", ".", ".."):
        raise DataError(
            f"{folder}: no file can have the name {scan_id!r} of this scan; a name is not empty, '.' or '..', and "
            "contains no '/'"
        )
    return file


def read_sources(folder: Path) -> list[Source]:
    """The scans that a prepared folder was made from, with the paths that their files had then.

    Raises:
        DataError: if its manifest cannot be read.
    """
    return [
        Source(Path(header.source), header.scan_id, header.patient, None if header.jaw == UNKNOWN_JAW else header.jaw)
        for header in read_manifest(folder)
    ]


def remove_leftovers(folder: Path, seconds: float) -> None:
    """Remove temporary files of killed processes, which were not written to for ``seconds``."""
    before = time.time() - seconds
    for file in (folder / SCANS).glob(f".*{SUFFIX}"):
        with suppress(FileNotFoundError):  # its process has finished and renamed it
            if file.stat().st_mtime < before:
                file.unlink()


def bad_file(folder: Path, scan_id: str) -> Path:
    """The file with the reason why a scan cannot be used."""
    return folder / BAD / f"{scan_id}.json"


def read_bad(file: Path) -> dict[str, str]:
    """The entry of a scan that cannot be used; empty if the file is missing or incomplete."""
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # e.g. after a full disk: the scan is read again
        return {}


def quarantine(folder: Path, source: Source, options: str, reason: str) -> None:
    """Record that a scan cannot be used, with the reason.

    Args:
        folder: the prepared folder.
        source: the scan.
        options: digest of the options with which it was tried.
        reason: one line.
    """
    try:
        digest = source.digest()
    except OSError:
        digest = ""
    entry = {"scan_id": source.scan_id, "source": str(source.path), "sha256": digest, "options": options,
             "reason": reason}  # fmt: skip
    scan_file(folder, source.scan_id).unlink(missing_ok=True)
    write_text(bad_file(folder, source.scan_id), json.dumps(entry) + "\n")


def write_lists(folder: Path, names: Collection[str]) -> None:
    """Write ``manifest.csv`` and ``quarantine.csv`` from the files in the folder; a lock allows one process at a time.

    Args:
        folder: the prepared folder.
        names: names of the scans of the data set; other files in the folder are ignored.
    """
    with one_at_a_time(folder / _LOCK):
        headers = [header for name in sorted(names) if (header := _known(scan_file(folder, name)))]
        bad = [entry for name in sorted(names) if (entry := read_bad(bad_file(folder, name)))]
        write_text(folder / MANIFEST, _table(_COLUMNS, [asdict(header) for header in headers]))
        write_text(folder / QUARANTINE, _table(["scan_id", "source", "reason"], bad))


def _known(file: Path) -> Header | None:
    """The header of a scan; None if the scan is not prepared yet, or its file is incomplete, as after a full disk.

    The run of its shard prepares such a scan.
    """
    try:
        return read_header(file) if file.exists() else None
    except DataError:
        return None


def _table(columns: list[str], rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    table.writeheader()
    table.writerows(rows)
    return printable(text.getvalue())
