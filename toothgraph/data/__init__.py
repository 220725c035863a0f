"""Scans as training data: reading, split by patient, samples and batches.

The public names and their modules are listed only in ``__init__.pyi``. Each is imported when it is first used, so that
a command that checks a split does not wait for torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
