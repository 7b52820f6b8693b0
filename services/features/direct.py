"""Routes whose function takes the request as it is: nothing is solved or checked on the way.

For doors that are asked thousands of times a second and read their own parameters; what they take
stands in the API description all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from services.web import collections as others


class Direct(APIRoute):
    """A route that hands the request to its function."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function itself."""
        found: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return found

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match as usual, except for collections of other domains: this route may stand first."""
        match, found = super().matches(scope)
        if match != Match.NONE:
            if found.get("path_params", {}).get("collectionId") in others.names:
                return Match.NONE, {}
        return match, found
