"""Build the documentation as a site: ``python docs/site.py OUT`` (``make docs``).

The pages are those of the repository: README, CHANGELOG, docs, speed, and the examples. Links between them stay links;
a link to a file that is no page becomes its name. Sphinx takes every warning as an error.
"""

from __future__ import annotations

import ast
import re
import shutil
import sys
import tempfile
from pathlib import Path

from make_api import for_sphinx
from sphinx.cmd.build import main as sphinx

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
CHAPTERS = {
    "Learn": ("tutorial", "how-to", "examples"),
    "Look up": ("formats", "files", "config", "conventions", "scores", "measures", "api"),
    "Judge": ("results", "model_card", "speed", "reliability", "method", "changes", "contributing"),
}


def pages() -> dict[Path, str]:
    """Files of the repository that are pages, and their paths in the site."""
    own = {page: str(page.relative_to(DOCS)) for page in sorted(DOCS.rglob("*.md"))}
    return {
        ROOT / "README.md": "index.md",
        ROOT / "CHANGELOG.md": "changes.md",
        ROOT / "CONTRIBUTING.md": "contributing.md",
        ROOT / "benchmarks" / "README.md": "speed.md",
        ROOT / "examples": "examples.md",
        **own,
    }


def rewritten(page: Path, places: dict[Path, str]) -> str:
    """The text of a page with its links as they are in the site."""
    up = "../" * places[page].count("/")

    def link(found: re.Match[str]) -> str:
        text, target = found.groups()
        path, hash_sign, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", target):
            return found[0]
        file = (page.parent / path).resolve()
        if file in places:
            return f"[{text}]({up}{places[file]}{hash_sign}{anchor})"
        if file.suffix in (".png", ".svg", ".webp"):
            return f"[{text}]({up}{file.relative_to(DOCS)})"
        return f"`{file.relative_to(ROOT)}`" if text.startswith("`") else f"{text} (`{file.relative_to(ROOT)}`)"

    content = page.read_text(encoding="utf-8")
    content = for_sphinx(content) if page.parent == DOCS / "api" else content
    parts = re.split(r"(^```.*?^```)", content, flags=re.MULTILINE | re.DOTALL)
    return "".join(
        part if part.startswith("```") else re.sub(r"\[([^]]*)\]\(([^)\s]+)\)", link, part) for part in parts
    )


def examples() -> str:
    """A page of the examples: what each shows, and its code."""
    lines = ["# Examples\n\nEach runs as it stands: `python examples/01_mesh_to_graph.py`.\n"]
    for file in sorted((ROOT / "examples").glob("*.py")):
        code = file.read_text(encoding="utf-8")
        said = (ast.get_docstring(ast.parse(code)) or "").split("\n\n")[0].replace("``", "`")
        lines.append(f"## {file.name}\n\n{said}\n\n```python\n{code}```\n")
    return "\n".join(lines)


def side_bar(place: str) -> str:
    """What a page has below it in the side bar: chapters of pages, or the pages of its folder."""
    if place == "index.md":
        return "".join(_tree(f":caption: {title}", *names) for title, names in CHAPTERS.items())
    folder = place.removesuffix(".md")
    return _tree(":glob:", f"{folder}/*") if (DOCS / folder).is_dir() else ""


def _tree(option: str, *names: str) -> str:
    return "\n```{toctree}\n:hidden:\n" + "\n".join([option, "", *names]) + "\n```\n"


def write_sources(folder: Path) -> None:
    """All pages as Sphinx reads them."""
    places = pages()
    for page, place in places.items():
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        text = examples() if page.is_dir() else rewritten(page, places)
        file.write_text(text + side_bar(place), encoding="utf-8")
    shutil.copytree(DOCS / "images", folder / "images")


def build(out: Path) -> int:
    """Build the site; what Sphinx returns: 0 if all went well."""
    with tempfile.TemporaryDirectory() as folder:
        write_sources(Path(folder))
        return sphinx(["-b", "html", "-W", "--keep-going", "-q", "-c", str(DOCS), folder, str(out)])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python docs/site.py OUT")
    if code := build(Path(sys.argv[1])):
        sys.exit(code)
    print(f"the site -> {Path(sys.argv[1]) / 'index.html'}")
