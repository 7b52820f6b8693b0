"""A database of its own for benchmarks that write a lot: the city is neither touched nor bloated."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import numpy as np
import psycopg
import shapely
from psycopg import sql

from twin import db, kinds, things
from twin.settings import settings
from ui.terminal import prepare

WEST, SOUTH, EAST, NORTH = 120.9, 30.75, 122.0, 31.65
SIDE = 4


@contextmanager
def database() -> Iterator[None]:
    """Make an empty twin beside the running one, point this process at it, and drop it in the end."""
    config = settings()
    name = f"twin_bench_{os.getpid()}"
    with psycopg.connect(prepare.admin_url(config, "postgres"), autocommit=True) as conn:
        prepare.ensure_database(conn, name)
    before = os.environ.get("TWIN_DATABASE_URL")
    admin = urlsplit(prepare.admin_url(config, name))
    with psycopg.connect(admin.geturl(), autocommit=True) as conn:
        for extension in prepare.EXTENSIONS:
            conn.execute(sql.SQL("create extension {}").format(sql.Identifier(extension)))
        conn.execute(
            sql.SQL("grant create on database {} to twin_owner").format(sql.Identifier(name))
        )
    try:
        os.environ["TWIN_DATABASE_URL"] = f"postgresql://{admin.hostname}:{admin.port}/{name}"
        db.forget_engines()
        prepare.ensure_tables(people=False)
        _districts()
        yield
    finally:
        for role in ("app", "owner", "tiles"):
            db.engine(role).dispose()
        os.environ.pop("TWIN_DATABASE_URL")
        if before:
            os.environ["TWIN_DATABASE_URL"] = before
        db.forget_engines()
        with psycopg.connect(prepare.admin_url(settings(), "postgres"), autocommit=True) as conn:
            conn.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _districts() -> None:
    """Write sixteen square districts, so that finding the place of a thing costs what it costs."""
    xs, ys = np.linspace(WEST, EAST, SIDE + 1), np.linspace(SOUTH, NORTH, SIDE + 1)
    boxes = [
        shapely.segmentize(shapely.box(xs[i], ys[j], xs[i + 1], ys[j + 1]), 0.003)
        for i in range(SIDE)
        for j in range(SIDE)
    ]
    streets = [
        shapely.segmentize(part, 0.003)
        for box in boxes
        for part in (_quarter(box, i, j) for i in range(4) for j in range(4))
    ]
    with db.engine("app").begin() as conn:
        for kind, shapes, first in (("district", boxes, 310101), ("street", streets, 310101001)):
            codes = [str(first + n) for n in range(len(shapes))]
            many = [shapely.MultiPolygon([s]) for s in shapes]
            things.write(
                conn, kinds.one(conn, kind),
                {"source_key": codes, "code": codes, "name": codes, "geom": shapely.to_wkb(many, hex=True)},
                actor="bench", source="bench",
            )  # fmt: skip


def _quarter(box: shapely.Geometry, i: int, j: int) -> shapely.Geometry:
    west, south, east, north = box.bounds
    w, h = (east - west) / 4, (north - south) / 4
    return shapely.box(west + i * w, south + j * h, west + (i + 1) * w, south + (j + 1) * h)


def patches(start: int, rows: int, total: int, vertices: int = 20) -> np.ndarray:
    """Return polygons of a regular grid over the city, wobbly and apart from each other."""
    gen = np.random.default_rng(start)
    side = int(np.ceil(np.sqrt(total)))
    at = np.arange(start, start + rows)
    step = np.array([(EAST - WEST) / side, (NORTH - SOUTH) / side])
    centre = np.column_stack(
        [WEST + (at % side + 0.5) * step[0], SOUTH + (at // side + 0.5) * step[1]]
    )
    angle = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    radius = (0.36 + 0.09 * gen.random((rows, vertices)))[..., None] * step
    ring = centre[:, None, :] + radius * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.asarray(shapely.polygons(np.concatenate([ring, ring[:, :1]], axis=1)))
