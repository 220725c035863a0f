"""A data set from any folder of scans."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch_geometric.data import Data, Dataset
from torch_geometric.transforms import Compose

from toothgraph.choices import did_you_mean
from toothgraph.data.prepared.build import PrepareOptions, digest_of, prepare
from toothgraph.data.prepared.file import load_scan
from toothgraph.data.prepared.folder import bad_file, read_bad, read_prepared
from toothgraph.data.prepared.folder import scan_file as file_of
from toothgraph.data.prepared.layout import MANIFEST, QUARANTINE, is_prepared
from toothgraph.data.prepared.sources import Source, find_sources
from toothgraph.data.scan import Scan
from toothgraph.errors import ConfigError, DataError, check_kind, check_names, check_number, some_of
from toothgraph.fdi import NUM_CLASSES
from toothgraph.graph.spec import GraphSpec
from toothgraph.io.palette import Palette, load_palette
from toothgraph.system.progress import Display

_log = logging.getLogger("toothgraph")
Paths = str | Path | Sequence[str | Path]


class ScanFolder(Dataset):  # type: ignore[misc]  # torch_geometric has no types
    """Scans in a folder, as face graphs: each item is the graph of one scan.

    The first time, the scans are read and their graphs are stored in ``root/processed-<digest>``. The digest depends on
    all parameters that change the graphs, and on the places in ``scans``, so that other graphs get another folder. A
    scan that is added later is read when the data set is next opened. A scan that cannot be read is left out;
    ``quarantine.csv`` in that folder gives the reason. The folder has the layout of ``toothgraph prepare``, so that
    ``pretrain`` and ``finetune`` take it, too.

    Graphs are read from disk at access, so that many scans need little memory. Labelled scans are turned into the frame
    of the networks (:mod:`toothgraph.anatomy.frame`).

    Args:
        root: a folder with scans in it or in ``root/raw``, at any depth; or a folder of ``toothgraph prepare``.
        scans: files and folders of the scans, if they are not in ``root``, for example where nothing may be written.
        spec: specification of the graphs, see :class:`toothgraph.GraphSpec`. For a prepared folder, None takes the
            specification of its graphs.
        variants, bases, seed: tessellations of each scan, see :func:`toothgraph.data.prepare_scan`. An item is the
            first tessellation, which has no noise. ``scans[i].variants`` has all of them, for :class:`TwoViews`.
        unit, palette, label_system: how to read the scans, see :func:`toothgraph.io.labels.read_scan`; a palette may
            be ``FILE:SET``.
        workers: processes that read scans; with more than 0, a script needs ``if __name__ == "__main__":``.
        transform: applied to each graph at access.
        pre_transform: applied to each graph before it is stored; its ``repr`` has to show its parameters.
        log: whether to show on stderr that scans are read.
        force_reload: whether to check the content of each file again, and to read the files that have changed.

    Shapes:
        - item: a graph of N nodes, ``x`` [N, 15], ``pos``, ``normal`` [N, 3], ``area`` [N] mm², ``edge_index`` [2, E],
          ``neighbor_index`` [levels·k, N], ``level`` [N], ``jaw`` [1], ``scan_id``, and ``y`` [N] class indices if
          the scan has labels (``toothgraph.fdi.class_to_fdi`` gives the numbers of the teeth)

    Raises:
        DataError: if there are no scans, if none of them can be used, or if ``root`` is a file.
        ConfigError: for a number out of its range, a palette that cannot be read, or a ``spec`` that differs from that
            of a prepared folder. Also for ``pre_transform`` or ``force_reload`` with a prepared folder.
        ShapeError: for a ``spec`` that is not a :class:`toothgraph.GraphSpec`.

    Example:
        >>> from toothgraph import GraphSpec
        >>> from toothgraph.synthetic import write_synthetic
        >>> files = write_synthetic("my-scans/raw", scans=2, faces=2000, seed=0)
        >>> dataset = ScanFolder("my-scans", spec=GraphSpec(faces=500), log=False)
        >>> dataset, dataset[0].scan_id, dataset.patients
        (ScanFolder(2), '0000_lower', ['0000', '0000'])
        >>> train = dataset.of_patients(["0000"])[:1]  # by patient, slice, mask or list
        >>> train, int(train[0].y.min())
        (ScanFolder(1), 0)
    """

    def __init__(
        self,
        root: str | Path,
        scans: Paths | None = None,
        *,
        spec: GraphSpec | None = None,
        variants: int = 1,
        bases: int = 0,
        seed: int = 0,
        unit: str = "mm",
        palette: Palette | str | None = None,
        label_system: str = "auto",
        workers: int = 0,
        transform: Callable[[Data], Any] | None = None,
        pre_transform: Callable[[Data], Data] | None = None,
        log: bool = True,
        force_reload: bool = False,
    ) -> None:
        check_number("variants", variants, least=1, whole=True)
        check_number("workers", workers, least=0, whole=True)
        if spec is not None:
            check_kind("spec", spec, GraphSpec)
        root = Path(root).expanduser()
        if root.is_file():
            raise DataError(f"{root}: expected a folder for the graphs, found a file; give a scan as scans=")
        root = root.absolute()  # graphs are read at access, and a script may go to another folder
        given = [scans] if isinstance(scans, str | Path) else scans
        self._places = [root / "raw" if (root / "raw").is_dir() else root] if given is None else list(map(Path, given))
        self._elsewhere = "" if given is None else _digest_of_places(self._places)
        self._workers, self._spec = workers, spec
        self._prepared = given is None and is_prepared(root)
        self.options = PrepareOptions(
            spec or GraphSpec(), variants, bases, seed, unit=unit, label_system=label_system,
            palette=load_palette(palette) if isinstance(palette, str) else palette, pre_transform=pre_transform,
        )  # fmt: skip
        if self._prepared and (pre_transform is not None or force_reload):
            raise ConfigError(
                f"{root}: expected scans for pre_transform or force_reload, found a folder of `toothgraph prepare`, "
                "which has graphs already; use transform instead"
            )
        super().__init__(str(root), transform, pre_transform, log=log, force_reload=force_reload)
        self._scans = read_prepared(root, spec) if self._prepared else self._opened()

    @cached_property
    def _sources(self) -> list[Source]:
        return [] if self._prepared else self._find()

    def _find(self) -> list[Source]:
        """The scans of the data set, in a fixed order.

        Raises:
            DataError: if there are none.
        """
        return find_sources(self._places)

    @property
    def _part(self) -> str:
        """A name that tells these scans from others in the same ``root``; empty if ``scans`` is not given."""
        return self._elsewhere

    @property
    def raw_dir(self) -> str:
        first = self._places[0]
        return str(first if first.is_dir() else first.parent)

    @property
    def raw_file_names(self) -> list[str]:
        """The paths of the scans, relative to ``raw_dir``."""
        return [os.path.relpath(source.path, self.raw_dir) for source in self._sources]

    @property
    def processed_dir(self) -> str:
        if self._prepared:
            return str(self.root)
        return str(Path(self.root) / "-".join(filter(None, ("processed", self._part, self.options.digest()))))

    @property
    def processed_file_names(self) -> list[str]:
        """The manifest, and for each scan the file of its graphs, or of the reason why it has none."""
        folder = Path(self.processed_dir)
        files = [MANIFEST]
        for source in self._sources:
            bad = bad_file(folder, source.scan_id)
            files.append(str((bad if bad.exists() else file_of(folder, source.scan_id)).relative_to(folder)))
        return files

    def process(self) -> None:
        with Display("reading", len(self._sources)) if self.log else nullcontext() as display:
            told = (lambda done: display.advance()) if display else (lambda done: None)
            prepare(self._sources, Path(self.processed_dir), self.options, self._workers, on_done=told)

    def _opened(self) -> list[Scan]:
        folder = Path(self.processed_dir)
        files = [(source, file_of(folder, source.scan_id)) for source in self._sources]
        bad = [source for source, file in files if not file.exists()]
        if len(bad) == len(files):
            reason = read_bad(bad_file(folder, bad[0].scan_id)).get("reason", "")
            raise DataError(f"{self.raw_dir}: none of {len(bad)} scans can be used; the reason for the first: {reason}")
        if bad:
            _log.warning("%d of %d scans are left out; why: %s", len(bad), len(files), folder / QUARANTINE)
        return [load_scan(file) for _, file in files if file.exists()]

    def len(self) -> int:
        return len(self._scans)

    def get(self, idx: int) -> Data:
        return self._scans[idx].variants[0]

    @property
    def scans(self) -> list[Scan]:
        """The scans with all their tessellations, as :func:`toothgraph.training.pretrain.pretrain` takes them."""
        return [self._scans[index] for index in self.indices()]

    @property
    def patients(self) -> list[str]:
        """The patient of each item. Both jaws of a patient belong on the same side of a split."""
        return [scan.patient for scan in self.scans]

    def of_patients(self, names: Collection[str]) -> ScanFolder:
        """The part of the data set with the scans of some patients, see :func:`toothgraph.data.make_split`.

        Args:
            names: patients of the data set. A patient may have no scan in this part of it, such as a slice.

        Raises:
            ConfigError: for a patient without a scan in the data set, or a single name in place of a list.
        """
        check_names("patients", names)
        wanted, there = set(names), sorted({scan.patient for scan in self._scans})
        if strange := sorted(map(str, wanted - set(there))):
            raise ConfigError(
                f"expected patients of the data set, such as {', '.join(there[:3])}, found no scan of "
                f"{some_of(strange)}{did_you_mean(strange[0], there)}"
            )
        return self.index_select([index for index, patient in enumerate(self.patients) if patient in wanted])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)})"

    @property
    def num_classes(self) -> int:
        """33, for gingiva and the 32 teeth, even if the scans do not have all of them.

        With a ``transform`` of your own that changes ``y``, or any ``pre_transform`` of your own, it is the largest
        class plus one, as in torch_geometric.
        """
        if _is_own(self.pre_transform) or (_is_own(self.transform) and self._has_other_classes()):
            return max(int(graph.y.max()) for graph in self if "y" in graph) + 1
        return NUM_CLASSES

    def _has_other_classes(self) -> bool:
        """Whether ``transform`` changes the classes."""
        pairs = ((self.get(index), self[number]) for number, index in enumerate(self.indices()))
        return any("y" in graph and not torch.equal(graph.y, stored.y) for stored, graph in pairs)


def _digest_of_places(places: Sequence[Path]) -> str:
    return digest_of({"scans": sorted(str(place.resolve()) for place in places)})[:8]


def _is_own(transform: Any) -> bool:
    """Whether a transform, or one of its steps, is neither from this package nor from torch_geometric."""
    steps = transform.transforms if isinstance(transform, Compose) else [] if transform is None else [transform]
    return any(type(step).__module__.split(".")[0] not in ("toothgraph", "torch_geometric") for step in steps)
