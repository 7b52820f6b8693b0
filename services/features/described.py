"""What the doors of features take and give, in the words of OpenAPI 3."""

from __future__ import annotations

from typing import Any

from services.features.asked import DEFAULT_LIMIT, KNOWN, MAX_LIMIT
from services.features.links import GEOJSON, OPENAPI
from services.web.described import PROBLEM


def _query(name: str, about: str, **schema: Any) -> dict[str, Any]:
    more: dict[str, Any] = {k: schema.pop(k) for k in ("style", "explode") if k in schema}
    return {"name": name, "in": "query", "required": False, "description": about,
            "schema": schema, **more}  # fmt: skip


def _path(name: str, about: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": 200}
    return {"name": name, "in": "path", "required": True, "description": about, "schema": schema}


COLLECTION = _path("collectionId", "Name of a kind of things")
FEATURE = _path("featureId", "Id or code of a thing")
_URI = {"type": "string", "format": "uri", "maxLength": 200}
CRS = _query("crs", "URI of the CRS of the answer; the collection lists them", **_URI)
PROPERTIES = _query(
    "properties", "Names of the properties to return", type="array", items={"type": "string"},
    style="form", explode=False,
)  # fmt: skip
SKIP = _query("skipGeometry", "Leave the geometry out", type="boolean", default=False)
DATETIME = _query(
    "datetime",
    "RFC 3339 with offset, or two of them parted by a slash with '..' for an open end. Of what has "
    "happened once: when it happened; of things: how they stood then",
    type="string", maxLength=80,
)  # fmt: skip
LIMIT = _query(
    "limit", "Features in a page", type="integer", minimum=1, maximum=MAX_LIMIT,
    default=DEFAULT_LIMIT, style="form", explode=False,
)  # fmt: skip
BBOX = _query(
    "bbox", "Four or six numbers: the corners, in the axis order of bbox-crs", type="array",
    items={"type": "number"}, minItems=4, maxItems=6, style="form", explode=False,
)  # fmt: skip
AFTER = _query(
    "after", "Where the page before ended: from its `next` link", type="string", maxLength=2000
)
SORTBY = _query(
    "sortby", "Sortables, each with + or -", type="array", maxItems=4, items={"type": "string"},
    style="form", explode=False,
)  # fmt: skip


def _form(*known: str) -> dict[str, Any]:
    return _query("f", "Format; else what Accept asks for", type="string", enum=list(known))


FORM_ITEMS = _form("json", "html", "csv", "fgb", "gpkg")
FORM_ITEM = _form("json", "html")
FORM = FORM_ITEM
LIST = [
    BBOX, _query("bbox-crs", "URI of the CRS of bbox", **_URI), DATETIME, LIMIT, AFTER, SORTBY,
    PROPERTIES, SKIP, CRS,
    _query("filter", "CQL2 over the queryables", type="string", maxLength=64_000),
    _query("filter-lang", "Language of filter", type="string", enum=["cql2-text", "cql2-json"]),
    _query("filter-crs", "URI of the CRS of the shapes in filter", **_URI),
    FORM_ITEMS,
]  # fmt: skip
_ERRORS = {"400": PROBLEM, "401": PROBLEM, "404": PROBLEM, "429": PROBLEM, "503": PROBLEM}


def answers(media: str, schema: dict[str, Any], about: str, *others: str) -> dict[str, Any]:
    """Return the responses of a door that gives a document, and its errors."""
    content: dict[str, Any] = {media: {"schema": schema}}
    content |= {one: {"schema": {"type": "string"}} for one in others}
    return {"200": {"description": about, "content": content}, **_ERRORS}


_LINKS = {"type": "array", "items": {"type": "object", "required": ["href", "rel"]}}
POINT_OR_SHAPE = {"type": "object", "nullable": True, "required": ["type"]}
FEATURE_SCHEMA: dict[str, Any] = {
    "type": "object", "required": ["type", "id", "geometry", "properties"],
    "properties": {
        "type": {"type": "string", "enum": ["Feature"]}, "id": {"type": "string", "format": "uuid"},
        "geometry": POINT_OR_SHAPE, "properties": {"type": "object"}, "links": _LINKS,
    },
}  # fmt: skip


def page_of(feature: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a page of features."""
    whole = {"type": "integer", "minimum": 0}
    return {
        "type": "object",
        "required": ["type", "features", "numberMatched", "numberReturned", "timeStamp", "links"],
        "properties": {
            "type": {"type": "string", "enum": ["FeatureCollection"]},
            "features": {"type": "array", "items": feature},
            "numberMatched": whole, "numberReturned": whole,
            "timeStamp": {"type": "string", "format": "date-time"}, "links": _LINKS,
        },
    }  # fmt: skip


FILES = ("text/html", "text/csv", "application/flatgeobuf", "application/geopackage+sqlite3")
ITEMS: dict[str, Any] = {
    "parameters": [
        COLLECTION, *LIST,
        _query("property", "Any queryable by its name: equal to the value", type="object",
               additionalProperties={"type": "string"}, style="form", explode=True),
    ],
    "responses": answers(GEOJSON, page_of(FEATURE_SCHEMA), "A page of features", *FILES),
}  # fmt: skip
ITEM: dict[str, Any] = {
    "parameters": [COLLECTION, FEATURE, CRS, DATETIME, PROPERTIES, SKIP, FORM_ITEM],
    "responses": {**answers(GEOJSON, FEATURE_SCHEMA, "A feature", "text/html"),
                  "304": {"description": "Not changed"}},
}  # fmt: skip
assert {one["name"] for one in LIST} == KNOWN, "every parameter that is read is described"
DOCUMENT: dict[str, Any] = {
    "parameters": [FORM],
    "responses": answers("application/json", {"type": "object"}, "The document", "text/html"),
}  # fmt: skip
API: dict[str, Any] = {
    "parameters": [FORM],
    "responses": answers(OPENAPI, {"type": "object"}, "This description", "text/html"),
}  # fmt: skip
OF_COLLECTION: dict[str, Any] = {
    "parameters": [COLLECTION, FORM],
    "responses": answers("application/json", {"type": "object"}, "The document", "text/html"),
}  # fmt: skip
DEFINITION: dict[str, Any] = {"parameters": [FORM], "responses": DOCUMENT["responses"]}


def _header(name: str, about: str, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": required, "description": about,
            "schema": {"type": "string", "maxLength": 1000}}  # fmt: skip


IF_MATCH = _header("If-Match", "ETag of the version that is changed", required=True)
KEY = _header("Idempotency-Key", "The same key of the same caller has one effect")
CRS_OF_BODY = _header("Content-Crs", "URI of the CRS of the body, in angle brackets")
WRITTEN = {
    "type": "object", "required": ["type", "geometry", "properties"],
    "properties": {
        "type": {"type": "string", "enum": ["Feature"]}, "geometry": POINT_OR_SHAPE,
        "properties": {"type": "object"},
    },
}  # fmt: skip
PATCHED = {"type": "object", "properties": WRITTEN["properties"], "minProperties": 1}
REFUSED = {
    **dict.fromkeys(("400", "401", "403", "404", "413", "415", "422", "429", "503"), PROBLEM)
}


def _sent(schema: dict[str, Any], *media: str) -> dict[str, Any]:
    return {"required": True, "content": {m: {"schema": schema} for m in media}}


def _gives(schema: dict[str, Any], status: str) -> dict[str, Any]:
    headers = {"ETag": {"schema": {"type": "string"}}}
    if status == "201":
        headers["Location"] = {"schema": {"type": "string", "format": "uri"}}
    content = {GEOJSON: {"schema": schema}}
    return {status: {"description": "The feature as it now stands", "headers": headers,
                     "content": content}}  # fmt: skip


def create_of(written: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
    """Return what creating takes and gives."""
    return {
        "parameters": [KEY, CRS_OF_BODY],
        "requestBody": _sent(written, GEOJSON, "application/json"),
        "responses": {**_gives(shown, "201"), **REFUSED},
    }


def change_of(written: dict[str, Any], shown: dict[str, Any], *media: str) -> dict[str, Any]:
    """Return what replacing and updating take and give."""
    return {
        "parameters": [FEATURE, IF_MATCH, KEY, CRS_OF_BODY],
        "requestBody": _sent(written, *media),
        "responses": {**_gives(shown, "200"), **REFUSED, "412": PROBLEM, "428": PROBLEM},
    }


def delete_of() -> dict[str, Any]:
    """Return what deleting takes and gives."""
    return {
        "parameters": [FEATURE, IF_MATCH, KEY],
        "responses": {"204": {"description": "Taken out of service"}, **REFUSED,
                      "412": PROBLEM, "428": PROBLEM},
    }  # fmt: skip


def _anywhere(said: dict[str, Any]) -> dict[str, Any]:
    return {**said, "parameters": [COLLECTION, *said["parameters"]]}


MERGE = "application/merge-patch+json"
CREATE = _anywhere(create_of(WRITTEN, FEATURE_SCHEMA))
REPLACE = _anywhere(change_of(WRITTEN, FEATURE_SCHEMA, GEOJSON, "application/json"))
UPDATE = _anywhere(change_of(PATCHED, FEATURE_SCHEMA, MERGE, GEOJSON, "application/json"))
DELETE = _anywhere(delete_of())
