"""Values that users choose by name. Quick to import, for the command line."""

from __future__ import annotations

MM_PER_UNIT = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "inch": 25.4}
LABEL_SYSTEMS = ("auto", "fdi", "universal", "arch14")
FORMATS = ("ply", "txt", "json", "vtp", "vtk", "stl")  # for labelled scans
