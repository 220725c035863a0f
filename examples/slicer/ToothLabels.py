"""Teeth of an intraoral scan, labelled from within 3D Slicer by the ``toothgraph`` command in a Python of its own.

Slicer's Python needs neither torch nor a GPU. The first half is plain Python with vtk; the second half is Slicer's.
"""

import colorsys
import json
import subprocess
import tempfile
from pathlib import Path

import vtk

ARRAY = "fdi"  # what `toothgraph predict --format vtk` writes, on points and on cells
UNIVERSAL = "Universal_ID"  # what other dental tools of Slicer look for, on points
GUM = 33  # among Universal numbers
LAST = 48  # the highest FDI number


def label_surface(surface, command="toothgraph", jaw="auto", environment=None):
    """Label a vtkPolyData in mm: a new one with the same points, and what ``predict --json`` says of it."""
    with tempfile.TemporaryDirectory() as folder:
        scan, out = Path(folder, "scan.vtk"), Path(folder, "labelled")
        writer = vtk.vtkPolyDataWriter()
        writer.SetFileName(str(scan))
        writer.SetInputData(bare(surface))
        writer.SetFileTypeToBinary()
        writer.Write()
        words = [command, "predict", scan, "--out", out, "--jaw", jaw, "--format", "vtk", "--json"]
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, env=environment)
        if not done.stdout:
            raise RuntimeError(done.stderr.strip().split("\n")[-1] or f"{command} ended with {done.returncode}")
        found = json.loads(done.stdout)["scans"][0]
        if found["error"]:
            raise RuntimeError(found["error"])
        reader = vtk.vtkPolyDataReader()
        reader.SetFileName(found["files"][0])
        reader.Update()
        labelled = reader.GetOutput()
    add_universal(labelled)
    return labelled, found


def bare(surface):
    """Its points and faces alone: arrays of an earlier run would be taken for labels."""
    copy = vtk.vtkPolyData()
    copy.SetPoints(surface.GetPoints())
    copy.SetPolys(surface.GetPolys())
    copy.SetStrips(surface.GetStrips())
    return copy


def universal(fdi):
    """An FDI number as a Universal number: 1 to 32, around the mouth from the upper right wisdom tooth."""
    quadrant, tooth = divmod(fdi, 10)
    return {1: 9 - tooth, 2: 8 + tooth, 3: 25 - tooth, 4: 24 + tooth}.get(quadrant, GUM)


def add_universal(labelled):
    """Add the array of Universal numbers beside that of FDI numbers."""
    numbers, own = labelled.GetPointData().GetArray(ARRAY), vtk.vtkIntArray()
    own.SetName(UNIVERSAL)
    for point in range(labelled.GetNumberOfPoints()):
        own.InsertNextValue(universal(int(numbers.GetValue(point))))
    labelled.GetPointData().AddArray(own)


def colour(fdi):
    """Red, green, blue: pink for the gum; hues of neighbours are far apart."""
    return (0.96, 0.76, 0.76) if fdi == 0 else colorsys.hsv_to_rgb(fdi * 0.618 % 1, 0.6, 0.95)


try:
    import qt
    import slicer
    from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget
except ImportError:  # outside of Slicer the functions above can be used all the same
    ScriptedLoadableModule = ScriptedLoadableModuleWidget = object


class ToothLabels(ScriptedLoadableModule):
    """What the list of modules says."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "Tooth labels"
        parent.categories = ["Dental"]
        parent.contributors = ["toothgraph"]
        parent.helpText = "FDI numbers on an intraoral scan, by the command `toothgraph predict`. For research only."


class ToothLabelsWidget(ScriptedLoadableModuleWidget):
    """The panel: a model, its jaw, the command, a button."""

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        form = qt.QFormLayout()
        self.model = slicer.qMRMLNodeComboBox()
        self.model.nodeTypes = ["vtkMRMLModelNode"]
        self.model.addEnabled = self.model.removeEnabled = False
        self.model.setMRMLScene(slicer.mrmlScene)
        self.jaw = qt.QComboBox()
        self.jaw.addItems(["auto", "upper", "lower"])
        self.command = qt.QLineEdit("toothgraph")
        self.command.toolTip = "The command, or its whole path, such as /home/me/venv/bin/toothgraph"
        self.said = qt.QLabel()
        self.said.wordWrap = True
        button = qt.QPushButton("Label the teeth")
        button.connect("clicked(bool)", self.label)
        for name, widget in (("Scan, in mm", self.model), ("Jaw", self.jaw), ("Command", self.command)):
            form.addRow(name, widget)
        self.layout.addLayout(form)
        self.layout.addWidget(button)
        self.layout.addWidget(self.said)
        self.layout.addStretch(1)

    def label(self, *clicked):
        """Label the chosen model, and show the result beside it."""
        node = self.model.currentNode()
        if node is None:
            slicer.util.errorDisplay("Choose a scan first: drag its file into Slicer")
            return
        try:
            # Slicer's own paths of libraries and of Python would disturb the other Python.
            labelled, found = label_surface(
                node.GetPolyData(), self.command.text, self.jaw.currentText, slicer.util.startupEnvironment()
            )
        except (OSError, RuntimeError) as error:
            slicer.util.errorDisplay(f"Not labelled: {error}")
            return
        show(labelled, f"{node.GetName()} teeth")
        node.GetDisplayNode().SetVisibility(False)
        self.said.text = "\n".join([f"{len(found['teeth'])} teeth, {found['jaw']} jaw", *found["doubts"]])


def show(labelled, name):
    """Add a labelled surface to the scene, coloured by tooth."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", name)
    node.SetAndObservePolyData(labelled)
    node.CreateDefaultDisplayNodes()
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", "FDI numbers")
    table.SetTypeToUser()
    table.SetNumberOfColors(LAST + 1)
    for fdi in range(LAST + 1):
        table.SetColor(fdi, str(fdi) if fdi else "gum", *colour(fdi), 1.0)
    display = node.GetDisplayNode()
    display.SetActiveScalar(ARRAY, vtk.vtkDataObject.CELL)
    display.SetAndObserveColorNodeID(table.GetID())
    display.SetScalarRangeFlag(slicer.vtkMRMLDisplayNode.UseColorNodeScalarRange)
    display.SetScalarVisibility(True)
    return node
