"""The OpenAPI description of the whole API, with what every door really answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI

PROBLEM: dict[str, Any] = {
    "description": "What is wrong, in one sentence, with a stable code (RFC 9457)",
    "content": {
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status", "code", "detail"],
                "properties": {
                    "type": {"type": "string"}, "title": {"type": "string"},
                    "status": {"type": "integer"}, "code": {"type": "string"},
                    "detail": {"type": "string"},
                },
            }
        }
    },
}  # fmt: skip
# The public pages say so on a page.
PAGE = {**PROBLEM, "content": {**PROBLEM["content"], "text/html": {"schema": {"type": "string"}}}}
_PAGES = ("/c/", "/report")
# What doors give that is no JSON document; FastAPI would say JSON of them all.
MEDIA = {
    "/metrics": "text/plain",
    "/api/v1/catalogue.dcat.jsonld": "application/ld+json",
    "/api/v1/cameras/{code}/snapshot": "image/jpeg",
    "/api/v1/changes.xsd": "application/xml",
    "/api/v1/positions": "application/octet-stream",
    "/api/v1/quality/scores.geojson": "application/geo+json",
    "/basemap/{provider}/{layer}/{z}/{x}/{y}": "image/png",
    "/api/v1/responses/{key}/briefing.pdf": "application/pdf",
    "/api/v1/devices/exports/{job}": "application/zip",
    "/api/v1/devices/provision": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "/api/v1/devices/provision.xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "/report": "text/html",
    "/report/find": "text/html",
    "/report/place.js": "text/javascript",
    "/report/{code}": "text/html",
    "/report/{code}/answer": "text/html",
    "/report/{code}/visit": "text/html",
    "/ogc/collections/catalogue/items": "application/geo+json",
    "/ogc/collections/catalogue/items/{name}": "application/geo+json",
    "/ogc/collections/{collectionId}/items/{featureId}/history": "application/geo+json",
}


def install(app: FastAPI) -> None:
    """Let the application describe itself so."""
    plain: Callable[[], dict[str, Any]] = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = mended(plain())
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def mended(doc: dict[str, Any]) -> dict[str, Any]:
    """Return a description with problems for what is refused, and the media that are given."""
    for path, doors in doc["paths"].items():
        for door in doors.values():
            answers = door.get("responses", {})
            # What does not fit is refused with 400 or 422, as a problem, never in FastAPI's own form.
            answers.pop("422", None)
            answers["4XX"] = answers["5XX"] = PAGE if path.startswith(_PAGES) else PROBLEM
            if path in MEDIA and "200" in answers:
                answers["200"]["content"] = {MEDIA[path]: {"schema": {}}}
    for unused in ("HTTPValidationError", "ValidationError"):
        doc.get("components", {}).get("schemas", {}).pop(unused, None)
    return doc
