"""``--device`` and ``--threads``: where a net computes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toothgraph.cli.refusals import at_once, check_device
from toothgraph.errors import ConfigError
from toothgraph.system.progress import Display
from toothgraph.system.threads import limited

if TYPE_CHECKING:
    from toothgraph.model import SegmentationNet
    from toothgraph.model.file import ModelFile


def _limit_threads(ctx: click.Context, param: click.Parameter, value: int | None) -> None:
    """Set the threads of torch for the running command, before torch is imported."""
    del param
    ctx.meta["threads"] = value  # the number that was asked for
    ctx.with_resource(limited(value))


threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    callback=_limit_threads,
    expose_value=False,
    help="Threads for computing on a CPU.  [default: chosen by the number of free cores]",
)
device_option = click.option(
    "--device", callback=at_once(check_device), help="Where to compute: auto, cpu, cuda or mps.  [default: auto]"
)


def load_net(model: Path, device: str | None) -> tuple[SegmentationNet, ModelFile]:
    """The net of a model file on the chosen device, and the model file as read."""
    from toothgraph.model.file import load_segmentation

    with Display("loading the net", every=None):
        net, file = load_segmentation(model)
        return net.to(choose_device(device)), file


def choose_device(name: str | None) -> Any:
    """A torch device for inference.

    Raises:
        ConfigError: if the device is unknown or cannot be used here.
    """
    import torch

    if name is None or name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    check_device(name)
    try:
        device = torch.device(str(name))
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ConfigError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from error
    return device
