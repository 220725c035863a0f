"""Errors a user can cause and mend. The command line prints them in one line and exits with 1.

Each message says what was expected, what was found, in which file, and what to do.
"""


class ToothgraphError(Exception):
    """Base of every error this package raises on purpose."""


class MeshError(ToothgraphError):
    """A scan file cannot be read, or what it holds is not a usable surface."""


class LabelError(ToothgraphError):
    """Labels cannot be read, or do not fit their scan."""


class ConfigError(ToothgraphError):
    """An option, a configuration file or a split file is wrong."""


class DataError(ToothgraphError):
    """A set of scans cannot serve the purpose asked of it."""


class MemoryShortage(ToothgraphError):
    """A scan, or all that a run reads, does not fit into memory."""


class CheckpointError(ToothgraphError):
    """A model or checkpoint file is missing, damaged or of another kind."""
