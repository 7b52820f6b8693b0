"""Fixtures of these tests: the API over the mini city."""

from __future__ import annotations

from tests.services.conftest import api

__all__ = ["api"]
