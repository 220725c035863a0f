from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from toothgraph.errors import ConfigError
from toothgraph.io.palette import load_palette

SET = {
    "where": "vertex colour (exact)",
    "background": [255, 255, 255],
    "upper": {"11": [0, 0, 0], "12": [40, 0, 0]},
    "lower": {"31": [44, 0, 0]},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "palettes.json"
    path.write_text(json.dumps({"mine": SET, "other": {"upper": {}}}))
    return path


def test_labels_snap_to_the_nearest_or_stay_unknown(file: Path) -> None:
    palette = load_palette(f"{file}:mine")
    assert palette.where == "vertex"
    upper = palette.of_jaw(0)
    rgb = [[0, 0, 0], [12, 0, 0], [20, 0, 0], [38, 3, 0], [40, 25, 0], [250, 255, 255]]
    np.testing.assert_array_equal(upper.labels(np.array(rgb)), [11, 11, -1, 12, -1, 0])
    # between 12 and 31, four units apart, only exact colours are sure
    np.testing.assert_array_equal(palette.labels(np.array([[40, 0, 0], [44, 0, 0], [42, 0, 0]])), [12, 31, -1])


def test_jaw_and_share(file: Path) -> None:
    palette = load_palette(f"{file}:mine")
    assert palette.jaw_of(np.array([[44, 0, 0], [44, 0, 0], [0, 0, 0]])) == 1
    assert palette.jaw_of(np.array([[40, 0, 0], [255, 255, 255]])) == 0
    assert palette.jaw_of(np.array([[255, 255, 255]])) == -1
    assert palette.exact_share(np.array([[44, 0, 0], [45, 0, 0]])) == 0.5


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"background": [255, 255]}, "inhomogeneous"),
        ({"background": [255, 255, 300]}, "0 to 255"),
        ({"upper": {"51": [0, 0, 0]}}, r"permanent teeth: \[51\]"),
        ({"upper": {"front": [0, 0, 0]}}, "front"),
        ({"upper": [1, 2]}, "background"),
    ],
)
def test_sets_of_another_form_are_refused(change: dict, cause: str, file: Path) -> None:
    file.write_text(json.dumps({"mine": {**SET, **change}}))
    with pytest.raises(ConfigError, match=cause):
        load_palette(f"{file}:mine")


def test_specifications_that_name_nothing(file: Path) -> None:
    for spec in ("mine", ":mine", f"{file}:"):
        with pytest.raises(ConfigError, match="FILE:SET"):
            load_palette(spec)
    with pytest.raises(ConfigError, match="available: mine, other"):
        load_palette(f"{file}:yours")
    with pytest.raises(ConfigError, match="no such file or folder"):
        load_palette(f"{file}x:mine")
    with pytest.raises(ConfigError, match="background"):
        load_palette(f"{file}:other")
    file.write_text("{")
    with pytest.raises(ConfigError, match="expected a JSON file"):
        load_palette(f"{file}:mine")


def test_real_palettes(data_dir: Path) -> None:
    for name, where, count in (("3d-iosseg", "face", 33), ("teeth3ds", "vertex", 31)):
        palette = load_palette(f"{data_dir / 'palettes.json'}:{name}")
        assert palette.where == where and len(palette.fdi) == count
        np.testing.assert_array_equal(palette.labels(palette.rgb), palette.fdi)


@pytest.mark.parametrize("old, new", [("[255, 0, 0]", "[99999999999999999999, 0, 0]"), ("11", "99999999999999999999")])
def test_numbers_beyond_all_bounds(old: str, new: str, tmp_path: Path) -> None:
    """Found by tests/fuzz/fuzz.py."""
    text = '{"p": {"background": [0, 0, 0], "upper": {"11": [255, 0, 0]}, "lower": {}}}'
    (tmp_path / "p.json").write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=r"p\.json:p"):
        load_palette(f"{tmp_path / 'p.json'}:p")
