"""The short way to a tile: its path is read here, before routers and their wrappers.

A kept tile costs less than the way through FastAPI to it. The routes stay in `endpoints`, where the
API is described; here the same `answer` runs behind the same access table.
"""

from __future__ import annotations

from psycopg import Error as DatabaseError
from sqlalchemy.exc import DBAPIError
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from services.tiles.endpoints import answer
from services.web import errors
from twin.errors import TwinError

_PREFIX, _SUFFIX = "/tiles/", ".mvt"


class ShortWay:
    """Serves `GET /tiles/{layer}/{z}/{x}/{y}.mvt` and passes all else on."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application; the access table must have been asked before."""
        self.app = app

    @staticmethod
    def takes(scope: Scope) -> bool:
        """Whether an HTTP request asks for a vector tile."""
        path: str = scope["path"]
        return path.startswith(_PREFIX) and path.endswith(_SUFFIX) and scope["method"] == "GET"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a tile, or pass the request on."""
        named = _named(scope) if scope["type"] == "http" and self.takes(scope) else None
        if named is None:
            await self.app(scope, receive, send)
            return
        scope["path_params"] = named
        request = Request(scope, receive)
        try:
            made = await answer(request)
        except TwinError as why:
            made = errors.answer(why)
        except (DatabaseError, DBAPIError) as why:
            made = await errors.database(request, why)
        await made(scope, receive, send)


def _named(scope: Scope) -> dict[str, str] | None:
    parts = scope["path"][len(_PREFIX) : -len(_SUFFIX)].split("/")
    return dict(zip(("layer", "z", "x", "y"), parts, strict=True)) if len(parts) == 4 else None
