"""The catalogue for other people's programs: OGC API Records and DCAT JSON-LD."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.catalogue.service import Catalogue, links
from twin.kinds import Kind
from twin.settings import CITY_BOUNDS, settings

COLLECTION = "catalogue"
CORE = "http://www.opengis.net/spec/ogcapi-records-1/1.0/conf/record-core"
CONFORMS = [CORE] + [
    f"http://www.opengis.net/spec/ogcapi-records-1/1.0/conf/{c}"
    for c in ("record-collection", "record-core-query-parameters", "json")
]
LICENCE = "https://www.apache.org/licenses/LICENSE-2.0"
_DCAT = {
    "@vocab": "http://www.w3.org/ns/dcat#", "dcat": "http://www.w3.org/ns/dcat#",
    "dct": "http://purl.org/dc/terms/", "foaf": "http://xmlns.com/foaf/0.1/",
    "locn": "http://www.w3.org/ns/locn#", "xsd": "http://www.w3.org/2001/XMLSchema#",
    "gsp": "http://www.opengis.net/ont/geosparql#",
}  # fmt: skip


def base() -> str:
    """Return the address that others reach this installation by."""
    return settings().public_url


def collection() -> dict[str, Any]:
    """Return the description of the collection of records."""
    west, south, east, north = CITY_BOUNDS
    url = f"{base()}/ogc/collections/{COLLECTION}"
    return {
        "id": COLLECTION,
        "title": "数据资源目录 Catalogue of data",
        "description": "每一类数据一条记录 / one record for each kind of data",
        "itemType": "record",
        "type": "Collection",
        "conformsTo": [CORE],
        "extent": {"spatial": {"bbox": [[west, south, east, north]]}},
        "links": [
            {"rel": "self", "href": url, "type": "application/json"},
            {"rel": "items", "href": f"{url}/items", "type": "application/geo+json"},
            {"rel": "alternate", "href": f"{base()}/api/v1/catalogue.dcat.jsonld",
             "type": "application/ld+json"},
        ],
    }  # fmt: skip


def record(item: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """Return one kind by the record schema: a GeoJSON feature."""
    url = f"{base()}/ogc/collections/{COLLECTION}/items/{kind.kind}"
    west, south, east, north = item["extent"] or (None,) * 4
    shape = None
    if item["extent"]:
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        shape = {"type": "Polygon", "coordinates": [ring]}
    provider = item["provider"]["title"]["zh"] if item["provider"] else "—"
    return {
        "id": kind.kind,
        "type": "Feature",
        "conformsTo": [CORE],
        "geometry": shape,
        "time": {"interval": [_day(item["published_at"]), _day(item["freshest"]) or ".."]},
        "properties": {
            "type": "dataset",
            "title": f"{item['title']['zh']} {item['title']['en']}",
            "description": _about(item),
            "created": _time(item["published_at"]),
            "updated": _time(item["freshest"] or item["changed_at"]),
            "language": {"code": "zh"},
            "keywords": [item["topic_title"]["zh"], item["topic_title"]["en"],
                         *(d["title"]["zh"] for d in item["databases"])],
            "themes": [{"concepts": [{"id": d["key"], "title": d["title"]["zh"]} for d in item["databases"]],
                        "scheme": f"{base()}/api/v1/catalogue"}] if item["databases"] else [],
            "externalIds": [{"scheme": "kind", "value": kind.kind}, {"scheme": "class", "value": kind.code}],
            "contacts": [{"organization": provider, "roles": ["publisher"]}],
            "license": LICENCE,
            "rights": f"{item['share_title']['zh']} {item['level']}",
            "formats": [{"name": n} for n in ("GeoJSON", "GeoPackage", "CSV", "XLSX", "FlatGeobuf")],
            "things": item["things"], "score": item["score"], "fresh": item["fresh"],
        },
        "links": [
            {"rel": "self", "href": url, "type": "application/geo+json"},
            {"rel": "collection", "href": f"{base()}/ogc/collections/{COLLECTION}", "type": "application/json"},
            *({**link, "href": base() + link["href"]} for link in links(kind)),
        ],
    }  # fmt: skip


def _about(item: dict[str, Any]) -> str:
    provider = item["provider"]["title"]["zh"] if item["provider"] else "—"
    every = f"，更新周期 {item['update_every']}" if item["update_every"] else ""
    return f"{item['title']['zh']}：{item['things']} 条，{provider}{every}。"


def _time(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def _day(at: datetime | None) -> str | None:
    return at.date().isoformat() if at else None


def matches(
    item: dict[str, Any],
    box: tuple[float, float, float, float] | None,
    since: datetime | None,
    until: datetime | None,
) -> bool:
    """Tell whether a kind meets a box and an interval of its last change."""
    if box is not None:
        extent = item["extent"]
        if extent is None or not (
            extent[0] <= box[2]
            and extent[2] >= box[0]
            and extent[1] <= box[3]
            and extent[3] >= box[1]
        ):
            return False
    at = item["freshest"] or item["changed_at"]
    if (since or until) and at is None:
        return False
    return not ((since and at < since) or (until and at > until))


def dcat(found: Catalogue) -> dict[str, Any]:
    """Return the catalogue as DCAT 3 in JSON-LD."""
    return {
        "@context": _DCAT,
        "@id": f"{base()}/api/v1/catalogue",
        "@type": "dcat:Catalog",
        "dct:title": [{"@value": "城市绿化市容数据资源目录", "@language": "zh"},
                      {"@value": "Data of the city's greening and appearance", "@language": "en"}],
        "dct:publisher": {"@type": "foaf:Organization", "foaf:name": "市绿化和市容管理局"},
        "dct:language": ["zh", "en"],
        "dcat:dataset": [_dataset(item, found.kinds[item["kind"]]) for item in found.items()],
    }  # fmt: skip


_PERIODS = {"s": "S", "m": "M", "h": "H"}


def _duration(span: str | None) -> str | None:
    if span is None:
        return None
    return f"P{span[:-1]}D" if span[-1] == "d" else f"PT{span[:-1]}{_PERIODS[span[-1]]}"


def _dataset(item: dict[str, Any], kind: Kind) -> dict[str, Any]:
    rights = {"open": "PUBLIC", "conditional": "RESTRICTED", "closed": "NON_PUBLIC"}[item["share"]]
    said: dict[str, Any] = {
        "@id": f"{base()}/ogc/collections/{kind.kind}",
        "@type": "dcat:Dataset",
        "dct:identifier": kind.kind,
        "dct:title": [{"@value": item["title"]["zh"], "@language": "zh"},
                      {"@value": item["title"]["en"], "@language": "en"}],
        "dct:description": {"@value": _about(item), "@language": "zh"},
        "dcat:keyword": [item["topic_title"]["zh"], *(d["title"]["zh"] for d in item["databases"])],
        "dcat:theme": [{"@id": f"{base()}/api/v1/catalogue?database={d['key']}"} for d in item["databases"]],
        "dct:accessRights": {"@id": f"http://publications.europa.eu/resource/authority/access-right/{rights}"},
        "dct:modified": _stamp(item["freshest"]),
        "dct:issued": _stamp(item["published_at"]),
        "dcat:temporalResolution": _typed(_duration(item["update_every"]), "duration"),
        "dcat:distribution": [
            {"@type": "dcat:Distribution", "dct:title": link["rel"], "dcat:mediaType": link["type"],
             "dcat:accessURL": {"@id": base() + link["href"]}}
            for link in links(kind)
        ],
    }  # fmt: skip
    if item["provider"]:
        said["dct:publisher"] = {"@type": "foaf:Organization",
                                 "foaf:name": item["provider"]["title"]["zh"]}  # fmt: skip
    if item["extent"]:
        west, south, east, north = item["extent"]
        box = (
            f"POLYGON(({west} {south},{east} {south},{east} {north},{west} {north},{west} {south}))"
        )
        said["dct:spatial"] = {"@type": "dct:Location", "dcat:bbox": {
            "@value": box, "@type": "gsp:wktLiteral"}}  # fmt: skip
    return {k: v for k, v in said.items() if v is not None}


def _stamp(at: datetime | None) -> dict[str, str] | None:
    return _typed(_time(at), "dateTime")


def _typed(value: str | None, kind: str) -> dict[str, str] | None:
    return None if value is None else {"@value": value, "@type": f"xsd:{kind}"}
