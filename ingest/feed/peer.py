"""The other installation over HTTP: pages of its changes, ours sent there, its digests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import httpx

from twin.errors import Unavailable
from twin.settings import settings

TIMEOUT_S = 60.0


class PeerError(Unavailable):
    """The other side cannot be reached, or does not answer as agreed."""

    code = "peer"


def secret_name(feed: str) -> str:
    """Return the name of the secret that holds the token for a feed."""
    return f"feed-{feed}"


class Peer:
    """One peer; use as a context manager."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self._client = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/v1",
            headers={"Authorization": f"Bearer {settings().secret(secret_name(name))}"},
            timeout=TIMEOUT_S,
        )

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, _: TracebackType | None
    ) -> None:
        self._client.close()

    def me(self) -> dict[str, Any]:
        """Return how the peer knows us: user, districts, clearance."""
        return self._ask("GET", "/changes/me")

    def changes(self, after: str, kinds: Sequence[str] | None, limit: int) -> dict[str, Any]:
        """Return a page of the peer's changes."""
        asked = {"after": after, "limit": limit, **_kinds(kinds)}
        return self._ask("GET", "/changes", params=asked)

    def send(self, changes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Send changes; return what came of each, in their order."""
        results = self._ask("POST", "/changes", json={"changes": list(changes)})["results"]
        if len(results) != len(changes):
            raise PeerError(
                f"{self.name} answered {len(results)} results for {len(changes)} changes."
            )
        return list(results)

    def digest(self, kinds: Sequence[str] | None) -> dict[str, Any]:
        """Return count and SM3 by kind and district."""
        return dict(self._ask("GET", "/changes/digest", params=_kinds(kinds))["kinds"])

    def things(self, kind: str, district: str) -> Iterator[tuple[str, str]]:
        """Yield (id, sm3) of the things of a kind in a district."""
        after: str | None = ""
        while after is not None:
            asked = {"district": district, "after": after}
            page = self._ask("GET", f"/changes/digest/{kind}", params=asked)
            yield from (tuple(row) for row in page["things"])
            after = page["next"]

    def _ask(self, method: str, path: str, **said: Any) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, **said)
            if answer.is_success:
                return dict(answer.json())
            detail = str(answer.json().get("detail", ""))[:300]
        except (httpx.HTTPError, ValueError) as why:
            raise PeerError(f"{self.name} does not answer: {why or type(why).__name__}.") from why
        raise PeerError(f"{self.name} answered {answer.status_code}: {detail}")


def _kinds(kinds: Sequence[str] | None) -> dict[str, str]:
    return {"kinds": ",".join(kinds)} if kinds else {}
