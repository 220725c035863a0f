"""Every block of code in the pages runs as it stands, in a folder with the files that it names, small ones.

What is not run has a reason in NOT_RUN. Python and data run with all tests; commands, which take minutes, with the slow
ones. Longer runs are made short: ``--steps``, and a small net where no other is asked for.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import toothgraph as tg
from toothgraph.anatomy.colours import colours
from toothgraph.data.split import load_split
from toothgraph.fdi import LOWER, UPPER
from toothgraph.io.formats.stl import write_stl
from toothgraph.io.numbering import load_numbering
from toothgraph.io.palette import load_palette
from toothgraph.io.write import write_labelled
from toothgraph.scan_names import jaw_from_name, patient_of
from toothgraph.synthetic import synthetic_arch

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]  # fmt: skip

# What a line begins with that no test runs, and why.
NOT_RUN = {
    "make ": "the whole set-up and all tests; CI runs it",
    "python3 -m venv": "a new environment; `make dist` makes one",
    "pip install": "needs the network; `make dist` installs the wheel",
    ".venv/bin/": "what `make test` runs",
    "pre-commit install": "changes the checkout",
    "python -m benchmarks.": "hours; tests/benchmarks runs each quickly",
    "toothgraph demo": "tests/cli/test_demo.py",
    "tensorboard ": "a server; tests/training/test_board.py reads what it shows",
    "torchrun ": "two machines",
    "srun ": "a cluster",
    "toothgraph pretrain prepared --out runs/pre --devices 4": "four GPUs; tests/integration/test_ranks.py",
    "toothgraph finetune my-scans --out runs/fine --device cuda": "a GPU; tests/device has one",
    "toothgraph predict my-scans --model runs/mine": "as in the block before it",
    "toothgraph review my-scans --labels reviewed": "a server; tests/review has it",
    "toothgraph finetune my-scans --labels reviewed": "learns from what a person approved there; so does test_docs.py",
    "toothgraph finetune my-scans --out runs/fine --label-system universal": "these labels are FDI; tests/io",
    "toothgraph finetune my-scans --unlabelled": "no teacher of two steps is sure; tests/integration",
    "toothgraph prepare clinic-scans prepared --shard 3/8": "too few scans; tests/integration/test_prepare.py",
    "eval ": "for a shell with a person at it; tests/cli/test_options.py",
    "_TOOTHGRAPH_COMPLETE": "for a shell with a person at it; tests/cli/test_options.py",
}
ELSEWHERE = {  # blocks that other tests run, by a line of them
    "toothgraph renumber labelled/007_L.ply 35=36": "test_docs.py",
    "cat > steps.jsonl": "test_docs.py",
    "onnxruntime.InferenceSession": "model/test_export.py",
    'with safe_open("model.safetensors"': "model/test_folder.py",
    'words = ["toothgraph", "predict"': "cli/test_as_json.py",
    "toothgraph synth SCANS": "the name of a folder stands for many; a record of what was run",
    "DATA/3d-iosseg": "the published scans; integration/test_real_scans.py",
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block, continued lines joined, without comments."""
        lines = [line.split(" #")[0].strip() for line in self.text.replace("\\\n", " ").splitlines()]
        return [re.sub(r"\s+", " ", line) for line in lines if line]


def blocks(*languages: str) -> list[Block]:
    """The blocks of all pages in one of the languages that no other test runs."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for block in re.finditer(r"^```([^\n]*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            line = text[: block.start()].count("\n") + 1
            found.append(Block(str(page.relative_to(ROOT)), line, block[1].strip(), block[2]))
    return [
        block for block in found if block.language in languages and not any(mark in block.text for mark in ELSEWHERE)
    ]


def reason(line: str) -> str | None:
    return next((why for start, why in NOT_RUN.items() if line.startswith(start)), None)


def test_each_block_is_run_or_says_why_not() -> None:
    known = {"python", "sh", "console", "json", "toml", "", "{eval-rst}", "py"}  # py: signatures, see test_docs.py
    pages = {page: page.read_text(encoding="utf-8") for page in PAGES}
    fences = {found for text in pages.values() for found in re.findall(r"^```(\S+)\s*$", text, re.MULTILINE)}
    assert fences <= known, "a language that no test here runs"
    for block in blocks("sh"):
        for line in block.commands:
            assert line.startswith("toothgraph ") or reason(line), f"{block}: nothing runs {line!r}"
    lines = [line for block in blocks("sh") for line in block.commands]
    stale = [start for start in NOT_RUN if not any(line.startswith(start) or start in line for line in lines)]
    stale += [mark for mark in ELSEWHERE if not any(mark in text for text in pages.values())]
    assert not stale, f"no page has: {stale}"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the pages name, small: labelled scans of synthetic patients, a split, a palette."""
    folder = tmp_path_factory.mktemp("files")
    arches = {(seed, jaw): synthetic_arch(seed, jaw=jaw, faces=2500) for seed in (1, 2) for jaw in (UPPER, LOWER)}
    for number, patient in enumerate(("007", "008", "009", "010")):
        for jaw, letter in ((UPPER, "U"), (LOWER, "L")):
            arch = arches[1 + number % 2, jaw]
            write_labelled(folder / "my-scans", f"{patient}_{letter}", arch, arch.labels, ("ply",))
    for name, jaw in (("007_U", UPPER), ("007_L", LOWER)):
        write_labelled(folder, name, arches[1, jaw], arches[1, jaw].labels, ("ply",))
    write_stl(folder / "scan_upper.stl", arches[1, UPPER].vertices, arches[1, UPPER].faces)
    return folder


@pytest.fixture
def there(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of these files, as the working directory."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.filterwarnings("ignore:`isinstance.treespec:FutureWarning")  # inside the exporter of ONNX
@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_runs(block: Block, there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block.text, str(block), "exec"), {"__name__": "__main__"})


def test_labels_of_ones_own_go_through_the_chain_as_they_are(there: Path) -> None:
    (block,) = (each for each in blocks("python") if "exchange=False" in each.text)
    for seed in range(4):  # a mirror image in some of them
        torch.manual_seed(seed)
        names: dict[str, Any] = {}
        exec(compile(block.text, str(block), "exec"), names)
        assert set(names["graph"].y.tolist()) == {0, 1}


def test_a_split_is_read(tmp_path: Path) -> None:
    for block in blocks("json"):
        if "train" not in block.text:
            continue
        (tmp_path / "split.json").write_text(block.text)
        split = load_split(tmp_path / "split.json")
        assert split.train and split.val, block


def test_the_palette_is_read(tmp_path: Path) -> None:
    (text,) = (block.text for block in blocks("json") if '"background": [' in block.text)
    (tmp_path / "palettes.json").write_text(text)
    palette = load_palette(f"{tmp_path / 'palettes.json'}:my-set")
    found = palette.labels(np.array([[255, 255, 255], [255, 0, 0], [0, 191, 255]]))
    assert found.tolist() == [0, 11, 32]


def test_numbers_of_ones_own_are_read(tmp_path: Path) -> None:
    (text,) = (block.text for block in blocks("json") if '"array"' in block.text)
    (tmp_path / "numbers.json").write_text(text)
    numbers = load_numbering(f"{tmp_path / 'numbers.json'}:my-set")
    assert numbers.array == "my_label" and numbers.to_fdi(np.array([0, 1, 16]), LOWER).tolist() == [0, 48, 38]


def test_names_mean_what_the_page_says() -> None:
    (block,) = blocks("")
    for line in block.text.splitlines():
        path, patient, jaw = re.fullmatch(r"(\S+) +patient (\S+), (upper|lower) jaw", line).groups()
        assert patient_of(Path(path).stem) == patient and jaw_from_name(path) == (UPPER if jaw == "upper" else LOWER)


def test_patients_are_those_of_the_table() -> None:
    section = (ROOT / "docs" / "how-to" / "label.md").read_text(encoding="utf-8").split("\n## ")[1]
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", section, re.MULTILINE)
    assert len(rows) == 4
    for name, patient in rows:
        assert patient_of(Path(name).stem) == patient


@pytest.fixture
def everything(there: Path) -> Path:
    """Also the scans, labels, palette and options that the commands of the how-to name."""
    for name in ("new-scans", "more-scans", "new-scanner", "clinic-scans", "test-scans", "archive"):
        (there / name).mkdir()
        for scan in ("007_U", "007_L", "008_U", "008_L"):
            shutil.copy(there / "my-scans" / f"{scan}.ply", there / name / f"x{scan}.ply")
    for name in ("before", "after", "their-labels", "labelled"):
        shutil.copytree(there / "my-scans", there / name)
    arch = tg.read_scan("007_U.ply")
    assert arch.labels is not None
    for name in ("before", "after"):
        write_labelled(there / name, "scan_upper", arch, arch.labels, ("ply",))
    write_labelled(there / "reviewed", "007_U", arch, arch.labels, ("json",))  # as a review leaves it
    for name, source in {
        "scan_upper.stl": "scan.stl child_upper.stl", "007_U.ply": "anna/antagonist.ply", "007_L.ply": "anna/lower.ply"
    }.items():  # fmt: skip
        for copy in source.split():
            (there / copy).parent.mkdir(exist_ok=True)
            shutil.copy(there / name, there / copy)
    upper, lower = (tg.read_mesh(there / f"007_{letter}.ply") for letter in "UL")
    apart = lower.vertices - [0, 30, 0]
    write_stl(
        there / "occlusion.stl", np.concatenate([upper.vertices, apart]),
        np.concatenate([upper.faces, lower.faces + len(upper.vertices)]),
    )  # fmt: skip
    (there / "split.json").write_text(next(block.text for block in blocks("json") if "label_fraction" in block.text))
    numbers = {"upper": (*range(11, 19), *range(21, 29)), "lower": (*range(31, 39), *range(41, 49))}
    palette: dict[str, Any] = {"background": colours(np.array([0]))[0].tolist()}
    for jaw, own in numbers.items():
        palette[jaw] = {str(fdi): colours(np.array([fdi]))[0].tolist() for fdi in own}
    own_numbers = {jaw: {str(fdi): fdi for fdi in own} for jaw, own in numbers.items()}
    (there / "palettes.json").write_text(json.dumps({"my-set": palette}))
    (there / "numbers.json").write_text(json.dumps({"my-set": own_numbers}))
    (there / "fine.toml").write_text(TINY)
    return there


TINY = """faces = 300
steps = 2
variants = 2
crown_steps = 2
[net]
widths = [8, 16, 16, 16]
head_widths = [8, 16, 16, 16]
pair_channels = 4
embedding = 16
"""


def shortened(line: str) -> list[str]:
    """The arguments of a command, for a run of seconds."""
    line = re.sub(r"--steps \d+", "--steps 2", re.sub(r"--workers \d+", "--workers 2", line))
    command, *args = shlex.split(line)[1:]
    if command == "pretrain" and "paper" not in args:
        graphs = "faces = 300\n" if "prepared" not in args else ""  # those of a prepared folder are as they are
        Path("tiny.toml").write_text(TINY.replace("crown_steps = 2\n", "").replace("faces = 300\n", graphs))
        args += ["--config", "tiny.toml"]
    elif command == "finetune" and not {"--init", "--config"} & {*args}:
        args += ["--config", "fine.toml"]
    elif command == "finetune" and "--config" not in args and "--steps" not in args:
        args += ["--steps", "2"]
    if "paper" in args:
        args += ["--faces", "300", "--steps", "2"]
    return [command, *args]


@pytest.mark.slow
def test_the_commands_of_the_how_to_run(command: Callable[..., Any], everything: Path) -> None:
    """Page by page; what a command writes is there for those after it."""
    for name in ("a", "b", "fine"):
        done = command(*shortened(f"toothgraph finetune my-scans --out runs/{name}"))
        assert done.code == 0, done.err
    failed = []
    for block in blocks("sh"):
        for line in block.commands if block.page.startswith(("docs/how-to/", "README.md")) else []:
            if reason(line) or not line.startswith("toothgraph "):
                continue
            args = shortened(line)
            if args[0] in ("pretrain", "finetune"):
                shutil.rmtree(args[args.index("--out") + 1], ignore_errors=True)
            if "--resume" in args:  # a run of another block was in this folder
                assert command(*(arg for arg in args if arg != "--resume")).code == 0
            done = command(*args)
            if done.code not in (0, 3):
                failed.append(f"{block}: {line}\n{done.code}: {done.err[-600:]}")
    assert not failed, "\n".join(failed)


@pytest.mark.slow
def test_the_tutorial_runs_as_it_stands(
    command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commands print the lines that it shows, where ``…`` stands for anything."""
    monkeypatch.chdir(tmp_path)
    (split,) = (block.text for block in blocks("json") if block.page == "docs/tutorial.md")
    (tmp_path / "split.json").write_text(split)
    for block in blocks("console"):
        for line, shown in sessions(block.text):
            if line.startswith("ls "):
                printed = "  ".join(sorted(each.name for each in Path(line[3:]).iterdir()))
            else:
                done = command(*shlex.split(line)[1:])
                assert done.code == 0, done.err
                printed = done.out + done.err
            for wanted in shown:
                pattern = re.escape(wanted).replace("…", ".*")
                assert re.search(pattern, printed), f"{block}: {wanted!r} is not in:\n{printed}"


def sessions(text: str) -> Iterator[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines shown below it."""
    for part in text.split("$ ")[1:]:
        line, *shown = part.splitlines()
        yield line, [each for each in shown if each != "…"]
