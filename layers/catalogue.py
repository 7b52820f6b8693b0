"""The layer tree with its legend, from the same kinds and tokens as the style."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from layers import style, things
from layers.databases import databases
from layers.databases import members as grouped
from layers.ground import BASE_KINDS, ROADS
from layers.tokens import Palette, tokens
from twin.kinds import Kind

GROUPS = (
    ("live", {"zh": "实时", "en": "Live"}),
    ("greening", {"zh": "绿化", "en": "Greening"}),
    ("forestry", {"zh": "林业", "en": "Forestry"}),
    ("sanitation", {"zh": "环卫", "en": "Sanitation"}),
    ("appearance", {"zh": "市容", "en": "City appearance"}),
    ("landscape", {"zh": "景观", "en": "Landscape"}),
    ("base", {"zh": "底图", "en": "Base map"}),
)
_YES_NO = {"true": {"zh": "是", "en": "Yes"}, "false": {"zh": "否", "en": "No"}}
# What moves is one live layer, whatever kind it is of.
_LIVE = {"vehicle": "movers", "crew": "movers"}
_BASE_MARKS = {
    "district": ("dash", "boundary"), "street": ("dash", "boundary_minor"), "water_body": ("fill", "water"),
    "green_space": ("fill", "green"), "park": ("fill", "green"), "building": ("fill", "building"),
}  # fmt: skip


def tree(
    kinds: dict[str, Kind], theme: str = "night", levels: frozenset[str] = frozenset(),
    heights: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return `{groups: [{id, title, layers, databases}]}` of what the style draws and what lives."""
    p = Palette(theme)
    drawn = style.build(theme, kinds, levels=levels)["layers"]
    found: dict[str, list[dict[str, Any]]] = {key: [] for key, _ in GROUPS}
    found["live"] = _live(p, kinds)
    for kind in kinds.values():
        if kind.geometry == "none" or kind.kind in things.MOVERS:
            continue
        ids = [one["id"] for one in drawn if one.get("metadata", {}).get("kind") == kind.kind]
        ids = [i for i in ids if i != "district-land"]
        group = kind.topic if kind.topic in found else "base"
        found[group].append(_node(kind, _legend(kind, p), ids, kind.kind in levels))
    if heights:
        found["base"].append(_ground(p, heights))
    branches = _branches(kinds, {node["id"] for nodes in found.values() for node in nodes})
    return {
        "groups": [
            {"id": key, "title": title, "layers": found[key], "databases": branches.get(key, [])}
            for key, title in GROUPS
            if found[key] or branches.get(key)
        ]
    }


def _ground(p: Palette, heights: Mapping[str, Any]) -> dict[str, Any]:
    """Return the node of hills: shade on the flat map, relief in 3D, as much higher as one wants."""
    title = {"zh": "地形", "en": "Terrain"}
    return {
        "id": "terrain", "title": title, "kind": "terrain", "type": "terrain", "visible": True,
        "min_zoom": 6, "legend": [_mark(p, title, "road", "fill")], "style_layers": ["terrain-shade"],
        "heights": {"lowest_m": heights["lowest_m"], "highest_m": heights["highest_m"],
                    "step_m": heights["step_m"], "name": heights["name"], "at": heights["at"]},
    }  # fmt: skip


def _branches(kinds: dict[str, Kind], drawn: set[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the topic databases of each group with the layers in them; records are no layers."""
    known, members = databases(), grouped(kinds.values())
    made: dict[str, list[dict[str, Any]]] = {}
    for key, database in known.items():
        ids = [_LIVE.get(k.kind, k.kind) for k in members[key]]
        ids = [i for i in dict.fromkeys(ids) if i in drawn]
        if ids:
            branch = {"id": key, "title": dict(database.title), "layers": ids}
            made.setdefault(database.topic, []).append(branch)
    return made


def _node(
    kind: Kind, legend: list[dict[str, Any]], ids: list[str], levelled: bool
) -> dict[str, Any]:
    zoom = 8 if kind.kind in BASE_KINDS or levelled else things.first_zoom(kind)
    return {
        "id": kind.kind, "title": dict(kind.title), "kind": kind.kind, "type": "tiles",
        "visible": things.shown(kind), "min_zoom": zoom, "legend": legend, "style_layers": ids,
    }  # fmt: skip


def _mark(p: Palette, label: Any, token: str, shape: str) -> dict[str, Any]:
    return {"label": dict(label), "color": p.get(token), "token": token, "shape": shape}


def _legend(kind: Kind, p: Palette) -> list[dict[str, Any]]:
    if kind.kind == "road":
        codes = kind.fields["class"].codes if "class" in kind.fields else {}
        known = {str(k): v for k, v in (codes or {}).items()}
        fast = ("expressway", "elevated")
        return [_mark(p, _said(known.get(name, name)), "road_major" if name in fast else "road", "line")
                for name in ROADS]  # fmt: skip
    if kind.kind == "street_tree":
        good = _mark(p, {"zh": "长势正常", "en": "Healthy"}, "tree", "circle")
        codes = (
            {str(k): v for k, v in (kind.fields["health"].codes or {}).items()}
            if "health" in kind.fields
            else {}
        )
        return [good] + [
            _mark(p, _said(codes[s]), t, "circle") for s, t in things.HEALTH.items() if s in codes
        ]
    if kind.kind in _BASE_MARKS:
        shape, token = _BASE_MARKS[kind.kind]
        return [_mark(p, kind.title, token, shape)]
    if kind.symbol.get("colors"):
        return _coloured(kind, p)
    if kind.geometry == "point":
        return [
            _mark(p, kind.title, things.domain(kind), f"icon:{kind.symbol.get('icon', 'map-pin')}")
        ]
    token = "forest" if kind.kind in things.GROUND else things.domain(kind)
    return [_mark(p, kind.title, token, "fill" if kind.geometry == "polygon" else "line")]


def _coloured(kind: Kind, p: Palette) -> list[dict[str, Any]]:
    """Return one mark for each colour that a kind says; codes that share a colour share the mark."""
    field = kind.fields[str(kind.symbol["color_by"])]
    codes = {str(k): v for k, v in (field.codes or _YES_NO).items()}
    shape = {"polygon": "fill", "line": "line"}.get(kind.geometry, f"icon:{kind.symbol['icon']}")
    marks: dict[str, dict[str, Any]] = {}
    for code, token in kind.symbol["colors"].items():
        label = _said(codes.get(str(code), str(code)))
        if token in marks:
            both = marks[token]["label"]
            marks[token]["label"] = {
                "zh": f"{both['zh']}、{label['zh']}",
                "en": f"{both['en']}, {label['en']}",
            }
        else:
            marks[token] = _mark(p, label, token, shape)
    return list(marks.values())


def _said(title: Any) -> dict[str, str]:
    return dict(title) if isinstance(title, dict) else {"zh": str(title), "en": str(title)}


def _live(p: Palette, kinds: Iterable[str]) -> list[dict[str, Any]]:
    severities = [
        _mark(p, one["title"], one["token"], f"severity:{level}")
        for level, one in tokens()["severity"].items()
    ]
    made = [{
        "id": "events", "title": {"zh": "事件", "en": "Events"}, "kind": "event", "type": "live", "visible": True,
        "min_zoom": 0, "legend": severities, "style_layers": [],
    }]  # fmt: skip
    if "vehicle" in kinds or "crew" in kinds:
        said = tokens()["mover_status"]
        marks = [
            _mark(p, said[s]["title"], said[s]["token"], "arrow") for s in ("2", "1", "3", "4")
        ]
        marks.append(_mark(p, {"zh": "班组", "en": "Crew"}, "idle", "ring"))
        made.append({
            "id": "movers", "title": {"zh": "车辆与班组", "en": "Vehicles and crews"},
            "kind": "vehicle", "type": "live",
            "visible": True, "min_zoom": 0, "legend": marks, "style_layers": [],
        })  # fmt: skip
    return made
