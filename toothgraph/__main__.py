"""Entry point of ``python -m toothgraph``."""

from toothgraph.cli import main

main(prog_name="toothgraph")
