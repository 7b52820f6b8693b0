"""A partner's Open311 endpoint as a client sees it: post, find again, ask how requests stand; JSON or XML."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any

import httpx

from twin.errors import BadRequest, Unavailable

TIMEOUT_S = 20.0
MAX_ANSWER = 4 << 20
# A clock of the partner may go wrong by this much; found by it, a request is looked for no further back.
SLACK = timedelta(minutes=10)
PAGE, PAGES = 100, 20
Row = dict[str, Any]


class NotReached(Unavailable):
    """The partner does not answer, or not as agreed; it is tried again."""

    code = "partner_away"


class Refused(BadRequest):
    """The partner has looked at the request and does not take it."""

    code = "partner_refused"


class Partner:
    """One endpoint; use as a context manager."""

    def __init__(self, url: str, key: str, form: str, jurisdiction: str) -> None:
        self.form, self.key = form, key
        self.said = {"jurisdiction_id": jurisdiction} if jurisdiction else {}
        self._client = httpx.Client(
            base_url=url.rstrip("/") + "/",
            timeout=TIMEOUT_S,
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Partner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, _: TracebackType | None
    ) -> None:
        self._client.close()

    def post(self, request: Mapping[str, str], token: str) -> Row:
        """Send a request; its answer holds service_request_id, or a token where the number comes later."""
        said = {**self.said, **request, **({"api_key": self.key} if self.key else {})}
        rows = self._ask("POST", "requests", data=said, headers={"Idempotency-Key": token})
        if not rows or not (rows[0].get("service_request_id") or rows[0].get("token")):
            raise NotReached("The partner's answer holds neither service_request_id nor token.")
        return rows[0]

    def find(self, token: str, since: datetime) -> str | None:
        """Return the number under which a request with our token stands there already."""
        start = (since.astimezone(UTC) - SLACK).strftime("%Y-%m-%dT%H:%M:%SZ")
        first: str | None = None
        for page in range(1, PAGES + 1):
            asked = {"start_date": start, "page": page, "page_size": PAGE}
            rows = self._ask("GET", "requests", params={**self.said, **asked})
            for row in rows:
                if token in str(row.get("description") or ""):
                    return str(row["service_request_id"])
            number = str(rows[0].get("service_request_id")) if rows else None
            # Some know no pages and give the same for each.
            if len(rows) < PAGE or number == first:
                return None
            first = first or number
        return None

    def number(self, token: str) -> str | None:
        """Return the number that belongs to a token of theirs, once there is one."""
        rows = self._ask("GET", f"tokens/{token}", params=self.said)
        said = rows[0].get("service_request_id") if rows else None
        return str(said) if said else None

    def standing(self, numbers: Sequence[str]) -> dict[str, Row]:
        """Return how requests stand; those that the partner does not tell of are left out."""
        asked = {**self.said, "service_request_id": ",".join(numbers)}
        rows = self._ask("GET", "requests", params=asked)
        return {str(r["service_request_id"]): r for r in rows if r.get("service_request_id")}

    def _ask(self, method: str, path: str, **said: Any) -> list[Row]:
        try:
            with self._client.stream(method, f"{path}.{self.form}", **said) as answer:
                raw = bytearray()
                for part in answer.iter_bytes():
                    raw += part
                    if len(raw) > MAX_ANSWER:
                        raise NotReached("The partner's answer is larger than 4 MiB.")
        except (httpx.HTTPError, httpx.InvalidURL) as why:
            raise NotReached(f"{type(why).__name__}: {why}"[:300]) from why
        if answer.is_success:
            return parsed(bytes(raw), self.form)
        told = bytes(raw[:300]).decode("utf-8", "replace")
        # Whoever is too busy, or broken, or does not know us yet, may take it later.
        if answer.is_client_error and answer.status_code not in (401, 403, 404, 408, 425, 429):
            raise Refused(f"The partner answered {answer.status_code}: {told}")
        raise NotReached(f"The partner answered {answer.status_code}: {told}")


def parsed(raw: bytes, form: str) -> list[Row]:
    """Return the rows of an answer."""
    try:
        if form == "json":
            said = json.loads(raw)
            rows = said if isinstance(said, list) else [said]
            if not all(isinstance(row, dict) for row in rows):
                raise TypeError("objects are expected")
            return rows
        # Entities need a document type; without one an XML message can only say what it says.
        if re.search(rb"<!DOCTYPE", raw[:2000], re.IGNORECASE):
            raise ValueError("a document type")
        root = ET.fromstring(raw)  # noqa: S314 (no document type, so no entity)
        return [{field.tag: (field.text or "").strip() or None for field in row} for row in root]
    except (ValueError, TypeError, RecursionError, ET.ParseError) as why:
        raise NotReached(f"The partner's answer cannot be read as {form}: {why}"[:300]) from why
