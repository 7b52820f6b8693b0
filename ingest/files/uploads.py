"""Uploaded files on their way into a kind: kept for a day, checked, then loaded by a job."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from ingest.files import corrections, sniff
from ingest.files.load import LoadResult, load
from twin import jobs
from twin.errors import BadRequest, Conflict, NotFound, TooMany, Unavailable
from twin.settings import settings

TASK = "file.load"
KEEP_S = 24 * 3600
# Of one person, all uploads together.
MAX_OWN = 12 * 1024**3
_SPARE = 1024**3
_SAFE = re.compile(r"[^\w.\- ()（）]", re.UNICODE)


@dataclass
class Upload:
    """A file that somebody sent: how much of it is there, and what it is called."""

    id: str
    user: str
    name: str
    bytes: int
    at: float

    @property
    def folder(self) -> Path:
        """The folder of the file and of what belongs to it."""
        return _root() / self.id

    @property
    def path(self) -> Path:
        """The file, under a name that nobody else chose but for its ending."""
        return self.folder / f"data{Path(self.name).suffix.lower()[:12]}"

    @property
    def received(self) -> int:
        """How many bytes are there."""
        return self.path.stat().st_size if self.path.is_file() else 0


def _root() -> Path:
    return settings().home / "uploads"


def begin(user: str, name: str, size: int) -> Upload:
    """Make room for a file of so many bytes; TooMany and Unavailable say why there is none."""
    sweep()
    name = _SAFE.sub("_", Path(name).name.strip())[:120] or "upload"
    if not 0 < size <= sniff.MAX_BYTES:
        raise BadRequest("A file has between one byte and 4 GiB; split it.")
    own = sum(u.bytes for u in _all() if u.user == user)
    if own + size > MAX_OWN:
        raise TooMany("Your uploads of today fill their room; commit or remove some first.")
    made = Upload(id=str(uuid4()), user=user, name=name, bytes=size, at=time.time())
    try:
        made.folder.mkdir(parents=True)
        if shutil.disk_usage(made.folder).free < size + _SPARE:
            made.folder.rmdir()
            raise Unavailable(
                "The disk has no room for this file; free some, or load by `twin load`."
            )
        made.path.touch()
        (made.folder / "upload.json").write_text(json.dumps(asdict(made)), encoding="utf-8")
    except OSError as why:
        raise Unavailable(f"The file could not be stored ({why.strerror}); try later.") from why
    return made


def get(user: str, upload: str) -> Upload:
    """Return an upload of a person; NotFound otherwise."""
    try:
        found = _read(_root() / str(UUID(upload)))
    except ValueError:
        found = None
    if found is None or found.user != user:
        raise NotFound("There is no such upload of yours; uploads are kept for a day.")
    return found


def append(upload: Upload, offset: int, part: bytes) -> int:
    """Add bytes at the end; Conflict names the place where to go on."""
    there = upload.received
    if offset != there:
        raise Conflict(f"The file has {there} bytes here; go on from there.", offset=there)
    if there + len(part) > upload.bytes:
        raise BadRequest(f"The file was said to have {upload.bytes} bytes, and this is more.")
    with upload.path.open("ab") as out:
        out.write(part)
    return there + len(part)


def whole(upload: Upload) -> Path:
    """Return the path of a file that has come whole; Conflict otherwise."""
    if upload.received != upload.bytes:
        raise Conflict(
            f"{upload.received} of {upload.bytes} bytes are here; send the rest first.",
            offset=upload.received,
        )
    return upload.path


def remove(upload: Upload) -> None:
    """Forget a file."""
    shutil.rmtree(upload.folder, ignore_errors=True)


def sweep() -> int:
    """Remove uploads older than a day; return how many."""
    old = [u for u in _all() if u.at < time.time() - KEEP_S]
    for upload in old:
        remove(upload)
    return len(old)


def _all() -> list[Upload]:
    found = [_read(p) for p in _root().iterdir()] if _root().is_dir() else []
    return [u for u in found if u is not None]


def _read(folder: Path) -> Upload | None:
    try:
        return Upload(**json.loads((folder / "upload.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def run(
    upload: Upload, kind: str, options: Mapping[str, Any], *, preview: bool, say: Any = None
) -> LoadResult:
    """Load an upload, or tell what a load would do."""
    return load(
        whole(upload), kind, preview=preview, actor=upload.user, file=upload.name, progress=say,
        source=options.get("source") or Path(upload.name).stem,
        **{k: v for k, v in options.items() if k != "source" and v not in (None, "")},
    )  # fmt: skip


def correct(upload: Upload, cells: corrections.Cells) -> int:
    """Add corrections of cells (row → column → value); return how many rows have some."""
    path = whole(upload)
    known = {row: dict(said) for row, said in corrections.read(path).items()}
    for row, said in cells.items():
        known.setdefault(row, {}).update(said)
    corrections.keep(path, known)
    return len(known)


@jobs.task(TASK)
def _task(job: jobs.Job) -> dict[str, Any]:
    """Load an upload as a job; a job that is taken again finds what was loaded unchanged."""
    upload = get(job.actor, job.args["upload"])
    told = 0.0

    def say(_what: str, share: float) -> None:
        nonlocal told
        # Each word is a transaction of its own.
        if share - told >= 0.01:
            told = share
            job.say(min(share, 0.99))

    preview = bool(job.args.get("preview"))
    done = run(upload, job.args["kind"], job.args["options"], preview=preview, say=say)
    return done.json()
