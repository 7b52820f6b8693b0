"""What a code leads to: the public card of a thing, and a citizen's report about it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import Connection, text

from services.codes.labels import Label
from twin import calendar, cases, catalogue, deviceview, filters, intake, names
from twin.errors import BadRequest, NotFound
from twin.eventview import PROCESS
from twin.kinds import Kind
from twin.scope import ANONYMOUS, Actor, visible
from twin.tables import table

MAX_LABELS = 2_400
MAX_TEXT = 1_000
_DIGEST = re.compile(r"^[0-9a-f]{64}$")
NONE = "There is no public page for this code."


def public(conn: Connection, code: str) -> dict[str, Any]:
    """Return what anybody may know of a thing; NotFound alike for whatever is not public."""
    row = conn.execute(
        text("select kind from twin.thing where code = :c and gone_at is null"), {"c": code}
    ).first()
    known = catalogue.readable(conn, ANONYMOUS)
    kind = known.get(row.kind) if row else None
    if kind is None or not kind.public or kind.level > 1:
        raise NotFound(NONE)
    shown = _shown(conn, kind, code)
    shown["report"] = _categories(conn, kind)
    return shown


def _shown(conn: Connection, kind: Kind, code: str) -> dict[str, Any]:
    made = table(kind)
    fields = [kind.fields[n] for n in kind.card if n in kind.fields and kind.fields[n].level == 1]
    more = [n for n in (kind.story, kind.pictures) if n and kind.fields[n].level == 1]
    wanted = dict.fromkeys([*(f.name for f in fields), *more])
    point: list[Any] = []
    if kind.geometry != "none":
        middle = sa.func.public.ST_PointOnSurface(made.c.geom)
        point = [
            sa.func.public.ST_X(middle).label("lon"), sa.func.public.ST_Y(middle).label("lat"),
        ]  # fmt: skip
    head = ("code", "name", "state", "district", "street", "updated_at", "source")
    row = (
        conn.execute(
            sa.select(*(made.c[n] for n in (*head, *wanted)), *point).where(
                made.c.code == code, visible(ANONYMOUS, made, kind)
            )
        )
        .mappings()
        .first()
    )
    if row is None:
        raise NotFound(NONE)
    places = names.things(conn)
    return {
        "kind": kind,
        "code": code,
        "name": row["name"],
        "state": row["state"],
        "place": "".join(places.get(row[k] or "", "") for k in ("district", "street")),
        "fields": [(f, row[f.name]) for f in fields if row[f.name] is not None and f.name not in more],
        "story": row[kind.story] if kind.story in wanted else None,
        "pictures": _pictures(row[kind.pictures]) if kind.pictures in wanted else [],
        "point": (row["lon"], row["lat"]) if point and row["lon"] is not None else None,
        "updated_at": row["updated_at"],
        "generated": row["source"] == "demo",
    }  # fmt: skip


def _pictures(said: Any) -> list[str]:
    return [str(one) for one in (said if isinstance(said, list) else [said]) if one]


def picture(conn: Connection, code: str, number: int) -> str:
    """Return the digest of a picture of a public thing."""
    found = public(conn, code)["pictures"]
    digest = str(found[number]).rsplit("/", 1)[-1] if number < len(found) else ""
    if not _DIGEST.match(digest):
        raise NotFound(NONE)
    return digest


def known(conn: Connection, actor: Actor, code: str) -> None:
    """Raise NotFound unless the actor may see the thing of a code."""
    row = conn.execute(
        text("select kind from twin.thing where code = :c and gone_at is null"), {"c": code}
    ).first()
    if row is not None and row.kind in catalogue.readable(conn, actor):
        kind = catalogue.one(conn, actor, row.kind)
        made = table(kind)
        query = sa.select(made.c.num).where(made.c.code == code, visible(actor, made, kind))
        if conn.execute(query).first():
            return
    raise NotFound("There is no such thing that you may see.")


def _categories(conn: Connection, kind: Kind) -> list[tuple[str, Mapping[str, str]]]:
    """Return what may be reported: the categories of the thing's own domain first."""
    said = cases.current(conn, PROCESS)["categories"]
    order = sorted(said.items(), key=lambda item: item[1]["domain"] != kind.topic)
    return [(key, one["title"]) for key, one in order]


def report(conn: Connection, code: str, form: Mapping[str, str], once: str) -> str:
    """Open an event about a thing from its public page and return the event's code."""
    thing = public(conn, code)
    if thing["point"] is None:
        raise BadRequest("This thing has no place; report the problem on the map.")
    category = form.get("category", "")
    titles = dict(thing["report"])
    if category not in titles:
        raise BadRequest("Choose what kind of problem it is.")
    description = form.get("description", "").strip()
    if not description or len(description) > MAX_TEXT:
        raise BadRequest(f"Say in 1 to {MAX_TEXT} characters what is wrong.")
    draft = intake.Draft(
        source="code_page", source_id=hashlib.sha256(f"{code} {once}".encode()).hexdigest()[:32],
        category=category, title=titles[category]["zh"], description=description,
        lon=thing["point"][0], lat=thing["point"][1],
        address=f"{thing['place']} {thing['name']}".strip(),
        more={"thing": code, "contact": form.get("contact", "")[:60] or None},
    )  # fmt: skip
    case = intake.take(conn, draft, actor=ANONYMOUS).case
    return str(case["code"])


def open_now(hours: str | None, now: datetime) -> bool | None:
    """Tell whether `06:00-22:00` (also several, by comma) holds now; None when it says no such thing."""
    if not hours:
        return None
    minute = now.astimezone(calendar.ZONE)
    at = minute.hour * 60 + minute.minute
    for part in hours.replace("，", ",").replace("—", "-").replace("～", "-").split(","):
        begin, sign, end = part.strip().partition("-")
        try:
            spans = [int(h) * 60 + int(m) for h, m in (t.strip().split(":") for t in (begin, end))]
        except ValueError:
            return None
        if not sign:
            return None
        inside = (
            spans[0] <= at < spans[1] if spans[0] <= spans[1] else at >= spans[0] or at < spans[1]
        )
        if inside:
            return True
    return False


def device(conn: Connection, actor: Actor, code: str) -> str | None:
    """Return `product/name` of the device of a thing that the actor may see; None where there is none."""
    where, params = deviceview.where(conn, actor)
    row = conn.execute(
        text(f"select d.product, d.device {deviceview.FROM} where {where} and t.code = :code"),
        {**params, "code": code},
    ).first()
    return f"{row.product}/{quote(row.device, safe='')}" if row else None


def labels(
    conn: Connection,
    actor: Actor,
    kind_name: str,
    *,
    codes: list[str] | None,
    box: tuple[float, float, float, float] | None,
    filter_: str | None,
    limit: int,
) -> list[Label]:
    """Return the labels of a selection, in the order of their codes, as the actor may see it."""
    kind = catalogue.one(conn, actor, kind_name)
    made = table(kind)
    where = [visible(actor, made, kind)]
    if codes:
        where.append(made.c.code.in_(codes))
    if box and kind.geometry != "none":
        envelope = sa.func.public.ST_MakeEnvelope(*box, 4326)
        where += [
            made.c.geom.op("&&")(envelope),
            sa.func.public.ST_Intersects(made.c.geom, envelope),
        ]
    if filter_:
        allowed = catalogue.fields(kind, actor)
        where.append(filters.compile_filter(filter_, made.c, kind, names=allowed))
    rows = conn.execute(
        sa.select(made.c.code, made.c.name, made.c.district, made.c.street)
        .where(*where).order_by(made.c.code).limit(limit)
    ).all()  # fmt: skip
    if not rows:
        raise NotFound("Nothing that you may see fits this selection.")
    places = names.things(conn)
    return [
        Label(code=r.code, name=r.name, kind=kind.title["zh"],
              place="".join(places.get(k or "", "") for k in (r.district, r.street)))
        for r in rows
    ]  # fmt: skip
