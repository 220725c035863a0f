"""toothgraph: tooth segmentation of intraoral scans with few labels.

The public names, their modules and the public subpackages, such as ``toothgraph.nn``, are listed only in
``__init__.pyi``. Each is imported when it is first used, so that ``import toothgraph`` does not wait for torch.
"""

import lazy_loader

from toothgraph._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
