"""Updates for the device doors: the manifest that is due, and what devices say of their progress."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg


def due(
    conn: psycopg.Connection[Any], nums: Sequence[int], limit: int
) -> list[tuple[int, str, bytes, str]]:
    """Return the manifests that these devices should get now."""
    return []


def acknowledged(conn: psycopg.Connection[Any], attempt: UUID) -> None:
    """Note that a device has the manifest."""


def progress(conn: psycopg.Connection[Any], num: int, said: dict[str, Any]) -> None:
    """Take what a device says of its update; ValueError says why it cannot be used."""
