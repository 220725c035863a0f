"""Model files: tensors in safetensors, with a JSON header that says how to build the net."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

import toothgraph
from toothgraph import weights
from toothgraph.errors import CheckpointError, ConfigError
from toothgraph.files import atomic_path
from toothgraph.nn.model import ContrastiveNet, NetConfig, SegmentationNet
from toothgraph.training.config import check_net, updated

MODEL_FILE = "model.safetensors"
_FORMAT = "toothgraph-model-1"
Net = TypeVar("Net", ContrastiveNet, SegmentationNet)
_NETS = {"pretrained": ContrastiveNet, "segmentation": SegmentationNet}


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds.

    Attributes:
        path: the file.
        kind: ``pretrained`` or ``segmentation``.
        net: the network's shape.
        header: everything else that was said of it (seed, steps, scans, versions).
        tensors: by name.
    """

    path: Path
    kind: str
    net: NetConfig
    header: dict[str, Any]
    tensors: dict[str, Tensor]


def make_net(kind: type[Net], config: NetConfig) -> Net:
    """A new net.

    Raises:
        ConfigError: if no net has this shape, whatever it is that torch says of it.
    """
    check_net(config)
    try:
        return kind(config)
    except (ValueError, RuntimeError, TypeError, IndexError, ZeroDivisionError, AssertionError) as error:
        raise ConfigError(f"cannot build a net of these options: {error}; check [net] ({config})") from error


def save_model(path: Path, net: ContrastiveNet | SegmentationNet, header: dict[str, Any]) -> None:
    """Write a net with its configuration, atomically."""
    kind = next(name for name, cls in _NETS.items() if type(net) is cls)
    content = {
        "format": _FORMAT,
        "kind": kind,
        "net": dataclasses.asdict(net.config),
        "toothgraph": toothgraph.__version__,
        **header,
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    with atomic_path(path) as temporary:
        # not save_file, which leaves a file that only its owner may read
        temporary.write_bytes(save(tensors, metadata={"toothgraph": json.dumps(content)}))


def read_model(path: str | Path) -> ModelFile:
    """Read a model file, the one in a run folder, or the one in the package. Nothing in the file is executed.

    Args:
        path: file or run folder; ``default`` stands for the weights that come with the package, unless something of
            that name is there.

    Raises:
        CheckpointError: if there is none, or it is damaged or of another kind.
    """
    path = weights.FILE if str(path) == weights.DEFAULT and not Path(path).exists() else Path(path)
    file = path / MODEL_FILE if path.is_dir() else path
    if not file.is_file():
        hint = " (has its training finished?)" if path.is_dir() else ""
        raise CheckpointError(f"{file}: no such model file{hint}")
    if file.suffix == ".ckpt":
        raise CheckpointError(f"{file}: the state of a training, not a model; give {MODEL_FILE} or the run folder")
    try:
        with safe_open(file, framework="pt", device="cpu") as content:
            metadata = content.metadata() or {}
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file}: not a whole safetensors file ({error})") from error
    try:
        header = json.loads(metadata["toothgraph"])
        if header.pop("format") != _FORMAT or header["kind"] not in _NETS:
            raise KeyError("format")
        net = updated(NetConfig(), header.pop("net"), str(file))
    except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
        raise CheckpointError(
            f"{file}: its header is not one of a model of this version of toothgraph ({error})"
        ) from error
    return ModelFile(file, header.pop("kind"), net, header, tensors)


def load_model(path: str | Path = weights.DEFAULT) -> SegmentationNet:
    """A trained segmentation net, in evaluation mode; by default the one that comes with the package.

    Args:
        path: see :func:`read_model`.

    Raises:
        CheckpointError: see :func:`load_segmentation`.
    """
    return load_segmentation(path)[0]


def load_segmentation(path: str | Path) -> tuple[SegmentationNet, ModelFile]:
    """A trained segmentation net, in evaluation mode, with what its file says of it.

    Args:
        path: see :func:`read_model`.

    Raises:
        CheckpointError: if there is none, or it was only pre-trained.
    """
    file = read_model(path)
    if file.kind != "segmentation":
        raise CheckpointError(
            f"{file.path}: holds a pre-trained backbone, not a segmentation net; "
            "run `toothgraph finetune --init` on it first"
        )
    try:
        net = make_net(SegmentationNet, file.net)
        net.load_state_dict(file.tensors)
    except (ConfigError, RuntimeError) as error:
        raise CheckpointError(f"{file.path}: its tensors do not fit its header ({_first_line(error)})") from error
    return net.eval(), file


def load_backbone(net: SegmentationNet, file: ModelFile) -> tuple[int, list[str]]:
    """Copy what ``file`` has into ``net``: the backbone, and the head too where it has one that fits.

    Returns:
        How many tensors were loaded, and the names of those of ``net`` that were not there.

    Raises:
        CheckpointError: if a tensor of the backbone is missing or of another shape.
    """
    own = net.state_dict()
    fitting = {name: tensor for name, tensor in file.tensors.items() if name in own and own[name].shape == tensor.shape}
    missing = [name for name in own if name not in fitting]
    backbone = [name for name in missing if name.startswith("backbone.")]
    if backbone:
        raise CheckpointError(
            f"{file.path}: {len(backbone)} backbone tensors are missing or of another shape, e.g. {backbone[0]}"
        )
    net.load_state_dict(fitting, strict=False)
    return len(fitting), missing


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[min(1, len(lines) - 1)] if lines else type(error).__name__
