"""Pages for people who open the feature API in a browser: documents, tables with a map, one thing.

Nothing here runs inline: the map is drawn by the bundle's own script from the same address as JSON,
and without it the page still says everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson
from fastapi import Request, Response

from services.features.asked import Asked
from services.features.links import HTML
from twin import units
from twin.kinds import Kind

_STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
_MAP = (
    '<link rel="stylesheet" href="/ui/mapkit.css"><script type="module" src="/ui/ogc.js"></script>'
)
_HEAD = {"num": ("编号", "No."), "code": ("编码", "Code"), "name": ("名称", "Name"),
         "district": ("区", "District"), "street": ("街镇", "Street"), "state": ("状态", "State"),
         "source": ("来源", "Source"), "version": ("版本", "Version"),
         "updated_at": ("更新", "Updated")}  # fmt: skip
_ROWS_COLUMNS = 8
_FORMATS = {"json": "GeoJSON", "csv": "CSV", "fgb": "FlatGeobuf", "gpkg": "GeoPackage"}


def document(title: str, said: dict[str, Any], trail: Sequence[tuple[str, str]] = ()) -> Response:
    """Return a page with the links of a document as links, its collections as a table, and itself."""
    links = _links(said.get("links", []))
    listed = said.get("collections")
    if isinstance(listed, list):
        rows = [
            [_a(f"/ogc/collections/{c['id']}", c["title"]), escape(c["id"]),
             _a(f"/ogc/collections/{c['id']}/items?f=html", "要素 items")] for c in listed
        ]  # fmt: skip
        body = _table(["集合 Collection", "id", ""], rows)
    else:
        text = escape(json.dumps(said, ensure_ascii=False, indent=1)[:200_000])
        body = f'<div class="paper"><pre>{text}</pre></div>'
    return _page(title, f"<h1>{escape(title)}</h1>{links}{body}", trail)


def items(
    asked: Asked, head: Mapping[str, Any], features: Sequence[bytes], request: Request
) -> Response:
    """Return a page of features: where it leads, the map, the table."""
    kind = asked.kind
    rows = [orjson.loads(f) for f in features]
    params = {k: v for k, v in request.query_params.items() if k != "f"}
    path = f"/ogc/collections/{kind.kind}/items"
    columns = _columns(asked)
    table = _table(
        [escape(_said(kind, name)) for name in columns],
        [[_cell(kind, name, row) for name in columns] for row in rows],
    )
    told = (
        f"共 {head['numberMatched']:,} 个，本页 {head['numberReturned']:,} 个 · "
        f"{head['numberReturned']:,} of {head['numberMatched']:,}"
    )
    following = next((x["href"] for x in head["links"] if x["rel"] == "next"), None)
    pager = [_a(f"{path}?{urlencode(_first(params))}", "首页 First")] if "after" in params else []
    pager += [_a(f"{_local(following)}", "下一页 Next")] if following else []
    forms = "".join(f"<li>{_a(_as(path, params, k), said)}</li>" for k, said in _FORMATS.items())
    body = (
        f"<h1>{escape(kind.title['zh'])} {escape(kind.title['en'])}</h1><p class=said>{told}</p>"
        f'<ul class="links">{forms}</ul>{_map(asked, _as(path, params, "json"))}'
        f'{table}<div class="pages">{"".join(pager)}</div>'
    )
    return _page(kind.title["zh"], body, _trail(kind), script=asked.geometry)


def item(
    asked: Asked, feature: bytes, links: Sequence[Mapping[str, str]], request: Request
) -> Response:
    """Return a page of one feature: the map and every property with its title and unit."""
    kind, row = asked.kind, orjson.loads(feature)
    told = row["properties"]
    rows = [
        [escape(_said(kind, name)), _value(kind, name, told[name])]
        for name in asked.names if told.get(name) is not None
    ]  # fmt: skip
    title = told.get("name") or told.get("code") or row["id"]
    params = {k: v for k, v in request.query_params.items() if k != "f"}
    place = _map(asked, _as(request.url.path, params, "json"))
    body = (
        f"<h1>{escape(str(title))}</h1>{_links(links)}{place}"
        f"{_table(['属性 Property', '值 Value'], rows)}"
    )
    trail = (*_trail(kind), (f"/ogc/collections/{kind.kind}/items?f=html", "要素 items"))
    return _page(str(title), body, trail, script=asked.geometry)


def _page(
    title: str, body: str, trail: Iterable[tuple[str, str]], *, script: bool = False
) -> Response:
    way = "".join(_a(path, said) for path, said in (("/ogc?f=html", "OGC API"), *trail))
    raw = (
        '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)} · 绿容孪生</title><style>{_STYLE}</style>{_MAP if script else ''}"
        f"</head><body><main><nav>{way}</nav>{body}</main></body></html>"
    ).encode()
    headers = {"Cache-Control": "private, no-cache", "Vary": "Accept, Authorization, Cookie"}
    return Response(raw, media_type=HTML, headers=headers)


def _trail(kind: Kind) -> tuple[tuple[str, str], ...]:
    return (
        ("/ogc/collections?f=html", "集合 Collections"),
        (f"/ogc/collections/{kind.kind}?f=html", f"{kind.title['zh']} {kind.title['en']}"),
    )


def _map(asked: Asked, source: str) -> str:
    """Return the place of the map; of coordinates that no web map knows there is none."""
    if not asked.geometry or not asked.crs.plain or asked.crs.north_first:
        return ""
    return f'<div id="map" data-items="{escape(source)}" role="region" aria-label="地图 Map"></div>'


def _columns(asked: Asked) -> list[str]:
    card = [n for n in ("code", "name", "district", *asked.kind.card) if n in asked.names]
    found = list(dict.fromkeys([*card, *asked.names]))
    return [n for n in found if n not in ("num", "source", "version")][:_ROWS_COLUMNS]


def _said(kind: Kind, name: str) -> str:
    if name in _HEAD:
        return " ".join(_HEAD[name])
    field = kind.fields[name]
    unit = units.shown(field.unit)
    if unit is None:
        return f"{field.title['zh']} {field.title['en']}"
    both = unit["zh"] if unit["zh"] == unit["en"] else f"{unit['zh']} {unit['en']}"
    return f"{field.title['zh']} {field.title['en']} ({both})"


def _cell(kind: Kind, name: str, row: Mapping[str, Any]) -> str:
    value = _value(kind, name, row["properties"][name])
    if name == "code":
        return f'<a href="/ogc/collections/{kind.kind}/items/{escape(str(row["id"]))}?f=html">{value}</a>'
    return value


def _value(kind: Kind, name: str, value: Any) -> str:
    field = kind.fields.get(name)
    if value is None:
        return ""
    if isinstance(value, dict):
        return escape(json.dumps(value, ensure_ascii=False))
    return escape(str(field.text(value) if field else value))


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{h}</th>' for h in heads)
    body = "".join(f"<tr>{''.join(f'<td>{c}</td>' for c in row)}</tr>" for row in rows)
    return f'<div class="paper"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _links(links: Iterable[Mapping[str, str]]) -> str:
    said = "".join(
        f"<li>{_a(_local(link['href']), link.get('title') or link['rel'])} "
        f"<small>{escape(link['rel'].rpartition('/')[2])}</small></li>"
        for link in links if not link.get("templated")
    )  # fmt: skip
    return f'<ul class="links">{said}</ul>'


def _a(href: str, said: str) -> str:
    return f'<a href="{escape(href)}">{escape(said)}</a>'


def _local(href: str) -> str:
    """Return the path of an address of ours: the page may be read by another name of the host."""
    at = href.find("/ogc")
    return href[at:] if at >= 0 else href


def _first(params: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in params.items() if k != "after"}


def _as(path: str, params: Mapping[str, str], form: str) -> str:
    return f"{path}?{urlencode({**params, 'f': form})}"
