"""Draw the pictures of the README and of the examples, in docs/images: ``python docs/make_pictures.py``.

README: two synthetic arches with their own labels, seen from the bite as in a chart of teeth, the FDI number on each
tooth, R and L for the patient's right and left. Needs Chromium for a page. No picture shows a patient's scan.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from make_review_pictures import screenshot
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

from toothgraph import Mesh, synthetic_arch
from toothgraph.fdi import UPPER
from toothgraph.report.picture import camera, render_grid

IMAGES = Path(__file__).resolve().parent / "images"
PICTURE = IMAGES / "arches.png"
EXAMPLES = {
    "05_landmarks": "example-landmarks.png",
    "06_embeddings": "example-embeddings.png",
    "08_explain": "example-explained.png",
}
PAGES = {"09_upper_and_lower": "example-both.png"}  # their page, as a browser shows it
SEEDS = (1, 2)  # upper, lower
FACES = 60_000
WIDTH = 1000  # pixels of the whole picture
LARGER = 3  # drawn at this many times the size, then reduced, for smooth edges
PIXELS_PER_MM = 6.5  # in the finished picture
COLOURS = 256
FONT = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans-Bold.ttf"


def draw_arch(mesh: Mesh) -> Image.Image:
    """The arch from the bite, cut to its outline, with the number of each tooth."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "arch.png"
        render_grid(file, [("", mesh, None)], size=6.0 * LARGER, sides=False)
        image = Image.open(file).convert("RGB")
    drawn = np.argwhere((np.asarray(image) < 255).any(axis=2))
    top, left = drawn.min(axis=0).tolist()
    bottom, right = (drawn.max(axis=0) + 1).tolist()
    image = image.crop((left, top, right, bottom))

    assert mesh.labels is not None
    right, top, up = camera(mesh, mesh.labels, "occlusal")
    axes = np.stack([right, -top], axis=1)  # picture-right and picture-down
    seen = mesh.corners[mesh.normals @ up > 0] @ axes
    low, high = seen.min(axis=(0, 1)), seen.max(axis=(0, 1))
    pixels_per_mm = image.width / (high[0] - low[0])
    image = image.resize([round(length * PIXELS_PER_MM * LARGER / pixels_per_mm) for length in image.size])

    pen, font = ImageDraw.Draw(image), ImageFont.truetype(FONT, 15 * LARGER)
    for number in np.unique(mesh.labels[mesh.labels > 0]):
        faces = (mesh.labels == number) & (mesh.normals @ up > 0)
        place = np.average(mesh.centroids[faces], axis=0, weights=mesh.areas[faces]) @ axes
        x, y = ((place - low) * PIXELS_PER_MM * LARGER).tolist()
        pen.text((x, y), str(number), "white", font, anchor="mm", stroke_width=2 * LARGER, stroke_fill="black")
    corner = 0 if mesh.jaw == UPPER else image.height  # an arch is narrow at its incisors, so that there is room
    for text, x in (("R", 0), ("L", image.width)):
        anchor = ("l" if x == 0 else "r") + ("a" if corner == 0 else "d")
        pen.text((x, corner), text, "dimgrey", font, anchor=anchor)
    return image


def draw_example(example: str, picture: Path) -> None:
    """What an example draws, without the white around it."""
    script = runpy.run_path(str(IMAGES.parents[1] / "examples" / f"{example}.py"))
    with TemporaryDirectory() as folder:
        script["main"](out=Path(folder) / "drawn.png")
        image = Image.open(Path(folder) / "drawn.png").convert("RGB")
    drawn = np.argwhere((np.asarray(image) < 255).any(axis=2))
    top, bottom = drawn[:, 0].min().item(), drawn[:, 0].max().item() + 1
    image.crop((0, top, image.width, bottom)).quantize(COLOURS, kmeans=2).save(picture, optimize=True)


def draw_page(example: str, picture: Path) -> None:
    """The page that an example writes, in a browser."""
    script = runpy.run_path(str(IMAGES.parents[1] / "examples" / f"{example}.py"))
    with TemporaryDirectory() as folder:
        page = script["main"](out=Path(folder))
        image = screenshot(page.resolve().as_uri(), Path(folder))
    image.quantize(COLOURS, kmeans=2).save(picture, optimize=True)


def main() -> None:
    arches = [draw_arch(synthetic_arch(seed, jaw=jaw, faces=FACES)) for jaw, seed in enumerate(SEEDS)]
    gap = WIDTH * LARGER - sum(arch.width for arch in arches)
    height = max(arch.height for arch in arches)
    picture = Image.new("RGB", (WIDTH * LARGER, height), "white")
    picture.paste(arches[0], (gap // 4, (height - arches[0].height) // 2))
    picture.paste(arches[1], (WIDTH * LARGER - gap // 4 - arches[1].width, (height - arches[1].height) // 2))
    small = picture.resize((WIDTH, picture.height // LARGER), Image.Resampling.LANCZOS)
    small.quantize(COLOURS, kmeans=2).save(PICTURE, optimize=True)
    for example, name in EXAMPLES.items():
        draw_example(example, IMAGES / name)
    for example, name in PAGES.items():
        draw_page(example, IMAGES / name)


if __name__ == "__main__":
    main()
