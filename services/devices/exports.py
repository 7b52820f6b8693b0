"""Values of many devices as a file: raw or rolled up, bounded, made by a job that tells how far it is."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import psycopg
from sqlalchemy import Connection, text

from twin import db, deviceview, jobs, journal, products
from twin.errors import BadRequest, NotFound
from twin.jobs import Job
from twin.products import Product
from twin.scope import Actor
from twin.settings import settings
from twin.telemetry import store

TASK = "devices.export"
GRAINS = ("raw", "minute", "hour")
# A file stays for so long; the worker's next export sweeps what is older.
KEPT = timedelta(days=2)
MOST_DAYS = {"raw": 31, "minute": 92, "hour": 1100}
MOST_DEVICES = 20_000
MOST_ROWS = 5_000_000
Copied = psycopg.Connection[Any]


def ask(
    conn: Connection, actor: Actor, *, product: str, district: str | None, grain: str,
    start: datetime, end: datetime,
) -> int:  # fmt: skip
    """Put an export into the queue for the devices that the actor may see; return the job."""
    products.one(conn, product)
    if end - start > timedelta(days=MOST_DAYS[grain]):
        raise BadRequest(f"An export of this kind has at most {MOST_DAYS[grain]} days.")
    nums = [
        row.num for row in deviceview.every(conn, actor, product)
        if district is None or row.district == district
    ]  # fmt: skip
    if not nums or len(nums) > MOST_DEVICES:
        raise BadRequest(f"An export has 1 to {MOST_DEVICES} devices; there are {len(nums)}.")
    args = {
        "product": product, "grain": grain, "nums": nums,
        "start": start.isoformat(), "end": end.isoformat(),
    }  # fmt: skip
    note = {**args, "nums": len(nums), "district": district}
    journal.append(conn, cls="security", action="devices.export", actor=actor.user, note=note)
    job = jobs.enqueue(conn, TASK, args, actor=actor.user)
    assert job is not None  # without a key nothing stands in the way
    return job


def _root() -> Path:
    root = settings().home / "exports" / "devices"
    root.mkdir(parents=True, exist_ok=True)
    return root


def file_of(conn: Connection, actor: Actor, job: int) -> Path:
    """Return the file of a finished export of the actor."""
    said = jobs.state(conn, job)
    path = _root() / f"{job}.zip"
    if said["actor"] != actor.user or said["task"] != TASK or not path.is_file():
        raise NotFound("There is no such export, or its file has been cleared away.")
    return path


@jobs.task(TASK)
def export(job: Job) -> dict[str, Any]:
    """Write the values of devices into a zipped CSV, a day at a time."""
    _sweep()
    start, end = (datetime.fromisoformat(job.args[k]) for k in ("start", "end"))
    with db.engine("app").connect() as conn:
        model = products.one(conn, job.args["product"])
        raw = cast(Copied, conn.connection.driver_connection)
        names = _names(conn, job.args["nums"])
        path = _root() / f"{job.id}.zip"
        part = path.with_suffix(".part")
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as made:
            made.writestr("devices.csv", names)
            with made.open("values.csv", "w") as out:
                out.write("\ufeff".encode())
                rows = 0
                for i, (a, b, share) in enumerate(_days(start, end)):
                    rows += _copy(raw, out, _statement(model, job.args["grain"]),
                                  (a, b, job.args["nums"]), header=i == 0)  # fmt: skip
                    job.say(share)
                    if rows > MOST_ROWS:
                        raise BadRequest(f"This is more than {MOST_ROWS:,} rows; ask for less.")
        part.rename(path)
    return {"rows": rows, "bytes": path.stat().st_size, "file": f"/api/v1/devices/exports/{job.id}"}


def _sweep() -> None:
    for file in _root().iterdir():
        age = datetime.now(UTC) - datetime.fromtimestamp(file.stat().st_mtime, UTC)
        if age > KEPT:
            file.unlink(missing_ok=True)


def _days(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime, float]]:
    at = start
    while at < end:
        after = min(at + timedelta(days=1), end)
        yield at, after, (after - start) / (end - start)
        at = after


def _names(conn: Connection, nums: list[int]) -> str:
    rows = conn.execute(
        text(
            "select d.num, d.product, d.device, t.code, t.name, t.district, t.street, "
            "st_x(t.point) as lon, st_y(t.point) as lat from twin.device d "
            "join twin.thing t on t.num = d.num where d.num = any(:n) order by d.num"
        ),
        {"n": nums},
    )
    lines = ["num,product,device,code,name,district,street,lon,lat"]
    for row in rows:
        lines.append(",".join(_cell(value) for value in row))
    return "\ufeff" + "\r\n".join(lines) + "\r\n"


def _cell(value: Any) -> str:
    said = "" if value is None else str(value)
    if said[:1] in "=+@":
        said = f"'{said}"
    return '"' + said.replace('"', '""') + '"' if set(said) & set(',"\r\n') else said


def _statement(model: Product, grain: str) -> str:
    if grain != "raw":
        return (
            f"select num, property, at, n, low, mean, high from iot.{grain} "
            "where at >= %s and at < %s and num = any(%s) order by num, property, at"
        )
    listed = "".join(f', "{one.name}"' for one in model.properties)
    return (
        f"select num, at, received{listed} from {store.up(model.key)} "
        "where at >= %s and at < %s and num = any(%s) order by num, at"
    )


def _copy(raw: Copied, out: Any, asked: str, said: tuple[Any, ...], *, header: bool) -> int:
    rows = -1 if header else 0
    # COPY takes no parameters on the wire: the client puts them in, quoted.
    with psycopg.ClientCursor(raw) as cursor:
        whole = cursor.mogrify(asked, said)
        head = str(header).lower()
        with cursor.copy(
            cast(Any, f"copy ({whole}) to stdout (format csv, header {head})")
        ) as copy:
            for block in copy:
                data = bytes(block)
                rows += data.count(b"\n")
                out.write(data)
    return rows
