"""The entities of SensorThings and how they hang together: made from devices, products and readings."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from services.sta import filters
from services.sta.options import Options
from twin import deviceview, products, readings, units
from twin.errors import BadRequest, NotFound
from twin.products import BOOLEAN, ENUM, INTEGER, Product, Property
from twin.products.model import TEXT
from twin.scope import Actor
from twin.telemetry import store

OM = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_"
_KINDS = {BOOLEAN: "TruthObservation", INTEGER: "CountObservation", ENUM: "CategoryObservation"}
# Entity set → (its singular name, what it leads to: name → (set, is one))
SETS: dict[str, tuple[str, dict[str, tuple[str, bool]]]] = {
    "Things": ("Thing", {"Locations": ("Locations", False), "HistoricalLocations": ("HistoricalLocations", False),
                         "Datastreams": ("Datastreams", False)}),
    "Locations": ("Location", {"Things": ("Things", False), "HistoricalLocations": ("HistoricalLocations", False)}),
    "HistoricalLocations": ("HistoricalLocation", {"Thing": ("Things", True), "Locations": ("Locations", False)}),
    "Datastreams": ("Datastream", {"Thing": ("Things", True), "Sensor": ("Sensors", True),
                                   "ObservedProperty": ("ObservedProperties", True),
                                   "Observations": ("Observations", False)}),
    "Sensors": ("Sensor", {"Datastreams": ("Datastreams", False)}),
    "ObservedProperties": ("ObservedProperty", {"Datastreams": ("Datastreams", False)}),
    "Observations": ("Observation", {"Datastream": ("Datastreams", True),
                                     "FeatureOfInterest": ("FeaturesOfInterest", True)}),
    "FeaturesOfInterest": ("FeatureOfInterest", {"Observations": ("Observations", False)}),
}  # fmt: skip
Entity = dict[str, Any]


class World:
    """What one caller may see, read once a request."""

    def __init__(self, conn: Connection, actor: Actor) -> None:
        self.conn = conn
        running = products.running(conn)
        rows = [row for row in deviceview.every(conn, actor) if row.product in running]
        self.rows: dict[int, Any] = {row.num: row for row in rows}
        self.products: dict[str, Product] = {
            key: one for key, one in running.items() if any(row.product == key for row in rows)
        }
        self._sets: dict[str, dict[Any, Entity]] = {}
        self._by_product: dict[str, list[int]] = {}
        for row in rows:
            self._by_product.setdefault(row.product, []).append(row.num)
        self._newest: dict[int, dict[str, Any]] | None = None

    def all(self, name: str) -> dict[Any, Entity]:
        """Return every entity of a set by id; observations are asked for by datastream instead."""
        if name not in self._sets:
            self._sets[name] = {one["@iot.id"]: one for one in self._made(name)}
        return self._sets[name]

    def _made(self, name: str) -> list[Entity]:
        makers: dict[str, Callable[[Any], Entity]] = {
            "Things": self._thing, "Locations": self._location,
            "HistoricalLocations": self._historical, "FeaturesOfInterest": self._feature,
        }  # fmt: skip
        if name in makers:
            placed = name == "Things"
            rows = [row for row in self.rows.values() if placed or row.lon is not None]
            return [makers[name](row) for row in rows]
        if name == "Sensors":
            return [self._sensor(one) for one in self.products.values()]
        pairs = [(one, prop) for one in self.products.values() for prop in _numeric(one)]
        if name == "ObservedProperties":
            return [self._observed(one, prop) for one, prop in pairs]
        return [
            self._datastream(self.rows[num], one, prop)
            for one, prop in pairs for num in self._by_product[one.key]
        ]  # fmt: skip

    def one(self, name: str, key: Any) -> Entity:
        """Return an entity by id; NotFound otherwise."""
        if name == "Observations":
            return self.observation(str(key))
        found = self.all(name).get(key)
        if found is None:
            raise NotFound(f"There is no {SETS[name][0]} {key!r} that you may see.")
        return found

    def linked(self, name: str, entity: Entity, way: str) -> list[Entity]:
        """Return the entities that an entity leads to; not for observations of a datastream."""
        target = SETS[name][1][way][0]
        num, prop, product = entity["_num"], entity.get("_prop"), entity.get("_product")
        if target in ("Things", "Locations", "HistoricalLocations", "FeaturesOfInterest"):
            return [found] if (found := self.all(target).get(num)) else []
        if target == "Sensors":
            return [self.all(target)[product]]
        if target == "ObservedProperties":
            return [self.all(target)[f"{product}:{prop}"]]
        streams = self.all("Datastreams")
        if name in ("Things", "Observations"):
            row = self.rows[num]
            names = [prop] if prop else [one.name for one in _numeric(self.products[row.product])]
            return [streams[f"{num}:{one}"] for one in names]
        only = [prop] if prop else [one.name for one in _numeric(self.products[product or ""])]
        return [streams[f"{n}:{one}"] for n in self._by_product[product or ""] for one in only]

    def follow(self, name: str) -> filters.Follow:
        """Return how a filter finds the values at the end of a way from an entity of a set."""

        def values(entity: Entity, parts: tuple[str, ...]) -> list[Any]:
            return list(self._follow(name, entity, parts))

        return values

    def _follow(self, name: str, entity: Any, parts: tuple[str, ...]) -> list[Any]:
        head, rest = parts[0], parts[1:]
        if name in SETS and head in SETS[name][1]:
            target = SETS[name][1][head][0]
            if target == "Observations":
                raise BadRequest(
                    "Filter the observations of a datastream where they are asked for."
                )
            found = self.linked(name, entity, head)
            return [
                v for one in found for v in (self._follow(target, one, rest) if rest else [one])
            ]
        key = "@iot.id" if head == "id" and name in SETS else head
        if not isinstance(entity, dict) or key not in entity:
            return [None]
        value = entity[key]
        if rest:
            return self._follow("", value, rest)
        return [_moment(value)]

    def newest(self, num: int) -> dict[str, Any]:
        """Return the last readings of a thing by property; all are read at once."""
        if self._newest is None:
            said = readings.last(self.conn, list(self.rows))
            self._newest = {n: {one.property: one for one in them} for n, them in said.items()}
        return self._newest.get(num, {})

    def observations(self, stream: Entity, asked: Options) -> tuple[list[Entity], int | None, bool]:
        """Return a page of the observations of a datastream, their number if asked, and whether more follow."""
        num, name = stream["_num"], stream["_prop"]
        product = self.products[stream["_product"]]
        if asked.is_newest:
            last = self.newest(num).get(name)
            found = [self._observation(num, product, name, last.at, last.value)] if last else []
            return found, None, False
        params: dict[str, Any] = {"n": num, "name": name, "skip": asked.skip, "top": asked.top + 1}
        columns = {"phenomenonTime": "at", "resultTime": "at", "result": "value"}
        kept = filters.sql(asked.filter, columns, params) if asked.filter else "true"
        order = ", ".join(_ordered(columns, path, down) for path, down in asked.orderby)
        # What a device said before it had a product stands among the loose observations.
        source = (
            f'(select at, "{name}"{_cast(product[name])} as value from {store.up(product.key)} '
            f'where num = :n and "{name}" is not null union all select at, value '
            f"from twin.observation where num = :n and property = :name) o where {kept}"
        )
        rows = self.conn.execute(
            text(
                f"select at, value from {source} order by {order or 'at'} offset :skip limit :top"
            ),
            params,
        ).all()
        count = None
        if asked.count:
            count = self.conn.execute(text(f"select count(*) from {source}"), params).scalar_one()
        shown = [self._observation(num, product, name, r.at, r.value) for r in rows[: asked.top]]
        return shown, count, len(rows) > asked.top

    def observation(self, key: str) -> Entity:
        """Return one observation by id: thing, property and microsecond."""
        num, _, rest = key.partition(":")
        name, _, micros = rest.partition(":")
        row = self.rows.get(int(num)) if num.isdecimal() and len(num) < 11 else None
        product = self.products.get(row.product) if row else None
        if row is None or product is None or name not in product.by_name or not micros.isdecimal():
            raise NotFound(f"There is no Observation {key!r} that you may see.")
        at = datetime.fromtimestamp(min(int(micros), 4 * 10**15) / 1e6, UTC)
        found = [r for r in readings.values(self.conn, row.num, name, at, at) if r.at == at]
        if not found:
            raise NotFound(f"There is no Observation {key!r} that you may see.")
        return self._observation(row.num, product, name, at, found[0].value)

    def _observation(
        self, num: int, product: Product, name: str, at: datetime, value: float
    ) -> Entity:
        moment = at.astimezone(UTC)
        micros = round(moment.timestamp() * 1e6)
        return {
            "@iot.id": f"{num}:{name}:{micros}", "phenomenonTime": _iso(moment), "resultTime": _iso(moment),
            "result": product[name].value(value), "_num": num, "_prop": name, "_product": product.key,
        }  # fmt: skip

    @staticmethod
    def _thing(row: Any) -> Entity:
        return {
            "@iot.id": row.num, "name": row.name or row.device, "description": f"{row.kind} {row.code}",
            "properties": {"product": row.product, "device": row.device, "code": row.code,
                           "kind": row.kind, "district": row.district, "street": row.street},
            "_num": row.num, "_product": row.product,
        }  # fmt: skip

    @staticmethod
    def _location(row: Any) -> Entity:
        return {
            "@iot.id": row.num, "name": row.name or row.device, "description": row.code,
            "encodingType": "application/geo+json",
            "location": {"type": "Point", "coordinates": [row.lon, row.lat]},
            "_num": row.num, "_product": row.product,
        }  # fmt: skip

    @staticmethod
    def _historical(row: Any) -> Entity:
        return {
            "@iot.id": row.num,
            "time": _iso(row.created_at.astimezone(UTC)),
            "_num": row.num,
            "_product": row.product,
        }

    @staticmethod
    def _feature(row: Any) -> Entity:
        return {
            "@iot.id": row.num, "name": row.name or row.device, "description": row.code,
            "encodingType": "application/geo+json",
            "feature": {"type": "Point", "coordinates": [row.lon, row.lat]},
            "_num": row.num, "_product": row.product,
        }  # fmt: skip

    @staticmethod
    def _sensor(one: Product) -> Entity:
        return {
            "@iot.id": one.key, "name": one.title["zh"], "description": (one.note or one.title)["en"],
            "encodingType": "application/tm+json", "metadata": f"/api/v1/products/{one.key}/td",
            "properties": {"protocol": one.protocol, "version": one.version}, "_num": None, "_product": one.key,
        }  # fmt: skip

    @staticmethod
    def _observed(one: Product, prop: Property) -> Entity:
        return {
            "@iot.id": f"{one.key}:{prop.name}", "name": prop.title["zh"], "description": prop.title["en"],
            "definition": f"/api/v1/products/{one.key}/td#/properties/{prop.name}",
            "properties": {"property": prop.name, "observed": prop.observed},
            "_num": None, "_prop": prop.name, "_product": one.key,
        }  # fmt: skip

    @staticmethod
    def _datastream(row: Any, one: Product, prop: Property) -> Entity:
        shown = units.shown(prop.unit) or {"en": ""}
        return {
            "@iot.id": f"{row.num}:{prop.name}", "name": f"{row.name or row.device} {prop.title['zh']}",
            "description": f"{prop.title['en']} of {row.code}",
            "observationType": OM + _KINDS.get(prop.type, "Measurement"),
            "unitOfMeasurement": {
                "name": shown["en"] or None, "symbol": prop.unit,
                "definition": f"ucum:{prop.unit}" if prop.unit else None,
            },
            "properties": {"property": prop.name, "low": prop.low, "high": prop.high},
            "_num": row.num, "_prop": prop.name, "_product": one.key,
        }  # fmt: skip


def _numeric(product: Product) -> list[Property]:
    return [one for one in product.properties if one.type != TEXT]


def _cast(prop: Property) -> str:
    return "::int::float8" if prop.type == BOOLEAN else "::float8"


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _moment(value: Any) -> Any:
    """Return a time as a time: filters compare times, not texts."""
    if isinstance(value, str) and len(value) > 18 and value[4:5] == "-" and value[10:11] == "T":
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            return value
    return value


def _ordered(columns: dict[str, str], path: tuple[str, ...], down: bool) -> str:
    if len(path) != 1 or path[0] not in columns:
        raise BadRequest(
            "Observations are ordered by phenomenonTime, resultTime or result.",
            parameter="$orderby",
        )
    return f"{columns[path[0]]} {'desc' if down else 'asc'}"
