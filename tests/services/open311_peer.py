"""A small Open311 server: keeps each request in a file, can be killed at any moment, knows no idempotency."""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit
from xml.sax.saxutils import escape

FOLDER = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()


def mode() -> str:
    """Return what the test has asked this server to do."""
    path = FOLDER / "mode"
    return path.read_text() if path.exists() else ""


def kept() -> list[dict[str, Any]]:
    """Return all requests, the oldest first."""
    return [
        json.loads(p.read_text()) for p in sorted(FOLDER.glob("*.json"), key=lambda p: int(p.stem))
    ]


def keep(said: dict[str, str]) -> dict[str, Any]:
    """Write a request down so that it survives a kill."""
    number = len(list(FOLDER.glob("*.json"))) + 1
    now = datetime.now(UTC).isoformat()
    row = {"service_request_id": f"P{number}", "status": "open", "status_notes": "", "requested_datetime": now,
           **said}  # fmt: skip
    part = FOLDER / f"{number}.part"
    part.write_text(json.dumps(row, ensure_ascii=False))
    part.rename(FOLDER / f"{number}.json")
    return row


class Handler(BaseHTTPRequestHandler):
    """GeoReport v2 as far as a client that hands on needs it."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def answer(self, rows: list[dict[str, Any]], status: int = 200) -> None:
        """Answer rows as the ending asks."""
        if urlsplit(self.path).path.endswith(".xml"):
            inner = "".join(
                f"<request>{''.join(f'<{k}>{escape(str(v))}</{k}>' for k, v in row.items())}</request>"
                for row in rows
            )
            raw = f'<?xml version="1.0" encoding="utf-8"?><service_requests>{inner}</service_requests>'.encode()
        else:
            raw = json.dumps(rows, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_POST(self) -> None:
        """Take a request."""
        said = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        now = mode()
        if now == "broken":
            return self.answer([{"code": 503, "description": "later"}], 503)
        if said.get("api_key") != "k1":
            return self.answer([{"code": 403, "description": "key"}], 403)
        if now == "refuse":
            return self.answer([{"code": 400, "description": "no such service"}], 400)
        row = keep(said)
        if now == "die":
            os._exit(9)
        if now == "hang":
            time.sleep(60)
        if now == "token":
            return self.answer([{"token": f"t{row['service_request_id']}"}], 201)
        return self.answer([{"service_request_id": row["service_request_id"]}], 201)

    def do_GET(self) -> None:
        """List requests, one page at a time, or give the number of a token."""
        parts = urlsplit(self.path)
        asked = {k: v[0] for k, v in parse_qs(parts.query).items()}
        if "/tokens/" in parts.path:
            token = parts.path.rsplit("/", 1)[1].rpartition(".")[0]
            return self.answer([{"service_request_id": token[1:], "token": token}])
        rows = kept()
        if "service_request_id" in asked:
            rows = [
                r for r in rows if r["service_request_id"] in asked["service_request_id"].split(",")
            ]
        size, page = int(asked.get("page_size", 50)), int(asked.get("page", 1))
        self.answer(rows[(page - 1) * size : page * size])


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
