"""Levels of detail: what stands for many things from afar, kept by the worker from the journal.

Areas become the exact share of each cell that they cover, and outlines of what is covered more or
less; points become dots with how many they stand for. Every piece belongs to one district and one
class (the colour), so that a reader puts together what its scope lets it see and nothing else.
"""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import shapely
from sqlalchemy import Connection, text

from gis import cover, mvt
from gis.tiles import tile_box, tiles_in
from twin import detail
from twin.kinds import Kind

CELLS = 512
DOTS = 64
# A picture of more outlines than this is noise: it is drawn from cells of twice the size, and again.
_MOST_POINTS = 160_000
# The margin of neighbours is a whole cell however often cells are made larger.
_COARSER = 2
_MARGIN = 2**_COARSER
_BATCH = 5_000
_KEEP_CHANGES = "10 minutes"
DOT = np.dtype([("cell", "<u2"), ("n", "<u4"), ("dx", "u1"), ("dy", "u1")])
Tile = tuple[int, int]
Piece = tuple[str, str]  # district, class
_ALL = (None, None, None)


def class_field(kind: Kind) -> str | None:
    """Return the field that colours a kind, when whoever sees the kind may see it too."""
    by = kind.symbol.get("color_by")
    if not by or not kind.symbol.get("colors") or by not in kind.fields:
        return None
    return str(by) if kind.fields[by].level <= kind.level else None


def shape(kind: Kind) -> str:
    """Return what of a declaration its levels depend on: another shape means making them anew."""
    at = detail.of(kind)
    return f"5 {at.low} {at.whole} {class_field(kind) or ''} {kind.scope}"


def finest(kind: Kind) -> int:
    """Return the nearest zoom at which a level stands for the things."""
    return detail.of(kind).whole - 1


def follow(conn: Connection, kinds: Mapping[str, Kind]) -> int:
    """Make one missing level, or bring the kept ones up to the journal; return how much was done."""
    conn.execute(text("select pg_advisory_xact_lock(7009)"))
    kept = {
        row.kind: row for row in conn.execute(text("select kind, shape, seq from twin.level_kind"))
    }
    for name in _worth(conn, kinds):
        if name not in kept or kept[name].shape != shape(kinds[name]):
            build(conn, kinds[name])
            return 1
    gone = [name for name in kept if name not in kinds]
    for name in gone:
        drop(conn, name)
    return len(gone) + _news(conn, {n: kinds[n] for n in kept if n in kinds}, kept)


def _worth(conn: Connection, kinds: Mapping[str, Kind]) -> list[str]:
    """Return the kinds of which there are so many that levels are worth their upkeep."""
    rows = conn.execute(
        text("select kind from twin.kind_count group by kind having sum(things) >= :n"),
        {"n": detail.MANY},
    )
    found = [kinds[row.kind] for row in rows if row.kind in kinds]
    return sorted(k.kind for k in found if k.geometry != "none" and detail.of(k).low != "each")


def drop(conn: Connection, name: str) -> None:
    """Forget the levels of a kind."""
    for table in ("level", "level_kind"):
        conn.execute(text(f"delete from twin.{table} where kind = :k"), {"k": name})
    _tell(conn, name, [_ALL])


def build(conn: Connection, kind: Kind) -> None:
    """Make all levels of a kind from its table."""
    upto = conn.execute(text("select coalesce(max(seq), 0) from twin.sealed")).scalar_one()
    drop(conn, kind.kind)
    box = conn.execute(
        text(
            "select st_xmin(e), st_ymin(e), st_xmax(e), st_ymax(e) "
            f"from (select st_extent(geom) e from {_table(kind)}) q"
        )
    ).one()
    if box[0] is not None:
        left, top, right, bottom = tiles_in(tuple(box), finest(kind))
        every = {(x, y) for x in range(left, right + 1) for y in range(top, bottom + 1)}
        remake(conn, kind, every, new=True)
    conn.execute(
        text("insert into twin.level_kind (kind, shape, seq) values (:k, :f, :s)"),
        {"k": kind.kind, "f": shape(kind), "s": upto},
    )
    _tell(conn, kind.kind, [_ALL])


def _news(conn: Connection, kinds: Mapping[str, Kind], kept: Mapping[str, Any]) -> int:
    """Make anew the tiles that the journal says were touched since each kind was last followed."""
    upto = conn.execute(text("select coalesce(max(seq), 0) from twin.sealed")).scalar_one()
    after = min((kept[n].seq for n in kinds), default=upto)
    if after >= upto:
        return 0
    rows = conn.execute(
        text(
            "select s.seq, j.class, j.kind, j.note, j.lon, j.lat, j.before->'geom' as was, "
            "j.after->'geom' as is from twin.sealed s join twin.journal j on j.id = s.entry "
            "where s.seq > :after and s.seq <= :upto and j.class in ('thing', 'load') "
            "and j.kind = any(:k) order by s.seq limit :n"
        ),
        {"after": after, "upto": upto, "k": list(kinds), "n": _BATCH},
    ).all()
    touched: dict[str, set[Tile]] = defaultdict(set)
    for row in rows:
        if row.seq > kept[row.kind].seq:
            touched[row.kind] |= _touched(conn, kinds[row.kind], row)
    for name, found in touched.items():
        remake(conn, kinds[name], found)
    conn.execute(
        text("update twin.level_kind set seq = :s where kind = any(:k) and seq < :s"),
        {"s": rows[-1].seq if len(rows) == _BATCH else upto, "k": list(kinds)},
    )
    conn.execute(
        text(f"delete from twin.level_change where at < now() - interval '{_KEEP_CHANGES}'")
    )
    return len(rows)


def _touched(conn: Connection, kind: Kind, row: Any) -> set[Tile]:
    """Return the finest tiles in which an entry changed something."""
    if row[1] == "load":
        boxes = _loaded(conn, kind, str((row.note or {}).get("nums") or "{}"))
    else:
        shapes = [said for said in (row.was, row[7]) if said]
        boxes = [shapely.bounds(shapely.from_geojson(json.dumps(said))).tolist() for said in shapes]
        if row.lon is not None:
            boxes.append([row.lon, row.lat, row.lon, row.lat])
    found: set[Tile] = set()
    for box in boxes:
        left, top, right, bottom = tiles_in(tuple(box), finest(kind))
        found |= {(x, y) for x in range(left, right + 1) for y in range(top, bottom + 1)}
    return found


def _loaded(conn: Connection, kind: Kind, nums: str) -> list[Any]:
    """Return where the rows of a load lie, and where they lay before."""
    by_num = "from unnest(cast(:nums as int4multirange)) r join {0} t on t.num >= lower(r) and t.num < upper(r)"
    grid = "st_snaptogrid(st_centroid(st_envelope(t.geom)), 0.02)"
    asked = " union all ".join(
        f"select st_extent(t.geom) as e {by_num.format(where)} {more} group by {grid}"
        for where, more in ((_table(kind), ""), (f"{kind.topic}.history", "where t.kind = :k"))
    )
    rows = conn.execute(
        text(
            f"select st_xmin(e), st_ymin(e), st_xmax(e), st_ymax(e) from ({asked}) q where e is not null"
        ),
        {"nums": nums, "k": kind.kind},
    )
    return [list(row) for row in rows]


def remake(conn: Connection, kind: Kind, base: set[Tile], *, new: bool = False) -> None:
    """Make the finest tiles from the things, and of every coarser one what changed below it."""
    make, merge = (_areas, _shrunk) if detail.of(kind).low == "areas" else (_dots, _gathered)
    top = finest(kind)
    changed: dict[int, dict[Tile, set[Piece]]] = {top: {}}
    for tile in base:
        pieces = _store(conn, kind, top, tile, make(conn, kind, top, tile), None, new)
        if pieces:
            changed[top][tile] = pieces
    for z in range(top - 1, detail.COARSEST - 1, -1):
        above: dict[Tile, set[Piece]] = defaultdict(set)
        for (x, y), pieces in changed[z + 1].items():
            above[x // 2, y // 2] |= pieces
        changed[z] = above
        for tile, pieces in above.items():
            held = _cells(conn, kind, z + 1, _below(tile))
            made = merge({piece: held.get(piece, {}) for piece in pieces}, tile)
            _store(conn, kind, z, tile, made, pieces, new)
    if detail.of(kind).low == "areas":
        for z, found in changed.items():
            for tile, pieces in found.items():
                _outline(conn, kind, z, tile, pieces)
    if not new:
        _tell(conn, kind.kind, [(z, *tile) for z, found in changed.items() for tile in found])


def _tell(
    conn: Connection, name: str, tiles: Iterable[tuple[int | None, int | None, int | None]]
) -> None:
    """Note which tiles changed, for those who hold them in memory."""
    rows = [{"k": name, "z": z, "x": x, "y": y} for z, x, y in tiles]
    if rows:
        conn.execute(
            text("insert into twin.level_change (kind, z, x, y) values (:k, :z, :x, :y)"), rows
        )


def _table(kind: Kind) -> str:
    return f"{kind.topic}.{kind.kind}"


def _rows(conn: Connection, kind: Kind, z: int, tile: Tile, shown: str) -> dict[Piece, list[Any]]:
    """Return what the things in a tile show, by district and class."""
    by = class_field(kind)
    said = f"coalesce(t.\"{by}\"::text, '')" if by else "''"
    # What everybody sees whole needs no borders of districts in it.
    district = "''" if kind.open else "coalesce(t.district, '')"
    west, south, east, north = tile_box(z, *tile)
    rows = conn.execute(
        text(
            f"select {district}, {said}, {shown} from {_table(kind)} t "
            "where t.geom && st_makeenvelope(:w, :s, :e, :n, 4326)"
        ),
        {"w": west, "s": south, "e": east, "n": north},
    )
    found: dict[Piece, list[Any]] = defaultdict(list)
    for row in rows:
        found[row[0], row[1]].append(row[2:])
    return found


def _areas(conn: Connection, kind: Kind, z: int, tile: Tile) -> dict[Piece, bytes | None]:
    """Return the cells of a finest tile of areas."""
    made = {}
    for piece, rows in _rows(conn, kind, z, tile, "st_asbinary(t.geom)").items():
        shapes = shapely.from_wkb(np.array([bytes(row[0]) for row in rows], dtype=object))
        made[piece] = _packed(cover.coverage(shapes, z, *tile, CELLS))
    return made


def _packed(grid: np.ndarray) -> bytes | None:
    cells = np.round(grid * 255).astype(np.uint8)
    return zlib.compress(cells.tobytes(), 1) if cells.any() else None


def _shares(body: bytes) -> cover.Grid:
    cells = np.frombuffer(zlib.decompress(body), np.uint8).reshape(CELLS, CELLS)
    return cells.astype(np.float32) / np.float32(255)


def _below(tile: Tile) -> list[Tile]:
    x, y = tile
    return [(2 * x + i, 2 * y + j) for i in (0, 1) for j in (0, 1)]


def _cells(
    conn: Connection, kind: Kind, z: int, tiles: Iterable[Tile]
) -> dict[Piece, dict[Tile, bytes]]:
    """Return the kept cells of some tiles, by district and class."""
    listed = list(tiles)
    rows = conn.execute(
        text(
            "select l.x, l.y, l.district, l.class, l.body from unnest(cast(:x as int[]), cast(:y as int[])) as w(x, y) "
            "join twin.level l on l.kind = :k and l.z = :z and l.x = w.x and l.y = w.y and l.band = 0"
        ),
        {"k": kind.kind, "z": z, "x": [t[0] for t in listed], "y": [t[1] for t in listed]},
    )
    found: dict[Piece, dict[Tile, bytes]] = defaultdict(dict)
    for row in rows:
        found[row.district, row[3]][row.x, row.y] = bytes(row.body)
    return found


def _shrunk(cells: Mapping[Piece, Mapping[Tile, bytes]], tile: Tile) -> dict[Piece, bytes | None]:
    """Return the cells of a tile from those of the four below it, each the mean of four."""
    half, made = CELLS // 2, {}
    for piece, held in cells.items():
        grid = np.zeros((CELLS, CELLS), np.float32)
        for (x, y), body in held.items():
            column, row = (x - 2 * tile[0]) * half, (y - 2 * tile[1]) * half
            grid[row : row + half, column : column + half] = cover.halved(_shares(body))
        made[piece] = _packed(grid)
    return made


def _outline(conn: Connection, kind: Kind, z: int, tile: Tile, pieces: set[Piece]) -> None:
    """Make the outlines of a tile's cells; the edge of its neighbours joins them without a seam."""
    x, y = tile
    near = [(x + i, y + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    at = {"k": kind.kind, "z": z, "x": x, "y": y}
    rows = []
    for (district, class_), held in _cells(conn, kind, z, near).items():
        if tile in held and (district, class_) in pieces:
            for band, body in _bands(_framed(held, tile)):
                rows.append({**at, "d": district, "c": class_, "b": band, "body": body})
    _insert(conn, rows)


def _framed(held: Mapping[Tile, bytes], tile: Tile) -> cover.Grid:
    """Return the cells of a tile with a margin of its neighbours' around them."""
    m = _MARGIN
    made = np.zeros((CELLS + 2 * m, CELLS + 2 * m), np.float32)
    ways = {-1: (slice(CELLS - m, CELLS), slice(0, m)), 0: (slice(0, CELLS), slice(m, CELLS + m)),
            1: (slice(0, m), slice(CELLS + m, CELLS + 2 * m))}  # fmt: skip
    for (x, y), body in held.items():
        (from_x, to_x), (from_y, to_y) = ways[x - tile[0]], ways[y - tile[1]]
        made[to_y, to_x] = _shares(body)[from_y, from_x]
    return made


def _bands(grid: cover.Grid) -> list[tuple[int, bytes]]:
    """Return the outlines by share, from cells as fine as the picture stays readable."""
    grid, origin = _cropped(grid)
    unit, shares = cover.EXTENT / CELLS, [share / 100 for share in detail.SHARES]
    for _ in range(_COARSER):
        if sum(cover.borders(grid, share) for share in shares) <= _MOST_POINTS:
            break
        grid, unit, origin = cover.halved(grid), unit * 2, (origin[0] // 2, origin[1] // 2)
    made = (
        (band, mvt.rings(cover.outlines(grid, share, origin, unit)))
        for band, share in enumerate(shares, start=1)
    )
    return [(band, raw) for band, raw in made if raw]


def _cropped(grid: cover.Grid) -> tuple[cover.Grid, tuple[int, int]]:
    """Return the part of the framed cells that holds anything, and where it begins in the tile."""
    cut = []
    for axis in (0, 1):
        has = np.flatnonzero((grid > 0).any(axis=1 - axis))
        first, last = (int(has[0]), int(has[-1])) if len(has) else (0, 0)
        cut.append(slice(first // _MARGIN * _MARGIN, (last // _MARGIN + 1) * _MARGIN))
    return grid[cut[0], cut[1]], (cut[1].start - _MARGIN, cut[0].start - _MARGIN)


def _store(
    conn: Connection, kind: Kind, z: int, tile: Tile, made: Mapping[Piece, bytes | None],
    only: set[Piece] | None, new: bool,
) -> set[Piece]:  # fmt: skip
    """Replace the cells of a tile (of some pieces); return the pieces that are not as they were.

    What is drawn from cells that changed goes with them.
    """
    at = {"k": kind.kind, "z": z, "x": tile[0], "y": tile[1]}
    before = {} if new else {p: held[tile] for p, held in _cells(conn, kind, z, [tile]).items()}
    every = {*made, *before} if only is None else only
    changed = {piece for piece in every if made.get(piece) != before.get(piece)}
    if changed and not new:
        conn.execute(
            text(
                "delete from twin.level where kind = :k and z = :z and x = :x and y = :y "
                "and district = :d and class = :c"
            ),
            [{**at, "d": district, "c": class_} for district, class_ in changed],
        )
    found = [(piece, made.get(piece)) for piece in changed]
    _insert(
        conn,
        [{**at, "d": d, "c": c, "b": 0, "body": body} for (d, c), body in found if body],
    )
    return changed


def _insert(conn: Connection, rows: list[dict[str, Any]]) -> None:
    if rows:
        conn.execute(
            text(
                "insert into twin.level (kind, z, x, y, district, class, band, body) "
                "values (:k, :z, :x, :y, :d, :c, :b, :body)"
            ),
            rows,
        )


def _dots(conn: Connection, kind: Kind, z: int, tile: Tile) -> dict[Piece, bytes | None]:
    """Return the dots of a finest tile."""
    point = "t.geom" if kind.geometry == "point" else "st_pointonsurface(t.geom)"
    made = {}
    for piece, rows in _rows(conn, kind, z, tile, f"st_x({point}), st_y({point})").items():
        at = cover.in_tile(np.array(rows, dtype=float), z, *tile, DOTS)
        inside = ((at >= 0) & (at < DOTS)).all(axis=1)
        made[piece] = _gather(at[inside], np.ones(int(inside.sum()), np.int64))
    return made


def _gather(at: np.ndarray, n: np.ndarray) -> bytes | None:
    """Return one dot for each cell with something in it: how many, and where in the middle."""
    if not len(at):
        return None
    column, row = np.floor(at[:, 0]).astype(int), np.floor(at[:, 1]).astype(int)
    cells, which = np.unique(row * DOTS + column, return_inverse=True)
    made = np.zeros(len(cells), DOT)
    total = np.bincount(which, n)
    made["cell"], made["n"] = cells, total
    for name, values in (("dx", at[:, 0] - column), ("dy", at[:, 1] - row)):
        made[name] = np.clip(np.bincount(which, n * values) / total * 256, 0, 255).astype(np.uint8)
    return made.tobytes()


def _gathered(cells: Mapping[Piece, Mapping[Tile, bytes]], tile: Tile) -> dict[Piece, bytes | None]:
    """Return the dots of a tile from those of the four below it."""
    made = {}
    for piece, held in cells.items():
        at, n = [], []
        for (x, y), body in held.items():
            dots = np.frombuffer(body, DOT)
            shift = np.array([x - 2 * tile[0], y - 2 * tile[1]]) * DOTS
            at.append((dot_places(dots) + shift) / 2)
            n.append(dots["n"])
        made[piece] = _gather(np.concatenate(at), np.concatenate(n)) if n else None
    return made


def dot_places(dots: np.ndarray) -> np.ndarray:
    """Return where dots stand, in cells of their tile."""
    column, row = dots["cell"] % DOTS, dots["cell"] // DOTS
    return np.stack([column + (dots["dx"] + 0.5) / 256, row + (dots["dy"] + 0.5) / 256], axis=1)


def kept(conn: Connection) -> frozenset[str]:
    """Return the kinds of which levels are kept."""
    return frozenset(conn.execute(text("select kind from twin.level_kind")).scalars())
