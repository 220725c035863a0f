"""Palettes: the colour of each tooth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from toothgraph.errors import ConfigError
from toothgraph.fdi import JAW_NAMES, LOWER, UNKNOWN, UNKNOWN_JAW, UPPER, is_permanent
from toothgraph.io.named_set import load_set

# Editing tools change colours by up to 24 units per channel. A changed colour is still clear if it is more than twice
# as near to its own colour in the palette as to the colour of any other number.
_TOLERANCE = 24


@dataclass(frozen=True, eq=False)
class Palette:
    """Colours of teeth and gingiva.

    Attributes:
        name: the source of the palette, for messages.
        fdi: [n] FDI numbers, 0 gingiva.
        rgb: [n, 3] int64, 0 … 255.
        where: ``"face"`` or ``"vertex"``: which colours of a file are read; empty for either.
    """

    name: str
    fdi: np.ndarray
    rgb: np.ndarray
    where: str = ""

    def of_jaw(self, jaw: int) -> Palette:
        """The colours of one jaw and of gingiva; all colours for an unknown jaw."""
        if jaw == UNKNOWN_JAW:
            return self
        keep = (self.fdi == 0) | ((self.fdi >= 31) == (jaw == LOWER))
        return Palette(self.name, self.fdi[keep], self.rgb[keep], self.where)

    def exact_share(self, rgb: np.ndarray) -> float:
        """The share of the colours [n, 3] that are in the palette without any difference."""
        return float(np.isin(_code(rgb), _code(self.rgb)).mean()) if len(rgb) else 0.0

    def jaw_of(self, rgb: np.ndarray) -> int:
        """The jaw with more exact tooth colours among [n, 3]; unknown if both have equally many."""
        code = _code(rgb)
        upper, lower = (
            int(np.isin(code, _code(self.rgb[(self.fdi > 0) & ((self.fdi >= 31) == is_lower)])).sum())
            for is_lower in (False, True)
        )
        return UNKNOWN_JAW if upper == lower else (UPPER if upper > lower else LOWER)

    def labels(self, rgb: np.ndarray) -> np.ndarray:
        """Colours [n, 3] as FDI numbers [n].

        The nearest colour of the palette within the tolerance counts; -1 if there is none, or if it is not clear.
        """
        colours, inverse = np.unique(_code(rgb), return_inverse=True)
        parts = np.stack([colours >> 16, (colours >> 8) & 255, colours & 255], axis=1)
        distance = np.abs(parts[:, None, :] - self.rgb[None]).max(axis=2)  # [distinct colours, n palette]
        nearest = distance.argmin(axis=1)
        closest = distance[np.arange(len(distance)), nearest]
        others = np.where(self.fdi[None] == self.fdi[nearest][:, None], 1 << 16, distance).min(axis=1)
        sure = (closest <= _TOLERANCE) & (2 * closest < others)
        return np.where(sure, self.fdi[nearest], UNKNOWN)[inverse.reshape(-1)]


def _code(rgb: np.ndarray) -> np.ndarray:
    """Colours [n, 3] as single numbers [n]."""
    red, green, blue = np.asarray(rgb, dtype=np.int64).T
    return (red << 16) | (green << 8) | blue


def load_palette(spec: str) -> Palette:
    """Read ``FILE:SET``, one palette of a JSON file of palettes.

    A set has ``upper`` and ``lower`` (FDI number to [red, green, blue]), ``background`` (the colour of gingiva), and
    optionally ``where``: a text that begins with ``face colour`` or ``vertex colour``.

    Raises:
        ConfigError: if the file or the set is missing, or does not have this form.

    Example:
        >>> import json
        >>> from pathlib import Path
        >>> colours = {"background": [255, 255, 255], "upper": {"11": [255, 0, 0]}}
        >>> _ = Path("palettes.json").write_text(json.dumps({"mine": colours}))
        >>> load_palette("palettes.json:mine").labels(np.array([[255, 0, 0], [250, 255, 255]])).tolist()
        [11, 0]
    """
    content = load_set(spec, "palette")
    try:
        return _parse(spec, content)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise ConfigError(
            f"{spec}: expected `background` and per jaw FDI numbers with [red, green, blue]: {error!r}"
        ) from error


def _parse(spec: str, content: dict[str, Any]) -> Palette:
    pairs = [(0, content["background"])]
    for jaw in (UPPER, LOWER):
        pairs += [(int(fdi), rgb) for fdi, rgb in content.get(JAW_NAMES[jaw], {}).items()]
    fdi = np.array([number for number, _ in pairs], dtype=np.int64)
    rgb = np.array([colour for _, colour in pairs], dtype=np.int64)
    if rgb.shape != (len(fdi), 3) or rgb.min() < 0 or rgb.max() > 255:
        raise ValueError("a colour must be three numbers from 0 to 255")
    if not is_permanent(fdi).all():
        raise ValueError(f"not FDI numbers of permanent teeth: {fdi[~is_permanent(fdi)].tolist()}")
    hint = str(content.get("where", "")).split(" ")[0]
    return Palette(spec, fdi, rgb, hint if hint in ("face", "vertex") else "")
