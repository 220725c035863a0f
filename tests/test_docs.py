"""The documentation agrees with the code: rendered pages, command lines, options, links."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import shlex
import shutil
from pathlib import Path
from types import ModuleType

import click
import pytest

import toothgraph
from toothgraph.cli import COMMANDS, main
from toothgraph.synthetic import write_synthetic

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
LINKING = [*PAGES, ROOT / "benchmarks" / "README.md", ROOT / "examples" / "slicer" / "README.md"]


def script(name: str) -> ModuleType:
    """A script in docs, which is no package; it finds its neighbours as when it is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        return importlib.import_module(name)


@pytest.fixture(scope="module")
def make_options() -> ModuleType:
    return script("make_options")


@pytest.fixture(scope="module")
def make_api() -> ModuleType:
    return script("make_api")


def code_blocks(text: str, *languages: str) -> list[str]:
    """The contents of the fenced blocks in one of the languages."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [content for language, content in found if language in languages]


def command_lines(text: str) -> list[str]:
    """Lines that run ``toothgraph``, in shell blocks, continued lines joined."""
    lines = "\n".join(code_blocks(text, "sh", "console")).replace("\\\n", " ").splitlines()
    lines = [line.removeprefix("$ ").split(" #")[0].strip() for line in lines]
    return [line for line in lines if line.split(" ")[0] == "toothgraph"]


@pytest.fixture
def all_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever file or model a page names counts as there."""
    for check in (
        "cli.refusals.check_there",
        "cli.refusals.model_file",
        "data.split.load_split",
        "io.numbering.content_of",
        "io.palette.load_palette",
    ):
        monkeypatch.setattr(f"toothgraph.{check}", lambda *given: None)


def parse(line: str) -> None:
    """Let click parse a command line, without running it; raises click.UsageError for a wrong one."""
    group = click.Context(main, info_name="toothgraph")
    name, *rest = shlex.split(line)[1:]
    if name.startswith("-"):
        assert any(name in option.opts for option in main.get_params(group)), f"no option {name}"
        return
    command = main.get_command(group, name)
    assert command is not None, f"no command {name!r} in: {line}"
    command.make_context(name, rest, parent=group)


def test_the_table_of_options_is_up_to_date(make_options: ModuleType) -> None:
    stored = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    assert stored == make_options.render_config(), "docs/config.md is out of date: run `python docs/make_options.py`"


def documented_modules() -> list[str]:
    """Modules whose public names the API pages show."""
    pages = sorted((ROOT / "docs" / "api").glob("*.md"))
    return [name for page in pages for name in re.findall(r"^\.\. automodule:: (\S+)", page.read_text("utf-8"), re.M)]


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "api").glob("*.md")), ids=lambda page: page.stem)
def test_the_names_on_the_api_pages_are_up_to_date(page: Path, make_api: ModuleType) -> None:
    stored = page.read_text(encoding="utf-8")
    assert stored.count("| name | what it is |") == stored.count(".. automodule::")
    assert stored == make_api.with_tables(stored), f"{page.name} is out of date: run `python docs/make_api.py`"


def test_signatures_are_those_of_the_code(make_api: ModuleType) -> None:
    shown = make_api.signatures("toothgraph.nn")
    assert "\nInfoNCE(\n    temperature: float = 0.07, normalize: bool = True" in shown
    assert "\n    .forward(x: Tensor, edge_index: Tensor, batch: Tensor, size: int) -> Tensor\n" in shown
    assert "\n    .from_pyg(conv: EdgeConv) -> FastEdgeConv\n" in shown
    assert "\n    .face_labels: np.ndarray\n" in make_api.signatures("toothgraph.segmentation")

    def one(a: int, *rest: str, b=print, **c) -> str: ...
    def two(a, *, b: int = 1): ...

    assert make_api.signature("one", one) == "one(a: int, *rest: str, b=..., **c) -> str"
    assert make_api.signature("two", two) == "two(a, *, b: int = 1)"
    page = (ROOT / "docs" / "api" / "nn.md").read_text(encoding="utf-8")
    assert "| [`info_nce`](../../toothgraph/nn/contrastive.py) |" in page and "```py\n" in page
    site = make_api.for_sphinx(page)
    assert "| {py:obj}`info_nce <toothgraph.nn.info_nce>` |" in site and "```py\n" not in site and "](../" not in site
    pages = "\n".join(page.read_text("utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    assert " at 0x" not in pages  # of an object that a default is


def test_api_pages_show_what_can_be_imported_from_the_package(make_api: ModuleType) -> None:
    shown = set()
    for name in documented_modules():
        module = importlib.import_module(name)
        for own in make_api.public_names(module):
            thing = getattr(module, own)
            if callable(thing):
                assert inspect.getdoc(thing), f"{name}.{own} has no docstring"
            shown.add(own)
    assert shown >= {
        name
        for name in toothgraph.__all__
        if not name.startswith("_") and not inspect.ismodule(getattr(toothgraph, name))
    }


@pytest.mark.usefixtures("all_there")
@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_command_lines_parse(page: Path) -> None:
    for line in command_lines(page.read_text(encoding="utf-8")):
        try:
            parse(line)
        except click.UsageError as error:
            pytest.fail(f"{page.name}: {line}: {error.format_message()}")


@pytest.mark.usefixtures("all_there")
def test_command_lines_are_found_and_wrong_ones_refused() -> None:
    lines = command_lines("```sh\n$ toothgraph info\ntoothgraph synth A \\\n  --scans 2\n```\n`toothgraph x`")
    assert [shlex.split(line) for line in lines] == [
        ["toothgraph", "info"],
        ["toothgraph", "synth", "A", "--scans", "2"],
    ]
    with pytest.raises(click.UsageError, match="No such option"):
        parse("toothgraph synth A --scan-number 2")
    with pytest.raises(click.UsageError, match="Missing"):
        parse("toothgraph predict a.stl --model m")
    commands = {line.split()[1] for page in PAGES for line in command_lines(page.read_text(encoding="utf-8"))}
    assert commands >= set(COMMANDS), "a command that no page shows"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_options_named_in_the_text_exist(page: Path) -> None:
    group = click.Context(main, info_name="toothgraph")
    known = {"--help", "--version"}
    for name in COMMANDS:
        command = main.get_command(group, name)
        assert command is not None
        known |= {option for parameter in command.params for option in parameter.opts}
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    named = {option for span in re.findall(r"`([^`]+)`", text) if "pip " not in span for option in
             re.findall(r"(?<![\w-])--[a-z][a-z-]*", span)}  # fmt: skip
    assert named <= known, f"{page.name} names options that do not exist: {sorted(named - known)}"


@pytest.mark.parametrize("page", LINKING, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_resolve(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), f"{page.name}: broken link {target}"
        if anchor:
            heads = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in slugs, f"{page.name}: no heading {anchor} in {file.name}"


def test_the_how_to_lists_all_its_sections() -> None:
    listed = (ROOT / "docs" / "how-to.md").read_text(encoding="utf-8")
    for page in sorted((ROOT / "docs" / "how-to").glob("*.md")):
        sections = re.findall(r"^## (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert re.findall(rf"^- \[(.*)\]\(how-to/{page.name}#", listed, re.MULTILINE) == sections


def test_the_correction_loop_runs(command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block of the how-to as it stands, on a small scan and with few steps."""
    text = (ROOT / "docs" / "how-to" / "correct.md").read_text(encoding="utf-8")
    section = text[text.index("## … correct what a model found") :]
    lines = command_lines("```sh\n" + code_blocks(section, "sh")[0] + "```\n")
    assert [line.split()[1] for line in lines] == ["predict", "renumber", "renumber", "finetune", "predict"]
    monkeypatch.chdir(tmp_path)
    write_synthetic(tmp_path / "made", 2, 3000, 3)
    (tmp_path / "my-scans").mkdir()
    shutil.copy(tmp_path / "made" / "0000_lower.stl", tmp_path / "my-scans" / "007_L.stl")
    done = [command(*shlex.split(re.sub(r"--steps \d+", "--steps 2", line))[1:]) for line in lines]
    assert [each.code for each in done] == [0] * 5, [each.err for each in done]
    _, shown, changed, trained, again = done
    assert "007_L: found by default (sha256 " in shown.out and "35 36 37" in shown.out
    assert "007_L: corrected" in changed.out and "36 37 38" in changed.out
    assert "trains on 1 scan of 1 patient (007); labels: 1 corrected" in trained.err
    assert "validates on no patient" in trained.err and "007_L: lower jaw" in again.out


def test_the_review_loop_runs(command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second block of its section as it stands, on a small scan and with few steps."""
    text = (ROOT / "docs" / "how-to" / "correct.md").read_text(encoding="utf-8")
    block = code_blocks(text[text.index("## … correct labels on a page") :], "sh")[1]
    steps, *_ = re.findall(r"cat > steps\.jsonl <<END\n(.*?)^END$", block, flags=re.MULTILINE | re.DOTALL)
    lines = command_lines(f"```sh\n{block}```\n")
    assert [line.split()[1] for line in lines] == ["predict", "review", "finetune", "predict"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "steps.jsonl").write_text(steps)
    write_synthetic(tmp_path / "made", 2, 3000, 3)
    (tmp_path / "my-scans").mkdir()
    for name in ("007_L", "008_L"):
        shutil.copy(tmp_path / "made" / "0000_lower.stl", tmp_path / "my-scans" / f"{name}.stl")
    done = [command(*shlex.split(re.sub(r"--steps \d+", "--steps 2", line))[1:]) for line in lines]
    assert [each.code for each in done] == [0] * 4, [each.err for each in done]
    _, reviewed, trained, _ = done
    assert "007_L: 3 steps, approved: 47 46 45 44 43 42 41 32 34 35 37 38 -> reviewed/007_L.json" in reviewed.out
    assert "trains on 1 scan of 1 patient (007); labels: 1 corrected" in trained.err
    assert "008_L.stl: not approved in reviewed" in trained.err
    assert {file.name for file in (tmp_path / "my-scans").iterdir()} == {"007_L.stl", "008_L.stl"}
    content = json.loads((tmp_path / "reviewed" / "007_L.json").read_text())
    assert 31 not in content["labels"] and 38 in content["labels"] and 36 not in content["labels"]


def test_toml_examples_are_accepted(make_options: ModuleType) -> None:
    tomllib = pytest.importorskip("tomllib")  # Python 3.11 and later
    from toothgraph.training.config import FINETUNE_PRESETS, PRETRAIN_PRESETS, make_config

    blocks = code_blocks((ROOT / "docs" / "config.md").read_text(encoding="utf-8"), "toml")
    assert len(blocks) == 2
    for block, presets in zip(blocks, (PRETRAIN_PRESETS, FINETUNE_PRESETS), strict=True):
        values = tomllib.loads(block)
        assert make_config(presets, "default", [("config.md", values)]) == presets["default"]
    (own,) = code_blocks((ROOT / "docs" / "how-to" / "train.md").read_text(encoding="utf-8"), "toml")
    assert make_config(FINETUNE_PRESETS, "default", [("train.md", tomllib.loads(own))]).crowns == "train"
