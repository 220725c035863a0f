"""toothgraph: tooth segmentation of intraoral scans with few labels.

The public names and their modules are said once, in ``__init__.pyi``, and so are the packages for programs, such as
``toothgraph.nn``. Each is imported when it is first asked for, so that ``import toothgraph`` does not wait for torch.
"""

import lazy_loader

from toothgraph._version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
