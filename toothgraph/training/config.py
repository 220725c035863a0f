"""Every option of a training run, its default, and the presets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from toothgraph.config import updated
from toothgraph.errors import ConfigError
from toothgraph.graph.spec import GraphSpec
from toothgraph.inference.trust import Trust
from toothgraph.model.config import NetConfig, check_net
from toothgraph.training.ranges import check_values
from toothgraph.transforms.augment import STILL, Augmentation
from toothgraph.transforms.removal import NOTHING_REMOVED, Removal
from toothgraph.transforms.views import ViewOptions
from toothgraph.transforms.warp_teeth import Warps

Config = TypeVar("Config", bound="TrainingConfig")


@dataclass(frozen=True)
class TrainingConfig:
    """Options that pre-training and fine-tuning share.

    Attributes:
        net: the network and its graphs.
        seed: seed of initialisation, order and augmentation.
        steps: optimiser steps.
        epochs: passes over the scans; if given, they determine the number of steps.
        batch: scans per step.
        variants: tessellations per scan.
        bases: how many of the tessellations get a model base, see :func:`toothgraph.synthetic.model_base.with_base`.
        lr: highest learning rate.
        weight_decay: weight decay; biases and norms do not decay.
        optimizer: ``adamw``, ``adam`` or ``sgd`` (momentum 0.9).
        schedule: ``warmup`` (rises for a tenth of the steps, then falls to zero as a cosine), ``cosine`` (falls to a
            hundredth) or ``decay`` (×0.99 every 1000 steps).
        clip: largest norm of the gradient; 0 for no limit.
        val_fraction: share of the patients to validate on, if no split file names them.
        workers: processes that load samples.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: ``32``, ``bf16`` or ``16``.
        devices: GPUs (or processes on a CPU) per machine; each takes ``batch`` scans per step.
        nodes: number of machines.
        accumulate: batches per step, computed one after another.
        deterministic: let torch use only operations that give the same result every time.
        checkpoint_every: steps between two writes of ``last.ckpt``.
        validate_every: steps between two validations.
        log_every: steps between two rows of ``metrics.csv``.
    """

    net: NetConfig = field(default_factory=NetConfig)
    seed: int = 0
    steps: int = 1000
    epochs: int | None = None
    batch: int = 2
    variants: int = 5
    bases: int = 2
    lr: float = 2e-3
    weight_decay: float = 1e-2
    optimizer: str = "adamw"
    schedule: str = "warmup"
    clip: float = 1.0
    val_fraction: float = 0.2
    workers: int = 0
    device: str = "auto"
    precision: str = "32"
    devices: int = 1
    nodes: int = 1
    accumulate: int = 1
    deterministic: bool = False
    checkpoint_every: int = 100
    validate_every: int = 200
    log_every: int = 10


@dataclass(frozen=True)
class PretrainConfig(TrainingConfig):
    """Options of pre-training.

    Attributes:
        temperature: number by which similarities are divided, see :func:`toothgraph.nn.info_nce`.
        normalize: whether embeddings are first scaled to length one.
        symmetric: whether both views serve as anchors.
        negatives: ``scan`` (the other pairs of the same scan) or ``batch`` (the other pairs of all scans).
        exclude_radius: mm; pairs closer to the anchor are not negatives; 0 excludes no pair.
        views: how the two views are drawn.
    """

    steps: int = 600
    temperature: float = 0.1
    normalize: bool = True
    symmetric: bool = True
    negatives: str = "scan"
    exclude_radius: float = 1.5
    views: ViewOptions = field(default_factory=ViewOptions)


@dataclass(frozen=True)
class FinetuneConfig(TrainingConfig):
    """Options of fine-tuning.

    Attributes:
        label_fraction: share of the training patients whose labels are used.
        dice_weight: weight of the Dice loss that is added to the cross-entropy, see
            :func:`toothgraph.nn.segmentation_loss`.
        label_smoothing: share of the cross-entropy that is spread over all classes.
        boundary_weight: extra weight in the cross-entropy of nodes with a neighbour of another class.
        backbone_rate: learning rate of a pre-trained backbone, as a share of ``lr``; a new backbone learns at ``lr``.
        average: decay of a moving average of the weights, which is then validated and saved; 0 for no average.
        jaw_dropout: probability that the net is not told the jaw, so that it also learns without it.
        cuts: probabilities that parts of a scan are removed.
        warps: probabilities that teeth of a scan are changed: prepared, scan bodies, other sizes, brackets.
        crowns: network that finds teeth by their shape, see :class:`toothgraph.model.crowns.CrownNet`: ``adapt`` adapts
            the one of ``init``, or else the one of the weights in the package, to the labels; ``keep`` takes it
            unchanged; ``train`` trains a new one.
        crown_steps: optimiser steps for that network; no more than ``steps``.
        augmentation: strength of each augmentation.
        rounds: rounds of self-training, if there are unlabelled scans, see
            :func:`toothgraph.training.self_training.self_train`.
        trust: limits that labels found by a teacher must reach.
    """

    steps: int = 2400
    lr: float = 3e-3
    label_fraction: float = 1.0
    dice_weight: float = 0.5
    label_smoothing: float = 0.0
    boundary_weight: float = 0.0
    backbone_rate: float = 0.1
    average: float = 0.0
    jaw_dropout: float = 0.5
    cuts: Removal = field(default_factory=Removal)
    warps: Warps = field(default_factory=Warps)
    crowns: str = "adapt"
    crown_steps: int = 800
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(rotation=30.0, mirror=0.5))
    rounds: int = 2
    trust: Trust = field(default_factory=Trust)


_PAPER_NET = NetConfig(kind="paper", graph=GraphSpec(faces=20_000, k=0, spacings=()), dropout=0.4)

PRETRAIN_PRESETS = {
    "default": PretrainConfig(),
    # He et al., MIDL 2022, section 3: 20 epochs, batches of 4 scans, 10,000 faces per view.
    "paper": PretrainConfig(
        net=_PAPER_NET, epochs=20, batch=4, lr=1e-3, weight_decay=1e-4, optimizer="adam", schedule="decay",
        bases=0, clip=0.0, temperature=0.4, normalize=False, symmetric=False, exclude_radius=0.0,
        views=ViewOptions(min_share=0.4, max_share=0.7, augmentation=replace(STILL, rotation=180.0)),
    ),
}  # fmt: skip

FINETUNE_PRESETS = {
    "default": FinetuneConfig(),
    "paper": FinetuneConfig(
        net=_PAPER_NET, epochs=400, batch=4, variants=1, lr=0.1, weight_decay=1e-4, optimizer="sgd",
        schedule="cosine", clip=0.0, dice_weight=0.0, label_smoothing=0.2, backbone_rate=1.0,
        bases=0, jaw_dropout=0.0, cuts=NOTHING_REMOVED, augmentation=STILL,
    ),
}  # fmt: skip


def make_config(
    presets: dict[str, Config], preset: str, layers: Sequence[tuple[str, dict[str, Any]]], also: Sequence[str] = ()
) -> Config:
    """Configuration from a preset and layers of options, where each layer overrides those before it.

    Each layer has a name for error messages. A layer that sets ``steps`` without ``epochs`` removes the ``epochs`` set
    before it. ``also`` are names that a layer may have had besides, for errors.

    Raises:
        ConfigError: for an unknown preset or option, or a value of the wrong kind or out of its range.

    Example:
        >>> own = {"steps": 100, "augmentation": {"mirror": 0.5}}
        >>> config = make_config(FINETUNE_PRESETS, "default", [("my options", own)])
        >>> config.steps, config.augmentation.mirror, config.batch
        (100, 0.5, 2)
    """
    if preset not in presets:
        raise ConfigError(f"expected a preset of {', '.join(presets)}, got {preset!r}")
    config = presets[preset]
    for source, values in layers:
        if "steps" in values and "epochs" not in values:
            config = replace(config, epochs=None)
        config = updated(config, values, source, also)
    check_config(config)
    return config


def check_config(config: TrainingConfig) -> None:
    """Raise an error for options that would stop a run later, when scans are read and training has begun.

    Raises:
        ConfigError: for an option out of its range.
    """
    check_values(vars(config))
    check_net(config.net)
