"""The tokens of look and feel: one file for CSS, map styles and legends."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from twin.errors import NotFound

THEMES = ("night", "day")


@lru_cache(maxsize=1)
def tokens() -> dict[str, Any]:
    """Return `layers/tokens.json`."""
    found: dict[str, Any] = json.loads(
        (Path(__file__).parent / "tokens.json").read_text(encoding="utf-8")
    )
    return found


class Palette:
    """The colours of one theme by token name."""

    def __init__(self, theme: str) -> None:
        """Take the theme `night` or `day`."""
        if theme not in THEMES:
            raise NotFound(f"There is no style {theme!r}; ask for night or day.")
        self.theme = theme
        self._colours: dict[str, str] = tokens()["themes"][theme]

    def __getattr__(self, name: str) -> str:
        """Return the colour of a token."""
        try:
            return self._colours[name]
        except KeyError as why:
            raise AttributeError(name) from why

    def get(self, name: str) -> str:
        """Return the colour of a token by a name known at run time; `base` where it is unknown."""
        return self._colours.get(name, self._colours["base"])

    def rgba(self, name: str, alpha: int = 255) -> list[int]:
        """Return the colour as deck.gl takes it."""
        text = self._colours[name].lstrip("#")
        return [int(text[i : i + 2], 16) for i in (0, 2, 4)] + [alpha]
