"""toothgraph: tooth segmentation of intraoral scans with few labels."""

__version__ = "0.1.0"
