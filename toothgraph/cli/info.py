"""``toothgraph info``."""

from __future__ import annotations

import click


@click.command(short_help="Versions, devices and backends.")
def info() -> None:
    """Print versions, devices and which optional backends are installed."""
    import torch

    from toothgraph import provenance

    for name, number in provenance.versions().items():
        click.echo(f"{name:<20} {number}")
    machine = provenance.hardware()
    click.echo(f"{'processor':<20} {machine['processor']}, {machine['cores']} cores, {machine['threads']} threads")
    click.echo(f"{'gpu':<20} {', '.join(machine['gpus']) or 'none'}")
    mps = torch.backends.mps.is_available()
    click.echo(f"{'device (auto)':<20} {'cuda' if machine['gpus'] else 'mps' if mps else 'cpu'}")
    for backend, package in (("scatter", "torch-scatter"), ("triton", "triton")):
        found = provenance.package_version(package)
        click.echo(f"{'backend ' + backend:<20} {found or 'not installed'}")
