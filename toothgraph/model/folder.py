"""Write a model as a folder that can be shared, in the layout of the Hugging Face Hub.

===================  ==================================================================
config.json          what the net is, for programs
model.safetensors    the model file, byte by byte
README.md            a card for people, with a block of metadata
===================  ==================================================================

Only ``model.safetensors`` is read again; its header has all information.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from toothgraph import weights
from toothgraph.errors import CheckpointError, ConfigError
from toothgraph.fdi import FDI_OF_CLASS
from toothgraph.model.file import ModelFile, read_model
from toothgraph.scan_names import learned_from, patient_of
from toothgraph.system import provenance
from toothgraph.system.files import atomic_path, check_folder, write_text
from toothgraph.weights import CONFIG_FILE, MODEL_FILE, MODEL_TYPE, is_export

CARD_FILE = "README.md"
_CLASSES = {"segmentation": "SegmentationNet", "pretrained": "ContrastiveNet"}
_WHAT = {
    "segmentation": """\
A net that gives every face and vertex of an intraoral scan the FDI number of its tooth, or gingiva, for the Python
package `toothgraph`. Its labels are to be reviewed by a person. FOLDER is where this file lies:

```sh
toothgraph predict scan_upper.stl --model FOLDER --out labelled
```
""",
    "pretrained": """\
A backbone for intraoral scans, pre-trained without labels, for the Python package `toothgraph`: a start for training.
FOLDER is where this file lies:

```sh
toothgraph finetune my-scans --out runs/fine --init FOLDER
```
""",
}
_FROM_DEFAULT = """\
The weights in the package have their own terms. These terms also apply to this model if its training started from
these weights. They also apply if the network that finds teeth by the shape of their crowns comes from these weights;
it does, unless the model was trained with `crowns = "train"`.
"""
_TAGS = ("dentistry", "intraoral-scan", "mesh-segmentation", "graph-neural-network", "pytorch-geometric")


def export_folder(
    model: str | Path, folder: Path, licence: str = "unknown", scores: Mapping[str, Any] | None = None
) -> ModelFile:
    """Write a model as a folder.

    Args:
        model: see :func:`toothgraph.model.file.read_model`; it may also be a pre-trained backbone.
        folder: the folder to write; an earlier export in it is replaced.
        licence: the licence of the weights, an identifier of the Hub such as ``mit`` or ``cc-by-nc-4.0``.
        scores: the scores of this model, the content of the file that ``toothgraph evaluate`` writes.

    Returns:
        The model that was exported.

    Raises:
        CheckpointError: if the model cannot be read, or the scores are of another model.
        ConfigError: if the folder has files of these names that are not from an export, or the scores are not the
            content of such a file.
    """
    file = read_model(model)
    if scores is not None:
        _check_scores(scores, file)
    check_folder(folder)
    there = [name for name in (CONFIG_FILE, MODEL_FILE, CARD_FILE) if (folder / name).exists()]
    if there and not is_export(folder):
        raise ConfigError(f"{folder}: contains a {there[0]} that no export wrote; choose another folder, or remove it")
    with atomic_path(folder / MODEL_FILE) as temporary:
        temporary.write_bytes(file.path.read_bytes())
    write_text(folder / CONFIG_FILE, json.dumps(_config(file), indent=2) + "\n")
    write_text(folder / CARD_FILE, card(file, folder.resolve().name, licence, scores))
    return file


def _config(file: ModelFile) -> dict[str, Any]:
    content: dict[str, Any] = {
        "model_type": MODEL_TYPE,
        "architectures": [_CLASSES[file.kind]],
        "toothgraph": file.header.get("toothgraph"),
        "kind": file.kind,
        "net": dataclasses.asdict(file.net),
    }
    if file.kind == "segmentation":
        content["id2label"] = {
            str(column): str(fdi) if fdi else "gingiva" for column, fdi in enumerate(FDI_OF_CLASS.tolist())
        }
    return content


def _of_known_patients(file: ModelFile, scores: Mapping[str, Any]) -> int:
    """The number of scored scans whose patients, by their names, the model has learned from."""
    learned = learned_from(file.header)
    return sum(
        str(row.get("patient") or patient_of(str(row.get("scan_id", "")))) in learned for row in scores["per_scan"]
    )


def _check_scores(scores: Mapping[str, Any], file: ModelFile) -> None:
    model = scores.get("model")
    if not isinstance(model, dict) or not isinstance(scores.get("scores"), dict) or "per_scan" not in scores:
        raise ConfigError("the scores: expected the file that `toothgraph evaluate` writes of a model, found another")
    if model.get("sha256") != (digest := provenance.sha256(file.path)):
        raise CheckpointError(
            f"the scores are of another model: of {model.get('file')} (sha256 {str(model.get('sha256'))[:12]}); "
            f"{file.path} has {digest[:12]}"
        )


def card(file: ModelFile, name: str, licence: str, scores: Mapping[str, Any] | None) -> str:
    """The model card: a block of metadata in YAML, then a text for people.

    Args:
        file: the model.
        name: the name of the model.
        licence, scores: see :func:`export_folder`.
    """
    metadata: dict[str, Any] = {"license": licence, "library_name": MODEL_TYPE, "tags": list(_TAGS)}
    known = _of_known_patients(file, scores) if scores is not None else 0
    if scores is not None and not known:  # the Hub compares nets by these
        metadata["metrics"] = list(_single(scores))
        metadata["model-index"] = [{"name": name, "results": [_result(scores)]}]
    parts = [
        "---",
        *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in metadata.items()),  # JSON is YAML
        f"---\n\n# {name}\n",
        _WHAT[file.kind],
        "## How it was made\n",
        _table(("", ""), how_made(file).items()),
    ]
    if scores is not None:
        rows = [(f"`{key}`", f"{value:.4f}", scores.get("definitions", {}).get(key, ""))
                for key, value in _single(scores).items()]  # fmt: skip
        parts += [f"## Scores\n\nOn {_scans(scores)}, by `toothgraph evaluate`:\n"]
        if known:
            parts.append(f"By their names, the model has learned from the patients of {known} of these scans. So the "
                         "scores do not tell how good it is on others.\n")  # fmt: skip
        parts += [_table(("score", "mean over scans", "what it is"), rows)]
    parts += [f"## Terms\n\nLicence of these weights: {licence}. For research. Not a medical device.\n"]
    parts += [] if file.path == weights.FILE else [_FROM_DEFAULT]
    return "\n".join([*parts, *(f"> {line}" for line in weights.notice().splitlines())]) + "\n"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def how_made(file: ModelFile) -> dict[str, str]:
    """What the header says about the training, without the names of scans and patients."""
    header, trained = file.header, file.header.get("trained") or {}
    graph = file.net.graph
    known = {
        "net": f"{file.net.kind}, graphs of {graph.faces} faces with {graph.k} neighbours",
        "weights": f"{sum(tensor.numel() for tensor in file.tensors.values()):,}",
        "trained on": header.get("data") or (f"{len(header['train'])} scans" if "train" in header else None),
        "started from": Path(header["init"]).name if header.get("init") else None,  # a path may name a person
        "steps": header.get("steps"),
        "seed": header.get("seed"),
        "toothgraph": header.get("toothgraph"),
        "trained": str(trained.get("date", ""))[:10] or None,
    }
    return {key: str(value) for key, value in known.items() if value is not None}


def _single(scores: Mapping[str, Any]) -> dict[str, float]:
    """The scores that are a single number."""
    return {key: value for key, value in scores["scores"].items() if isinstance(value, int | float)}


def _scans(scores: Mapping[str, Any]) -> str:
    count = len(scores["per_scan"])
    return f"{count} intraoral scan{'s' * (count != 1)}"


def _result(scores: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "task": {"type": "mesh-segmentation", "name": "Tooth segmentation"},
        "dataset": {"type": "intraoral-scans", "name": _scans(scores)},
        "metrics": [{"type": key, "name": key, "value": value} for key, value in _single(scores).items()],
    }
