"""Model files: safetensors with a JSON header that describes the network."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from toothgraph import weights
from toothgraph._version import __version__
from toothgraph.config import updated
from toothgraph.errors import CheckpointError, ConfigError, ShapeError, kind_of, with_article
from toothgraph.model.config import NetConfig, check_net
from toothgraph.model.crowns import CrownNet
from toothgraph.model.nets import ContrastiveNet, SegmentationNet
from toothgraph.system import provenance
from toothgraph.system.files import atomic_path

CROWNS = "crowns."  # prefix of the names of the tensors of a CrownNet
_FORMAT = "toothgraph-model-1"
Net = TypeVar("Net", ContrastiveNet, SegmentationNet)
_NETS = {"pretrained": ContrastiveNet, "segmentation": SegmentationNet}


@dataclass(frozen=True)
class ModelFile:
    """The content of a model file.

    Attributes:
        path: the file.
        kind: ``pretrained`` or ``segmentation``.
        net: the network configuration.
        header: all other information (seed, steps, scans, versions).
        tensors: weights by name.
    """

    path: Path
    kind: str
    net: NetConfig
    header: dict[str, Any]
    tensors: dict[str, Tensor]


def make_net(kind: type[Net], config: NetConfig) -> Net:
    """Build a new network.

    Raises:
        ConfigError: if the configuration is invalid; errors of torch become this error, too.
    """
    check_net(config)
    try:
        return kind(config)
    except (ValueError, RuntimeError, TypeError, IndexError, ZeroDivisionError, AssertionError) as error:
        raise ConfigError(f"cannot build a net with these options: {error}; check [net] ({config})") from error


def save_model(path: Path, net: ContrastiveNet | SegmentationNet, header: dict[str, Any]) -> None:
    """Write a network with its configuration to a model file, atomically.

    Args:
        path: the file.
        net: the network; its class gives the kind of the file.
        header: further information (seed, steps, scans, versions), stored as JSON. The names ``format``, ``kind`` and
            ``net`` are taken; ``toothgraph``, of a header that was read, becomes the present version.

    Raises:
        ShapeError: for any other net, also one made by ``torch.compile``: a file can only hold nets of this package.
        ConfigError: if the header has one of these names, or a value that JSON cannot hold.
    """
    kind = next((name for name, cls in _NETS.items() if type(net) is cls), None)
    if kind is None:
        raise ShapeError(
            f"expected {' or '.join(with_article(cls.__name__) for cls in _NETS.values())}, got {kind_of(net)}; of "
            "what torch.compile makes, give the net itself, net._orig_mod"
        )
    content = {"format": _FORMAT, "kind": kind, "net": dataclasses.asdict(net.config)}
    if taken := sorted(content.keys() & header.keys()):
        raise ConfigError(f"expected a header with other names than {', '.join(content)}, got {', '.join(taken)}")
    try:
        metadata = json.dumps({**content, **header, "toothgraph": __version__})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"expected a header that JSON can hold, got one it cannot: {error}") from error
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in net.state_dict().items()}
    with atomic_path(path) as temporary:
        # not save_file, because only the owner could read its file
        temporary.write_bytes(save(tensors, metadata={"toothgraph": metadata}))


def read_model(path: str | Path) -> ModelFile:
    """Read a model file. No code in the file is executed.

    Args:
        path: file or run folder; ``default`` means the weights in the package, unless a file of that name exists.

    Raises:
        CheckpointError: if the file is missing or damaged, or is not a model file.
    """
    file = weights.model_file(path)
    if file.suffix == ".ckpt":
        raise CheckpointError(
            f"{file}: the state of a training, not a model; give {weights.MODEL_FILE} or the run folder"
        )
    try:
        with safe_open(file, framework="pt", device="cpu") as content:
            metadata = content.metadata() or {}
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file}: expected a complete safetensors file ({error}); copy it again") from error
    try:
        header = json.loads(metadata["toothgraph"])
        if header.pop("format") != _FORMAT or header["kind"] not in _NETS:
            raise KeyError("format")
        net = updated(NetConfig(), header.pop("net"), str(file))
    except (KeyError, TypeError, ValueError, AttributeError, ConfigError) as error:
        raise CheckpointError(
            f"{file}: expected the header of a model of this toothgraph version, found another ({error})"
        ) from error
    return ModelFile(file, header.pop("kind"), net, header, tensors)


def load_model(path: str | Path = weights.DEFAULT) -> SegmentationNet:
    """Load a trained segmentation network in evaluation mode; by default the network in the package.

    Args:
        path: see :func:`read_model`.

    Raises:
        CheckpointError: see :func:`load_segmentation`.

    Example:
        >>> net = load_model()  # the one in the package
        >>> net.config.graph.k
        12
    """
    return load_segmentation(path)[0]


def load_segmentation(path: str | Path) -> tuple[SegmentationNet, ModelFile]:
    """Load a trained segmentation network in evaluation mode, with the content of its file.

    Args:
        path: see :func:`read_model`.

    Raises:
        CheckpointError: see :func:`read_model`; also if the network is only pre-trained, or its tensors do not match.

    Example:
        >>> from toothgraph.weights import DEFAULT
        >>> net, file = load_segmentation(DEFAULT)
        >>> type(net).__name__, net.training
        ('SegmentationNet', False)
    """
    file = read_model(path)
    if file.kind != "segmentation":
        raise CheckpointError(
            f"{file.path}: contains a pre-trained backbone, not a segmentation net; "
            "run `toothgraph finetune --init` with it first"
        )
    try:
        net = make_net(SegmentationNet, file.net)
        if any(name.startswith(CROWNS) for name in file.tensors):
            net.crowns = CrownNet()
        net.load_state_dict(file.tensors)
    except (ConfigError, RuntimeError) as error:
        raise CheckpointError(f"{file.path}: its tensors do not match its header ({_first_line(error)})") from error
    name = weights.DEFAULT if file.path == weights.FILE else file.path
    net.source = f"{name} (sha256 {provenance.sha256(file.path)[:12]})"
    return net.eval(), file


@cache
def default_crowns() -> CrownNet:
    """The crown network of the weights in the package, for nets that have none of their own."""
    crowns = load_model().crowns
    assert crowns is not None
    return crowns


def load_backbone(net: SegmentationNet, file: ModelFile) -> tuple[int, list[str]]:
    """Copy the backbone of ``file`` into ``net``, and also all matching tensors of the head.

    Returns:
        The number of loaded tensors, and the names of tensors of ``net`` that were not loaded.

    Raises:
        CheckpointError: if a tensor of the backbone is missing or has another shape.
    """
    own = net.state_dict()
    fitting = {name: tensor for name, tensor in file.tensors.items() if name in own and own[name].shape == tensor.shape}
    missing = [name for name in own if name not in fitting]
    backbone = [name for name in missing if name.startswith("backbone.")]
    if backbone:
        raise CheckpointError(
            f"{file.path}: {len(backbone)} backbone tensors are missing or of another shape, e.g. {backbone[0]}; use "
            "the [net] options of this file"
        )
    net.load_state_dict(fitting, strict=False)
    return len(fitting), missing


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[min(1, len(lines) - 1)] if lines else type(error).__name__
