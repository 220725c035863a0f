"""One kind of file, fuzzed towards code not yet reached, by atheris (``pip install atheris``).

    python tests/fuzz/guided.py KIND [options of libFuzzer, such as -runs=100000 or -max_total_time=600] [CORPUS]

It ends at the first finding, an exception that is not one of ours, and leaves its input in a file ``crash-…``. Kinds
are those of ``seeds.py``.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["toothgraph"]):
    from seeds import targets

    from toothgraph.errors import ToothgraphError


def main() -> None:
    """Fuzz until libFuzzer is done."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    kind, given = sys.argv[1], sys.argv[2:]
    with tempfile.TemporaryDirectory() as name:
        folder, corpus = Path(name), Path(name) / "corpus"
        target = targets(folder)[kind]
        corpus.mkdir()
        for number, seed in enumerate(target.seeds):
            (corpus / str(number)).write_bytes(seed)

        def one_input(data: bytes) -> None:
            (folder / target.file).write_bytes(data)
            with contextlib.suppress(ToothgraphError):
                target.read(folder / target.file)

        atheris.Setup([sys.argv[0], *given, str(corpus)], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
