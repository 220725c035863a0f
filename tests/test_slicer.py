"""The module for 3D Slicer: what calls the command, with vtk alone; what is Slicer's, on a stand-in of its names."""

from __future__ import annotations

import importlib.util
import os
import stat
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from toothgraph.io.label_systems import to_universal
from toothgraph.synthetic import synthetic_arch

vtk = pytest.importorskip("vtk")

FILE = Path(__file__).resolve().parents[1] / "examples" / "slicer" / "ToothLabels.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ToothLabels", FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command as another Python would have it: a script in a folder of its own."""
    script = tmp_path_factory.mktemp("bin") / "toothgraph"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m toothgraph "$@"\n')
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def polydata(unit: float = 1.0) -> Any:
    """A lower arch as Slicer has it, with an array of an earlier run."""
    mesh = synthetic_arch(1, jaw=1, faces=2000)
    points, cells, old = vtk.vtkPoints(), vtk.vtkCellArray(), vtk.vtkIntArray()
    for vertex in mesh.vertices * unit:
        points.InsertNextPoint(vertex)
        old.InsertNextValue(11)
    for face in mesh.faces:
        cells.InsertNextCell(3, face.tolist())
    old.SetName("fdi")
    found = vtk.vtkPolyData()
    found.SetPoints(points)
    found.SetPolys(cells)
    found.GetPointData().AddArray(old)
    return found


@pytest.fixture(scope="module")
def surface() -> Any:
    """Shared: not to be changed."""
    return polydata()


def values(data: Any, name: str) -> np.ndarray:
    array = data.GetArray(name)
    return np.array([int(array.GetValue(index)) for index in range(array.GetNumberOfTuples())])


def test_a_surface_is_labelled_by_the_command(surface: Any, command: Path) -> None:
    module = load()
    labelled, found = module.label_surface(surface, command, "lower", dict(os.environ))
    assert found["jaw"] == "lower" and len(found["teeth"]) > 8 and found["state"] in ("labelled", "review")
    assert labelled.GetNumberOfPoints() == surface.GetNumberOfPoints()
    assert all(labelled.GetPoint(n) == pytest.approx(surface.GetPoint(n)) for n in (0, 99))
    on_points, on_cells = (values(data, "fdi") for data in (labelled.GetPointData(), labelled.GetCellData()))
    teeth = {tooth["fdi"] for tooth in found["teeth"]}
    assert set(on_points) == set(on_cells) == teeth | {0} and len(on_cells) == surface.GetNumberOfCells()
    numbers = values(labelled.GetPointData(), "Universal_ID")
    assert np.array_equal(numbers, np.where(on_points == 0, 33, to_universal(on_points)))


def test_what_went_wrong_is_told(surface: Any, command: Path) -> None:
    module = load()
    with pytest.raises(FileNotFoundError):
        module.label_surface(surface, "/no/such/command")
    with pytest.raises(RuntimeError, match="Error: Invalid value for '--jaw'"):
        module.label_surface(surface, command, "left")
    with pytest.raises(RuntimeError, match=r"scan\.vtk: .*--unit"):
        module.label_surface(polydata(unit=0.1), command)  # in centimetres


def test_numbers_and_colours_are_those_of_teeth() -> None:
    module = load()
    teeth = np.array([10 * quadrant + tooth for quadrant in (1, 2, 3, 4) for tooth in range(1, 9)])
    assert [module.universal(int(fdi)) for fdi in teeth] == to_universal(teeth).tolist()
    assert module.universal(0) == module.universal(-1) == 33
    for first, second in pairwise(teeth):
        assert np.abs(np.subtract(module.colour(int(first)), module.colour(int(second)))).max() > 0.2


class Display:
    def __init__(self) -> None:
        self.said: dict[str, Any] = {}

    def SetActiveScalar(self, name: str, where: int) -> None:
        self.said["scalar"] = (name, where)

    def SetAndObserveColorNodeID(self, node: str) -> None:
        self.said["colours"] = node

    def SetScalarRangeFlag(self, flag: int) -> None:
        self.said["range"] = flag

    def SetScalarVisibility(self, visible: bool) -> None:
        self.said["scalars"] = visible

    def SetVisibility(self, visible: bool) -> None:
        self.said["visible"] = visible


class Node:
    """A model, or a table of colours."""

    def __init__(self, kind: str, name: str, surface: Any = None) -> None:
        self.kind, self.name, self.surface = kind, name, surface
        self.display: Display | None = Display() if surface is not None else None
        self.colours: dict[int, tuple[Any, ...]] = {}
        self.size = 0

    def GetName(self) -> str:
        return self.name

    def GetID(self) -> str:
        return f"{self.kind}1"

    def GetPolyData(self) -> Any:
        return self.surface

    def SetAndObservePolyData(self, surface: Any) -> None:
        self.surface = surface

    def CreateDefaultDisplayNodes(self) -> None:
        self.display = Display()

    def GetDisplayNode(self) -> Display | None:
        return self.display

    def SetTypeToUser(self) -> None: ...

    def SetNumberOfColors(self, size: int) -> None:
        self.size = size

    def SetColor(self, index: int, name: str, *rgba: float) -> None:
        assert index < self.size and len(rgba) == 4
        self.colours[index] = (name, *rgba)


class Widget:
    """Anything of Qt: takes what is set, and knows what it is connected to."""

    def __init__(self, text: str = "") -> None:
        self.text, self.connected, self.items = text, {}, []

    def connect(self, signal: str, then: Any) -> None:
        self.connected[signal] = then

    def addItems(self, items: list[str]) -> None:
        self.items += items
        self.currentText = items[0]

    def setMRMLScene(self, scene: Any) -> None:
        self.scene = scene

    def currentNode(self) -> Node | None:
        return self.scene.chosen

    def addRow(self, name: str, widget: Any) -> None:
        self.items.append((name, widget))

    def addWidget(self, widget: Any) -> None:
        self.items.append(widget)

    def addLayout(self, layout: Any) -> None: ...

    def addStretch(self, factor: int) -> None: ...


class Base:
    def __init__(self, parent: Any = None) -> None:
        self.parent, self.layout = parent, Widget()

    def setup(self) -> None: ...


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in of Slicer with an empty scene, and the errors that it showed."""
    made: list[Node] = []

    def add(kind: str, name: str) -> Node:
        made.append(Node(kind, name))
        return made[-1]

    scene = SimpleNamespace(chosen=None, made=made, errors=[], AddNewNodeByClass=add)
    slicer = ModuleType("slicer")
    slicer.mrmlScene, slicer.qMRMLNodeComboBox = scene, Widget  # type: ignore[attr-defined]
    slicer.vtkMRMLDisplayNode = SimpleNamespace(UseColorNodeScalarRange=2)  # type: ignore[attr-defined]
    slicer.util = SimpleNamespace(  # type: ignore[attr-defined]
        errorDisplay=scene.errors.append, startupEnvironment=lambda: dict(os.environ)
    )
    base = ModuleType("slicer.ScriptedLoadableModule")
    base.ScriptedLoadableModule = base.ScriptedLoadableModuleWidget = Base  # type: ignore[attr-defined]
    qt = ModuleType("qt")
    for name in ("QFormLayout", "QComboBox", "QLineEdit", "QLabel", "QPushButton"):
        setattr(qt, name, Widget)
    for name, module in (("slicer", slicer), ("slicer.ScriptedLoadableModule", base), ("qt", qt)):
        monkeypatch.setitem(sys.modules, name, module)
    return scene


def test_the_panel_labels_the_chosen_model(scene: Any, surface: Any, command: Path) -> None:
    module = load()
    module.ToothLabels(SimpleNamespace())
    panel = module.ToothLabelsWidget()
    panel.setup()
    button = next(item for item in panel.layout.items if item.text == "Label the teeth")
    press = button.connected["clicked(bool)"]
    press(False)
    assert "Choose a scan first" in scene.errors.pop()

    scene.chosen = scan = Node("vtkMRMLModelNode", "anna_lower", surface)
    panel.command.text = "/no/such/command"
    press(False)
    assert not scene.made and "Not labelled: " in scene.errors.pop()

    panel.command.text, panel.jaw.currentText = str(command), "lower"
    press(False)
    assert not scene.errors
    model, table = scene.made
    assert model.name == "anna_lower teeth" and model.surface.GetPointData().HasArray("Universal_ID")
    assert model.display.said == {
        "scalar": ("fdi", vtk.vtkDataObject.CELL), "colours": table.GetID(), "range": 2, "scalars": True
    }  # fmt: skip
    assert set(table.colours) == set(range(49)) and table.colours[36][0] == "36"
    assert scan.display.said == {"visible": False}
    assert " teeth, lower jaw" in panel.said.text.splitlines()[0]
