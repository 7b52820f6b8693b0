"""HTTP doors of alarm rules: /api/v1/rules."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, text

from services.web.auth import Person
from twin import db, declarations, products
from twin.alarms import published, rule, simulate
from twin.errors import DeclarationError, NotFound
from twin.scope import Actor

router = APIRouter(prefix="/api/v1/rules", tags=["alarms"])
Key = Annotated[str, Path(min_length=1, max_length=64)]
Doc = Annotated[dict[str, Any], Field(max_length=20)]


class Trial(BaseModel):
    """A rule, published or not, and the stretch of the past that it is tried over."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    rule: Doc
    start: Annotated[datetime | None, Field(alias="from")] = None
    end: Annotated[datetime | None, Field(alias="to")] = None


class Switch(BaseModel):
    """On or off."""

    enabled: bool


_STATE = text(
    "select s.*, (select count(*) from iot.alarm a where a.rule = s.rule and a.cleared_at is null) "
    "as standing from iot.rule_state s"
)
_COUNTS = text(
    "select rule, count(*) filter (where cleared_at is null) as standing, "
    "count(*) filter (where raised_at > now() - interval '7 days') as week "
    "from iot.alarm where cleared_at is null or raised_at > now() - interval '7 days' group by rule"
)


@router.get("")
def rules(person: Person) -> dict[str, Any]:
    """List the rules that run, with how they fare."""
    with db.engine("app").connect() as conn:
        origin: dict[str, str] = dict(_origins(conn))
        counts = {row.rule: row for row in conn.execute(_COUNTS)}
        state = {row.rule: row for row in conn.execute(_STATE)}
        found = declarations.current(conn, rule.KIND_OF)
        return {
            "rules": [
                _shown(doc, origin.get(key), counts.get(key), state.get(key))
                for key, doc in sorted(found.items())
                if not doc.get("drawn", {}).get("gone")
            ],
            "may_write": person.may("rule.write"),
        }


def _origins(conn: Connection) -> Any:
    return conn.execute(
        text(
            "select distinct on (key) key, origin from twin.declaration where kind_of = 'alarm' "
            "order by key, version desc"
        )
    ).all()


def _shown(doc: dict[str, Any], origin: str | None, counts: Any, state: Any) -> dict[str, Any]:
    form = next(iter(doc["when"]))
    return {
        "key": doc["key"],
        "title": doc["title"],
        "level": doc["level"],
        "product": doc.get("product"),
        "kind": doc.get("kind"),
        "form": form,
        "when": doc["when"][form],
        "enabled": doc.get("enabled", True),
        "version": doc["_version"],
        "origin": origin,
        "standing": counts.standing if counts else 0,
        "week": counts.week if counts else 0,
        "fault": state.fault if state else None,
        "took_ms": state.took_ms if state else None,
        "can_simulate": form in simulate.FORMS,
        "doc": {k: v for k, v in doc.items() if k != "_version"},
    }


@router.post("/check")
def check(said: Doc, person: Person) -> dict[str, Any]:
    """Check a rule without publishing it; what is wrong names the key."""
    with db.engine("app").connect() as conn:
        doc = _checked(conn, said)
    return {"ok": True, "key": doc["key"]}


@router.post("/simulate")
def trial(said: Trial, person: Person) -> dict[str, Any]:
    """Try a rule over the past: which alarms it would have given; nothing rings."""
    end = said.end or datetime.now(UTC)
    start = said.start or end - timedelta(days=7)
    with db.engine("app").connect() as conn:
        made = simulate.simulate(conn, rule.from_doc(_checked(conn, said.rule)), start, end)
        return _mine(conn, person, made)


def _mine(conn: Connection, person: Actor, made: dict[str, Any]) -> dict[str, Any]:
    """Leave out the things that the person may not see; the numbers stay those of the rule."""
    if person.districts is None:
        return made
    codes = [one["code"] for one in made["found"]]
    seen = set(
        conn.scalars(
            text("select code from twin.thing where code = any(:c) and district = any(:d)"),
            {"c": codes, "d": list(person.districts)},
        )
    )
    return made | {"found": [one for one in made["found"] if one["code"] in seen]}


def _checked(conn: Connection, said: dict[str, Any]) -> dict[str, Any]:
    doc = rule.read_source(json.dumps(said, ensure_ascii=False), str(said.get("key", "rule"))[:64])
    for where, why in rule.faults(doc, products.running(conn)):
        raise DeclarationError(doc["key"], None, ".".join(map(str, where)), why)
    return doc


@router.get("/{key}")
def one(key: Key, person: Person) -> dict[str, Any]:
    """Return one rule as it runs."""
    with db.engine("app").connect() as conn:
        found = declarations.current(conn, rule.KIND_OF).get(key)
    if found is None:
        raise NotFound(f"No rule is called {key}.")
    return found


@router.put("/{key}")
def publish(key: Key, said: Doc, person: Person) -> dict[str, Any]:
    """Publish a rule: a new one, or the next version of one that runs."""
    with db.engine("app").begin() as conn:
        doc = _checked(conn, {**said, "key": key})
        number = published.publish(conn, doc, origin="local", actor=person.user)
    return {"key": key, "version": number, "changed": number is not None}


@router.post("/{key}/enabled")
def switch(key: Key, said: Switch, person: Person) -> dict[str, Any]:
    """Switch a rule on or off; switched off, what it rang returns to normal."""
    with db.engine("app").begin() as conn:
        published.switch(conn, key, said.enabled, person.user)
    return {"key": key, "enabled": said.enabled}
