"""Data sets of face graphs with the interface of torch_geometric; scans are read once and stored as graphs."""

from toothgraph.datasets.iosseg3d import IOSSeg3D
from toothgraph.datasets.scan_folder import ScanFolder
from toothgraph.datasets.synthetic import SyntheticArches
from toothgraph.datasets.teeth3ds import Teeth3DS, official_split

__all__ = ["IOSSeg3D", "ScanFolder", "SyntheticArches", "Teeth3DS", "official_split"]
