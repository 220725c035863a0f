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
    click.echo(f"{'device (auto)':<20} {'cuda' if torch.cuda.is_available() else 'cpu'}")
    click.echo(f"{'backend native':<20} torch {torch.__version__}")
    scatter = provenance.package_version("torch-scatter")
    click.echo(
        f"{'backend scatter':<20} {'torch-scatter ' + scatter if scatter else 'not installed (an optional extra)'}"
    )
