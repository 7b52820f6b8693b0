"""How much of a kind a tile holds at each zoom: `tiles:` of its declaration, with good defaults.

Near, each thing is drawn itself. From afar, a kind with many things is drawn by a level of detail:
areas merged with the share of the ground that they cover, or dots with how many they stand for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from twin.beside import Beside
from twin.kinds import Kind

# The levels that are kept, and how many things of a kind make them worth keeping.
FINEST, COARSEST = 12, 7
DOTS_FINEST = 13
MANY = 10_000
# Merged areas: outlines of the ground that is covered by at least this much (%), one upon the other.
SHARES = (8, 30, 60)
# Attributes of the card come with the zoom at which a person reads cards.
CARD_FROM = 14
LOW = {"point": "dots", "polygon": "areas", "line": "each", "none": "each"}
# The ground of every map has zooms of its own, whatever its kinds say.
BASE_FIRST = {"district": 0, "street": 10, "water_body": 0, "green_space": 11, "park": 9, "road": 7,
              "building": 13}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Detail:
    """What stands in tiles: `low` is `areas`, `dots` or `each`; `whole` the zoom of single things."""

    low: str
    first: int
    whole: int
    order: str | None
    fields: tuple[str, ...] | None

    def merged(self, zoom: int) -> bool:
        """True where a level of detail stands for the things, once it is kept."""
        return self.low != "each" and zoom < self.whole


_made: Beside[Kind, Detail] = Beside(2048)


def of(kind: Kind) -> Detail:
    """Return the detail of a kind: what it declares, else what its shape suggests; made once a kind."""
    return _made.get(kind, _read)


def _read(kind: Kind) -> Detail:
    said = kind.tiles
    low = str(said.get("low", LOW[kind.geometry]))
    finest = DOTS_FINEST if low == "dots" else FINEST
    whole = min(int(said.get("whole", finest + 1)), finest + 1)
    fields = said.get("fields")
    return Detail(
        low=low,
        first=int(said.get("first", BASE_FIRST.get(kind.kind, _first(kind)))),
        whole=whole,
        order=said.get("order"),
        fields=tuple(fields) if fields is not None else None,
    )


def _first(kind: Kind) -> int:
    """Single things appear a zoom before their symbol, as a dot or a wash."""
    return max(0, int(kind.symbol.get("min_zoom", 12)) - 1)


def attributes(kind: Kind, zoom: int, allowed: Iterable[str]) -> list[str]:
    """Return the fields that a tile carries at a zoom: those of the symbol, later those of the card."""
    may = set(allowed)
    drawn = [str(kind.symbol[k]) for k in ("color_by", "label", "width_by") if k in kind.symbol]
    drawn += ["class"] if kind.kind == "road" else []
    detail = of(kind)
    more = kind.card if detail.fields is None else detail.fields
    wanted = (*drawn, *more) if zoom >= CARD_FROM else drawn
    return [f for f in dict.fromkeys(wanted) if f in may]


def first_zoom(kind: Kind, levels: bool) -> int:
    """Return the zoom from which tiles hold something; a kept level goes back to the coarsest."""
    detail = of(kind)
    return min(detail.first, COARSEST) if levels and detail.low != "each" else detail.first


def shows(kind: Kind, zoom: int, *, kept: bool, stands: bool) -> str:
    """Return what a tile of a zoom holds: `nothing`, a `level`, or `things` themselves.

    `kept` tells that levels of the kind are kept, `stands` that they show what is asked: where they
    do not (a filter, a part of a district), things are drawn as far out as the levels go.
    """
    if zoom < first_zoom(kind, kept):
        return "nothing"
    return "level" if stands and of(kind).merged(zoom) else "things"
