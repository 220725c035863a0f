from __future__ import annotations

from pathlib import Path

import pytest

from toothgraph.errors import ConfigError
from toothgraph.io.named_set import load_set


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("sets.json", "expected a palette as FILE:SET, got 'sets.json'"),
        ("none.json:a", "none.json: no such file"),
        ("bad.json:a", "bad.json: expected a JSON file of palettes"),
        ("sets.json:mime", "contains no palette 'mime'; available: mine, other; did you mean 'mine'"),
        ("sets.json:other", "sets.json:other: expected a palette, an object in braces, found 5"),
    ],
)
def test_what_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.json").write_text("{")
    Path("sets.json").write_text('{"mine": {"x": 1}, "other": 5}')
    assert load_set("sets.json:mine", "palette") == {"x": 1}
    with pytest.raises(ConfigError, match=message):
        load_set(spec, "palette")
