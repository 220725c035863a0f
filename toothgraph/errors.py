"""Errors that a user can cause and fix. The command line prints them in one line and exits with 1.

Each message says what was expected, what was found, in which file, and what to do.
"""


class ToothgraphError(Exception):
    """Base of every error this package raises on purpose."""


class ShapeError(ValueError):
    """A tensor, graph or mesh is not what a function expects: an error in the calling code, not in a scan or an option.

    So it is not a :class:`ToothgraphError`, which the commands treat as a scan that cannot be used.
    """


class MeshError(ToothgraphError):
    """A scan file cannot be read, or does not contain a usable surface."""


class LabelError(ToothgraphError):
    """Labels cannot be read, or do not match their scan."""


class ConfigError(ToothgraphError):
    """An option, a configuration file or a split file is wrong."""


class DataError(ToothgraphError):
    """A set of scans cannot be used for this purpose."""


class MemoryShortage(ToothgraphError):
    """A scan, or all data of a run together, does not fit into memory."""


class CheckpointError(ToothgraphError):
    """A model or checkpoint file is missing, damaged or of the wrong kind."""
