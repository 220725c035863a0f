"""``toothgraph info``."""

from __future__ import annotations

import click


@click.command(short_help="Versions, devices and backends.")
def info() -> None:
    """Print versions, devices, which optional backends are installed, and the terms of the default weights."""
    import torch

    from toothgraph import provenance, weights

    for name, number in provenance.versions().items():
        click.echo(f"{name:<20} {number}")
    machine = provenance.hardware()
    click.echo(f"{'processor':<20} {machine['processor']}, {machine['cores']} cores, {machine['threads']} threads")
    click.echo(f"{'gpu':<20} {', '.join(machine['gpus']) or 'none'}")
    click.echo(f"{'device (auto)':<20} {'cuda' if torch.cuda.is_available() else 'cpu'}")
    scatter, triton = provenance.package_version("torch-scatter"), provenance.package_version("triton")
    backends = {
        "native": f"torch {torch.__version__}",
        "scatter": f"torch-scatter {scatter}" if scatter else "not installed (an optional extra)",
        "triton": f"triton {triton}" if triton else "not installed (comes with torch for CUDA)",
    }
    for name, state in backends.items():
        click.echo(f"{'backend ' + name:<20} {state}")
    digest = f"sha256 {provenance.sha256(weights.FILE)}" if weights.FILE.exists() else f"missing: {weights.FILE}"
    click.echo(f"{'default weights':<20} {digest}")
    for line in weights.notice().splitlines():
        click.echo(f"{'':<20} {line}")
    click.echo(f"{'backend for cpu':<20} {_chosen('cpu')}")
    click.echo(f"{'backend for cuda':<20} {_chosen('cuda') if torch.cuda.is_available() else 'no CUDA device here'}")


def _chosen(device: str) -> str:
    import torch

    from toothgraph.errors import ConfigError
    from toothgraph.nn.gather import choose_backend

    try:
        return choose_backend(torch.empty(0, device=device))
    except ConfigError as error:  # TOOTHGRAPH_BACKEND names one that cannot serve: that is what is to be shown
        return f"none: {error}"
