"""What ``toothgraph evaluate`` writes and prints of scored scans, and what it reads from an earlier result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toothgraph.cli.terminal import say, scans_of
from toothgraph.errors import ConfigError, DataError, LabelError, ToothgraphError

if TYPE_CHECKING:
    from toothgraph.cli.scoring import Parts, Result


def read_scores(file: Path) -> dict[str, Any]:
    """The content of a file that an earlier ``evaluate`` wrote.

    Raises:
        ConfigError: if the file is something else, or a score is not a number.
    """
    from toothgraph.metrics.definitions import FLAT

    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
        rows = [{**row, "scan_id": str(row["scan_id"])} for row in content["per_scan"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{file}: expected what `toothgraph evaluate` writes to --out, found no `per_scan`"
        ) from error
    for row in rows:
        for key in FLAT:
            if not isinstance(row.get(key), int | float | None):
                raise ConfigError(f"{file}: expected a number as `{key}` of {row['scan_id']}, found {row[key]!r}")
    return {**content, "per_scan": rows}


def check_label_systems(rows: Sequence[Mapping[str, Any]], predictions: Path | None) -> None:
    """Check that the numbers of all scans look like one label system.

    A scan may lack the teeth that tell its label system, so that different systems are guessed for one set of scans.
    For the true labels this gives a warning, for the labels of a folder of predictions an error.

    Args:
        rows: rows of the scans; ``guessed_true_system`` and ``guessed_system`` are the label systems that were guessed.
        predictions: the folder of predictions.

    Raises:
        LabelError: if the predictions look like several label systems.
    """
    from toothgraph.io.label_systems import told_apart, warn_of_several_systems

    warn_of_several_systems((row["scan_id"], row.get("guessed_true_system", "")) for row in rows)
    if like := told_apart((row["scan_id"], row.get("guessed_system", "")) for row in rows):
        raise LabelError(
            f"{predictions}: expected labels of one label system, but the numbers look {like}; name the system with "
            "--predictions-label-system"
        )


def scores_of(results: list[Result], patients: Mapping[str, str], scored_is: dict[str, Any]) -> dict[str, Any]:
    """The content of the file of scores.

    Args:
        results: the results of the scans.
        patients: the patient of each scan, by file.
        scored_is: what is scored, as entries of the file.
    """
    from toothgraph.evaluation import report
    from toothgraph.metrics.definitions import METRICS
    from toothgraph.metrics.intervals import intervals
    from toothgraph.system import provenance

    found = report([result.scored for result in results if result.scored])
    of_scored = [patients[result.file] for result in results if result.scored]
    found["per_scan"] = [{**row, "patient": patient} for row, patient in zip(found["per_scan"], of_scored, strict=True)]
    return {
        "scores": found["scores"],
        "intervals": intervals(found["per_scan"]),
        **found,
        "failures": [{"file": result.file, "error": result.error} for result in results if not result.scored],
        "definitions": METRICS,
        **scored_is,
        "evaluated": provenance.facts(),
    }


def write_scores(out: Path, content: dict[str, Any], parts: Parts) -> None:
    """Write the scores of all scans, and print the means.

    Args:
        out: JSON file.
        content: the content of the file.
        parts: where the results were kept; removed here.

    Raises:
        DataError: if no scan could be scored.
        ToothgraphError: if some scans could not be scored; the scores of the others are written before.
    """
    from toothgraph.system.files import write_text

    rows, failures = content["per_scan"], content["failures"]
    if not rows:
        parts.remove()
        raise DataError(f"none of {scans_of(len(failures))} could be scored; see above")
    write_text(out, json.dumps(content, indent=1) + "\n")
    parts.remove()
    _say_means(content)
    say(f"{scans_of(len(rows))} scored -> {out}")
    if found := sum(row["labels"].startswith("found") for row in rows):
        say(
            f"Warning: a model found the true labels of {found} of them: their scores tell how well the scored labels "
            "agree with that model, not how good they are", err=True,
        )  # fmt: skip
    if failures:
        raise ToothgraphError(
            f"{len(failures)} of {scans_of(len(rows) + len(failures))} could not be scored; see above"
        )


def _say_means(content: dict[str, Any]) -> None:
    """Print the means with their intervals, and the comparison with another result if there is one."""
    patients = len({row["patient"] for row in content["per_scan"]})
    between = content["intervals"]
    for key, value in content["scores"].items():
        if not isinstance(value, dict) and value is not None:
            limits = f"  {between[key][0]:.4f} to {between[key][1]:.4f}" if between[key] else ""
            say(f"{key:>15} {value:.4f}{limits}")
    mean = f"mean over scans, and its 95 % interval over {patients} patients"
    say(f"{'':>15} {mean if patients > 1 else 'mean over scans of one patient, so there is no 95 % interval'}")
    if (other := content.get("against")) is None:
        return
    if other["unlike"]:
        say(
            f"Warning: {scans_of(other['unlike'])} in {other['file']} have the name of a scan here, but another "
            "patient, number of faces or surface; they are not compared", err=True,
        )  # fmt: skip
    say(f"against {other['file']}, on {scans_of(other['scans'])} that both have:")
    say(f"{'':>15}   this  other  difference")
    for key, each in other["scores"].items():
        limits = each["interval"]
        sure = f"  {limits[0]:+.4f} to {limits[1]:+.4f}" if limits else ""
        say(f"{key:>15} {each['this']:.4f} {each['other']:.4f}  {each['difference']:+.4f}{sure}")
