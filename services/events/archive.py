"""The archive of an event: all evidence, the whole story, and proofs that anybody can check without us."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from services.events import report_pdf, service
from twin import cases, declarations, ledger, proofs
from twin.errors import NotFound, TooLarge, Unavailable
from twin.eventview import View
from twin.files import path_of
from twin.scope import Actor
from twin.settings import settings

MOST_BYTES = 300 << 20
ENDINGS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "application/pdf": "pdf"}
# The same bytes for the same event: no clock of the machine goes into the archive.
_STAMP = (2020, 1, 1, 0, 0, 0)
ABOUT = """# {code}

{title}

- event.json: the event as it stands; story.json: every step, who and when; report.pdf: the same to read
- evidence/: photos as they were uploaded; their names are the SHA-256 of their bytes
- proofs.json: each entry of the journal exactly as it lies under the seal, its audit path (RFC 9162, SM3
  for SHA-256), and the checkpoints signed with SM2; public.pem: the key of the signatures
- manifest.json: the SHA-256 of every file; verify.py: checks all of it with nothing but Python

    python3 verify.py
"""


def made(conn: Connection, actor: Actor, key: str) -> tuple[str, bytes]:
    """Return the code of an event and its archive as a ZIP."""
    case = cases.find(conn, actor, key)
    if case["process"] != cases.CITY:
        raise NotFound("There is no such event, or it is outside your districts.")
    shown = View(conn).show(case, actor)
    story = service.story(conn, actor, key)["entries"]
    files = {
        "README.md": ABOUT.format(code=case["code"], title=case["title"]).encode(),
        "event.json": _json({k: v for k, v in shown.items() if k != "actions"}),
        "story.json": _json(story),
        "report.pdf": report_pdf.made(conn, actor, key)[1],
        **_proofs(conn, case),
        **_evidence(conn, case),
    }
    # Children of the event (supervision) are part of its story.
    for child in _children(conn, case):
        files[f"children/{child['code']}.json"] = _json(child)
    files["manifest.json"] = _json({n: hashlib.sha256(b).hexdigest() for n, b in files.items()})
    files["verify.py"] = (declarations.DATA / "archive" / "verify.py").read_bytes()
    return str(case["code"]), _zip(case["code"], files)


def _json(said: Any) -> bytes:
    return json.dumps(said, ensure_ascii=False, indent=1, default=_plain).encode()


def _plain(value: Any) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


def _proofs(conn: Connection, case: Mapping[str, Any]) -> dict[str, bytes]:
    entries = proofs.of_case(conn, case["id"])
    said = {"origin": ledger.ORIGIN, "entries": entries,
            "checkpoints": proofs.checkpoints(conn, entries)}  # fmt: skip
    public = settings().home / "secrets" / "checkpoint-public.pem"
    if not public.is_file():
        raise Unavailable("The public key of the checkpoints is missing; run ./up once.")
    return {"proofs.json": _json(said), "public.pem": public.read_bytes()}


def _evidence(conn: Connection, case: Mapping[str, Any]) -> dict[str, bytes]:
    urls = [p["url"] if isinstance(p, dict) else p for p in case["data"].get("photos", [])]
    hashes = [u.rsplit("/", 1)[-1] for u in urls]
    rows = conn.execute(
        text("select hash, bytes, type from twin.file where hash = any(:h)"), {"h": hashes}
    ).all()
    if sum(r.bytes for r in rows) > MOST_BYTES:
        raise TooLarge("The evidence is larger than 300 MiB; fetch the photos one by one.")
    found = {}
    for row in rows:
        path = path_of(row.hash)
        if not path.is_file():
            raise Unavailable(f"The file {row.hash[:12]} is not on the disk; restore it first.")
        found[f"evidence/{row.hash}.{ENDINGS.get(row.type, 'bin')}"] = path.read_bytes()
    return found


def _children(conn: Connection, case: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = conn.execute(
        text(
            'select code, process, state, title, data, opened_at, closed_at from twin."case" where parent = :id'
        ),
        {"id": case["id"]},
    )
    return [dict(r._mapping) for r in rows]


def _zip(code: str, files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as box:
        for name, raw in files.items():
            one = zipfile.ZipInfo(f"{code}/{name}", _STAMP)
            one.compress_type = (
                zipfile.ZIP_STORED if name.startswith("evidence/") else zipfile.ZIP_DEFLATED
            )
            one.external_attr = 0o644 << 16
            box.writestr(one, raw)
    return out.getvalue()
