"""Addresses and links of the feature API."""

from __future__ import annotations

from twin.settings import settings

GEOJSON = "application/geo+json"
SCHEMA = "application/schema+json"
HTML = "text/html"
OPENAPI = "application/vnd.oai.openapi+json;version=3.0"
_REL = "http://www.opengis.net/def/rel/ogc/1.0"
QUERYABLES, SORTABLES = f"{_REL}/queryables", f"{_REL}/sortables"
SCHEMA_REL, CONFORMANCE, DATA = f"{_REL}/schema", f"{_REL}/conformance", f"{_REL}/data"


def url(path: str = "") -> str:
    """Return the address of a path below /ogc."""
    return f"{settings().public_url}/ogc{path}"


def link(path: str, rel: str, kind: str = "application/json", title: str = "") -> dict[str, str]:
    """Return a link to a path below /ogc."""
    return {"href": url(path), "rel": rel, "type": kind, "title": title or rel.rpartition("/")[2]}
