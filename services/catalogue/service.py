"""The catalogue: each kind with its provider, level, share type, extent, count, freshness, quality."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from layers.databases import databases, departments
from services.catalogue import repository
from twin import catalogue, counts, units
from twin.kinds import Kind
from twin.rulebook import rules, seconds
from twin.scope import Actor

TOPICS = {
    "greening": {"zh": "绿化", "en": "Greening"},
    "forestry": {"zh": "林业", "en": "Forestry"},
    "sanitation": {"zh": "环卫", "en": "Sanitation"},
    "appearance": {"zh": "市容", "en": "City appearance"},
    "landscape": {"zh": "景观", "en": "Landscape"},
    "base": {"zh": "底图", "en": "Base map"},
}
SHARES = {
    "open": {"zh": "无条件共享", "en": "Unconditional"},
    "conditional": {"zh": "有条件共享", "en": "Conditional"},
    "closed": {"zh": "不予共享", "en": "Not shared"},
}


class Catalogue:
    """What one actor may know of the kinds, read once a request."""

    def __init__(self, conn: Connection, actor: Actor, only: str | None = None) -> None:
        self.conn, self.actor = conn, actor
        self.kinds = catalogue.readable(conn, actor)
        if only is not None:
            self.kinds = {only: catalogue.one(conn, actor, only)}
        self.rows = counts.by_district(conn, actor, self.kinds)
        self.counted = counts.of_kinds(conn, actor, self.kinds)
        self.scores = repository.scores(conn, actor, self.kinds)
        self.failing = repository.failures_by_rule(conn, actor, self.kinds)
        self.dates = repository.published(conn)
        self.now = datetime.now(UTC)

    def items(self) -> list[dict[str, Any]]:
        """Return every kind, in the order of topics and databases."""
        order = list(TOPICS)
        listed = sorted(self.kinds.values(), key=lambda k: (order.index(k.topic), k.kind))
        return [self.item(kind) for kind in listed]

    def item(self, kind: Kind) -> dict[str, Any]:
        """Return one kind as lists show it."""
        found = self.counted[kind.kind]
        span = seconds(kind.update_every)
        age = (self.now - found.freshest).total_seconds() if found.freshest else None
        known = databases()
        return {
            "kind": kind.kind,
            "title": dict(kind.title),
            "topic": kind.topic,
            "topic_title": TOPICS[kind.topic],
            "databases": [
                {"key": d, "title": dict(known[d].title)} for d in kind.databases if d in known
            ],
            "geometry": kind.geometry,
            "level": f"L{kind.level}",
            "share": kind.share,
            "share_title": SHARES[kind.share],
            "provider": _provider(kind),
            "source_system": kind.source_system,
            "update_every": kind.update_every,
            "fields": len(catalogue.fields(kind, self.actor)),
            "things": found.things,
            "extent": list(found.extent) if found.extent else None,
            "freshest": found.freshest,
            "fresh": None if span is None or age is None else age <= span,
            "published_at": self.dates[kind.kind].first if kind.kind in self.dates else None,
            "changed_at": self.dates[kind.kind].last if kind.kind in self.dates else None,
            "version": kind.version,
            **self._quality(kind),
        }

    def _quality(self, kind: Kind) -> dict[str, Any]:
        mine = [s for s in self.scores if s.kind == kind.kind]
        things = sum(s.things for s in mine)
        score = sum(s.score * s.things for s in mine) / things if things else None
        fails = {
            severity: sum(
                r.n for r in self.failing if (r.kind, r.severity) == (kind.kind, severity)
            )
            for severity in ("error", "warn", "info")
        }
        return {"score": None if score is None else round(score, 1), "failures": fails}

    def detail(self, kind: Kind) -> dict[str, Any]:
        """Return one kind with its fields, rules, sources and links."""
        run = repository.last_run(self.conn, kind.kind)
        return {
            **self.item(kind),
            "field_list": [_field(kind, n) for n in catalogue.fields(kind, self.actor)],
            "rules": self._rules(kind),
            "checked": dict(run._mapping) if run else None,
            "cases": self._cases(kind),
            "scores": [
                {"day": r.day, "score": round(float(r.score), 1), "things": r.things}
                for r in repository.score_days(self.conn, self.actor, kind)
            ],
            "sources": [
                dict(r._mapping) for r in repository.sources(self.conn, [kind.kind])
            ],
            "links": links(kind),
        }  # fmt: skip

    def _cases(self, kind: Kind) -> list[dict[str, Any]]:
        rows = repository.open_cases(self.conn, self.actor, kind.kind)
        names = repository.names_of(self.conn, [r.owner for r in rows])
        return [
            {**r._mapping, "owner_title": departments().get(r.owner) or names.get(r.owner)}
            for r in rows
        ]

    def _rules(self, kind: Kind) -> list[dict[str, Any]]:
        mine = [r for r in self.failing if r.kind == kind.kind]
        return [
            {
                "id": rule.id, "check": rule.check, "severity": rule.severity,
                "title": dict(rule.title), "fields": list(rule.fields), "expr": rule.expr,
                "failing": sum(r.n for r in mine if r.rule == rule.id),
                "since": min((r.since for r in mine if r.rule == rule.id), default=None),
            }
            for rule in rules(kind)
        ]  # fmt: skip

    def coverage(self, kind: Kind) -> list[dict[str, Any]]:
        """Return count, density, freshness and quality of a kind in each district."""
        found = {r["district"]: r for r in self.rows if r["kind"] == kind.kind}
        scored = {s.district: s for s in self.scores if s.kind == kind.kind}
        whole = kind.open or self.actor.districts is None
        return [
            _covered(d, found.get(d.code), scored.get(d.code))
            for d in repository.districts(self.conn)
            if whole or d.code in (self.actor.districts or ())
        ]


def _covered(district: Any, count: Any, score: Any) -> dict[str, Any]:
    things = count["things"] if count else 0
    return {
        "district": district.code,
        "name": district.name,
        "km2": round(district.km2, 2),
        "things": things,
        "per_km2": round(things / district.km2, 3) if district.km2 else None,
        "freshest": count["freshest"] if count else None,
        "score": round(score.score, 1) if score else None,
        "errors": score.errors if score else 0,
        "warns": score.warns if score else 0,
        "infos": score.infos if score else 0,
        "shape": district.shape,
    }


def _provider(kind: Kind) -> dict[str, Any] | None:
    if not kind.maintained_by:
        return None
    title = departments().get(kind.maintained_by)
    fallback = {"zh": kind.maintained_by, "en": kind.maintained_by}
    return {"key": kind.maintained_by, "title": dict(title or fallback)}


def _field(kind: Kind, name: str) -> dict[str, Any]:
    field = kind.fields[name]
    return {
        "name": name,
        "title": dict(field.title),
        "type": field.type,
        "unit": units.shown(field.unit),
        "required": field.required,
        "level": f"L{field.level}",
        "codes": _codes(field.codes),
        "targets": list(field.targets),
        "min": field.min,
        "max": field.max,
        "note": field.note,
    }


def _codes(codes: Mapping[str, Any] | None) -> list[dict[str, Any]] | None:
    if codes is None:
        return None
    return [
        {"code": c, "title": dict(t) if isinstance(t, Mapping) else {"zh": str(t), "en": str(t)}}
        for c, t in codes.items()
    ]


def links(kind: Kind) -> list[dict[str, str]]:
    """Return where the data of a kind are read and taken."""
    name = kind.kind
    made = [
        ("items", f"/ogc/collections/{name}/items", "application/geo+json"),
        ("queryables", f"/ogc/collections/{name}/queryables", "application/schema+json"),
        ("declaration", f"/api/v1/kinds/{name}", "application/json"),
    ]
    if kind.geometry != "none":
        made.append(("tiles", f"/tiles/{name}.json", "application/json"))
    made += [
        (f"export.{form}", f"/api/v1/exports/{name}.{form}", "application/octet-stream")
        for form in (("gpkg", "geojson", "xlsx") if kind.geometry != "none" else ("csv", "xlsx"))
    ]
    return [{"rel": rel, "href": href, "type": kind_} for rel, href, kind_ in made]


def search(
    items: Iterable[dict[str, Any]],
    q: str | None,
    **wanted: str | None,
) -> list[dict[str, Any]]:
    """Return the kinds that match all words and facets (topic, database, level, share, …)."""
    words = (q or "").lower().split()
    return [
        one
        for one in items
        if all(word in _haystack(one) for word in words)
        and all(value is None or _facet(one, key) == value or value in _many(one, key)
                for key, value in wanted.items())
    ]  # fmt: skip


def _haystack(one: dict[str, Any]) -> str:
    said = [one["kind"], *one["title"].values(), *one["topic_title"].values(), one["source_system"]]
    said += [t for d in one["databases"] for t in (d["key"], *d["title"].values())]
    said += list(one["provider"]["title"].values()) if one["provider"] else []
    return " ".join(word for word in said if word).lower()


def _facet(one: dict[str, Any], key: str) -> Any:
    value = one.get(key)
    return value.get("key") if isinstance(value, dict) else value


def _many(one: dict[str, Any], key: str) -> list[Any]:
    return [d["key"] for d in one["databases"]] if key == "database" else []


def features(rows: list[dict[str, Any]], number: str) -> dict[str, Any]:
    """Return coverage as GeoJSON for a map; the outline moves out of the properties."""
    return {
        "type": "FeatureCollection",
        "colored_by": number,
        "features": [
            {
                "type": "Feature",
                "id": row["district"],
                "geometry": json.loads(row["shape"]),
                "properties": {k: v for k, v in row.items() if k != "shape"},
            }
            for row in rows
        ],
    }
