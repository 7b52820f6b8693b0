"""Fixtures: an empty city, a kind of points of interest, and files written on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from twin import db, declarations, kinds, schema

POI = """
kind: poi
topic: base
title: {zh: 兴趣点, en: Point of interest}
geometry: point
code: PO
scope: open
fields:
  address: {type: text, title: {zh: 地址, en: Address}}
  said_district: {type: text, title: {zh: 所报行政区, en: District as reported}}
  said_street: {type: text, title: {zh: 所报街镇, en: Street as reported}}
synonyms: {said_district: [adname, district], said_street: [street_level]}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for files of the test."""
    return tmp_path


@pytest.fixture(scope="module")
def poi(database: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The kind `poi`, added as `twin kinds add` does it."""
    path = tmp_path_factory.mktemp("kinds") / "poi.yaml"
    path.write_text(POI, encoding="utf-8")
    kind = kinds.read_file(path)
    with db.engine("owner").begin() as conn:
        schema.ensure_table(conn, kind)
        declarations.publish(conn, "kind", kind.kind, dict(kind.doc), origin="local", actor="test")
    return kind.kind


@pytest.fixture(scope="module")
def ask(database: str) -> Callable[..., list[Any]]:
    """Ask the database one question."""

    def rows(sql: str, **params: Any) -> list[Any]:
        with db.engine("owner").connect() as conn:
            return list(conn.execute(text(sql), params))

    return rows
