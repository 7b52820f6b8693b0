"""Routes whose function takes the request as it is: nothing is solved or checked on the way.

For doors that are asked thousands of times a second and read their own parameters; what they take
stands in the API description all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute


class Direct(APIRoute):
    """A route that hands the request to its function."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function itself."""
        found: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return found
