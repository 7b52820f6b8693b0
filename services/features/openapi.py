"""The OpenAPI 3 description of the feature API: every collection with its own parameters and schema."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Any

import orjson

from services.features import described, schemas
from services.features.asked import HEADER, KNOWN
from services.features.links import GEOJSON, SCHEMA, url
from services.web.described import PROBLEM
from twin import catalogue
from twin.kinds import Kind
from twin.scope import Actor

_KEPT: OrderedDict[Any, bytes] = OrderedDict()
_LIMIT = 16
_lock = Lock()
_OWN = ("description", "x-ogc-role", "x-ogc-propertySeq", "x-ogc-unit")


def raw(kinds: dict[str, Kind], actor: Actor) -> bytes:
    """Return the description for an actor; actors who see alike share it."""
    key = (
        actor.digest(),
        actor.may("data.write"),
        tuple((k.kind, k.version) for k in kinds.values()),
        url(),
    )
    with _lock:
        found = _KEPT.get(key)
    if found is None:
        found = orjson.dumps(document(kinds, actor))
        with _lock:
            _KEPT[key] = found
            while len(_KEPT) > _LIMIT:
                _KEPT.popitem(last=False)
    return found


def document(kinds: dict[str, Kind], actor: Actor) -> dict[str, Any]:
    """Return the description of every collection in full."""
    return {
        **outline(kinds),
        "paths": {
            **_documents(),
            **{p: said for kind in kinds.values() for p, said in _paths(kind, actor).items()},
        },
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "twin_session"},
            },
            "parameters": {_name(p): p for p in _SHARED},
            "responses": {"problem": PROBLEM},
            "schemas": {
                **{kind.kind: _feature(kind, actor) for kind in kinds.values()},
                **(
                    {f"{k.kind}.written": _written(k, actor) for k in kinds.values()}
                    if actor.may("data.write")
                    else {}
                ),
            },
        },
    }


def outline(kinds: dict[str, Kind]) -> dict[str, Any]:
    """Return what stands at the head of the description."""
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "绿容孪生 Lvrong Twin · OGC API Features",
            "version": "1.0",
            "description": f"{len(kinds)} collections of things of the city, in the caller's scope",
        },
        "servers": [{"url": url()}],
        "security": [{"bearer": []}, {"session": []}, {}],
        "tags": [{"name": k.kind, "description": k.title["en"]} for k in kinds.values()],
    }


_SHARED = [p for p in described.LIST if p["name"] not in ("f",)]


def _name(parameter: dict[str, Any]) -> str:
    return str(parameter["name"])


def _of(*names: str) -> list[dict[str, str]]:
    return [{"$ref": f"#/components/parameters/{n}"} for n in names]


def _errors() -> dict[str, Any]:
    problem = {"$ref": "#/components/responses/problem"}
    return dict.fromkeys(("400", "401", "404", "406", "429", "503"), problem)


def _get(
    summary: str,
    media: str,
    schema: dict[str, Any],
    parameters: list[Any],
    tag: str,
    name: str,
    files: Sequence[str] = ("text/html",),
) -> dict[str, Any]:
    content = {media: {"schema": schema}, **dict.fromkeys(files, {"schema": {"type": "string"}})}
    return {
        "get": {
            "summary": summary, "operationId": name, "tags": [tag], "parameters": parameters,
            "responses": {"200": {"description": summary, "content": content}, **_errors()},
        }
    }  # fmt: skip


def _documents() -> dict[str, Any]:
    any_ = {"type": "object"}
    form = [described.FORM]
    made = {
        "/": ("Landing page", "application/json"),
        "/conformance": ("Conformance declaration", "application/json"),
        "/api": ("This description", "application/vnd.oai.openapi+json;version=3.0"),
        "/collections": ("Collections that the caller may read", "application/json"),
    }
    return {
        path: _get(said, media, any_, form, "about", f"about{path.replace('/', '_')}")
        for path, (said, media) in made.items()
    }


def _feature(kind: Kind, actor: Actor) -> dict[str, Any]:
    """Return the schema of a feature of a kind in the words of OpenAPI 3.0."""
    said = schemas.schema(kind, actor)["properties"]
    shown = {}
    for name in (*HEADER, *catalogue.fields(kind, actor)):
        # What stands already may be older than its rule: an answer is not refused for it.
        one = {
            k: v
            for k, v in said[name].items()
            if k in ("type", "title", "format", "items", "readOnly")
        }
        one.get("items", {}).pop("enum", None) if "items" in one else None
        shown[name] = {**one, "nullable": True}
    made: dict[str, Any] = {**described.FEATURE_SCHEMA}
    made["properties"] = {
        **made["properties"],
        "geometry": _GEOMETRY[kind.geometry],
        "properties": {"type": "object", "properties": shown},
    }
    return made


def _shape(name: str, depth: int) -> dict[str, Any]:
    coordinates: dict[str, Any] = {
        "type": "array", "minItems": 2, "maxItems": 3, "items": {"type": "number"}
    }  # fmt: skip
    for _ in range(depth):
        coordinates = {"type": "array", "items": coordinates}
    return {
        "type": "object", "nullable": True, "required": ["type", "coordinates"],
        "properties": {"type": {"type": "string", "enum": [name]}, "coordinates": coordinates},
    }  # fmt: skip


_GEOMETRY = {
    "point": _shape("Point", 0), "line": _shape("MultiLineString", 2),
    "polygon": _shape("MultiPolygon", 3), "none": {"type": "object", "nullable": True},
}  # fmt: skip


def _paths(kind: Kind, actor: Actor) -> dict[str, Any]:
    base, tag = f"/collections/{kind.kind}", kind.kind
    title = kind.title["en"]
    feature = {"$ref": f"#/components/schemas/{kind.kind}"}
    names = [n for n in (*HEADER, *catalogue.fields(kind, actor)) if _asked_by(kind, n)]
    equals = [_equal(kind, n) for n in names if n not in KNOWN]
    listed = _of(*(_name(p) for p in _SHARED)) + [described.FORM_ITEMS, *equals]
    shown = [
        described.FEATURE,
        *_of("crs", "datetime", "properties", "skipGeometry"),
        described.FORM,
    ]
    schema, form = {"type": "object"}, [described.FORM]
    return {
        base: _get(f"About {title}", "application/json", schema, form, tag, f"{tag}.about"),
        **{
            f"{base}/{which}": _get(
                f"{which} of {title}", SCHEMA, schema, form, tag, f"{tag}.{which}"
            )
            for which in schemas.MAKERS
        },
        f"{base}/items": _get(
            f"Features of {title}",
            GEOJSON,
            described.page_of(feature),
            listed,
            tag,
            f"{tag}.items",
            described.FILES,
        )
        | _changes(kind, "items", feature, actor),
        f"{base}/items/{{featureId}}": _get(
            f"One feature of {title}", GEOJSON, feature, shown, tag, f"{tag}.item"
        )
        | _changes(kind, "item", feature, actor),
    }


def _changes(kind: Kind, of: str, shown: dict[str, Any], actor: Actor) -> dict[str, Any]:
    """Return the operations that change features, for who may change them."""
    if not actor.may("data.write"):
        return {}
    written = {"$ref": f"#/components/schemas/{kind.kind}.written"}
    whole, title = (GEOJSON, "application/json"), kind.title["en"]
    said = {
        "items": {"post": ("Create", described.create_of(written, shown))},
        "item": {
            "put": ("Replace", described.change_of(written, shown, *whole)),
            "patch": ("Update", described.change_of(_PATCH, shown, described.MERGE, *whole)),
            "delete": ("Delete", described.delete_of()),
        },
    }[of]
    return {
        method: {"summary": f"{verb} a feature of {title}", "tags": [kind.kind],
                 "operationId": f"{kind.kind}.{method}", **what}
        for method, (verb, what) in said.items()
    }  # fmt: skip


_PATCH = described.PATCHED


def _written(kind: Kind, actor: Actor) -> dict[str, Any]:
    """Return the schema of a feature as it is sent."""
    said = schemas.schema(kind, actor)
    shown = {}
    for name, one in said["properties"].items():
        if name in ("id", "geometry") or one.get("readOnly"):
            continue
        shown[name] = {k: v for k, v in one.items() if k not in _OWN} | {"nullable": True}
        if None not in shown[name].get("enum", [None]):
            shown[name]["enum"] = [*shown[name]["enum"], None]
    properties = {"type": "object", "properties": shown, "additionalProperties": False}
    if said["required"]:
        properties["required"] = said["required"]
    geometry = {k: v for k, v in _GEOMETRY[kind.geometry].items()}
    return {
        "type": "object", "required": ["type", "geometry", "properties"],
        "properties": {"type": {"type": "string", "enum": ["Feature"]}, "geometry": geometry,
                       "properties": properties},
    }  # fmt: skip


def _asked_by(kind: Kind, name: str) -> bool:
    return name != "updated_at" and not (name in kind.fields and kind.fields[name].type == "json")


def _equal(kind: Kind, name: str) -> dict[str, Any]:
    field = kind.fields.get(name)
    said: dict[str, Any] = (
        schemas.of_field(field)
        if field
        else {"type": "integer" if name in ("num", "version") else "string"}
    )
    if said.get("type") == "array":
        said = said["items"]
    schema = {k: v for k, v in said.items() if k in ("type", "format", "enum")}
    about = said.get("title", name)
    return {"name": name, "in": "query", "required": False, "description": f"{about}: equal to",
            "schema": schema}  # fmt: skip
