"""What follows from a product: JSON Schema of its messages, W3C Thing Model and Thing Descriptions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from twin import units
from twin.products.model import BOOLEAN, ENUM, INTEGER, TEXT, Product, Property

TD = "https://www.w3.org/2022/wot/td/v1.1"
_TYPES = {BOOLEAN: "boolean", ENUM: "string", INTEGER: "integer", TEXT: "string"}


def property_schema(prop: Property) -> dict[str, Any]:
    """Return the JSON Schema of one value."""
    made: dict[str, Any] = {"type": _TYPES.get(prop.type, "number"), "title": prop.title["zh"]}
    if prop.type == ENUM:
        made["enum"] = list(prop.codes)
    if prop.low is not None:
        made["minimum"] = prop.low
    if prop.high is not None:
        made["maximum"] = prop.high
    return made


def message_schema(product: Product) -> dict[str, Any]:
    """Return the JSON Schema of a telemetry message of the product."""
    values = {
        "type": "object",
        "minProperties": 1,
        "properties": {one.name: property_schema(one) for one in product.properties},
        "additionalProperties": product.open,
    }
    record = {
        "type": "object",
        "required": ["values"],
        "properties": {"t": {"type": "string", "format": "date-time"}, "values": values},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{product.title['zh']} · {product.key}",
        "$defs": {"record": record},
        "anyOf": [
            {"$ref": "#/$defs/record"},
            {"type": "array", "items": {"$ref": "#/$defs/record"}, "minItems": 1},
        ],
    }


def example(product: Product) -> dict[str, Any]:
    """Return the values of a plausible message: the middle of every range."""
    return {one.name: _middle(one) for one in product.properties if one.type != TEXT}


def _middle(prop: Property) -> Any:
    if prop.type == BOOLEAN:
        return False
    if prop.type == ENUM:
        return next(iter(prop.codes))
    low = prop.low if prop.low is not None else 0.0
    high = prop.high if prop.high is not None else low + 100
    middle = low + (high - low) * 0.4
    return round(middle) if prop.type == INTEGER else round(middle, 1)


def thing_model(product: Product) -> dict[str, Any]:
    """Return the WoT Thing Model of a product: what every device of it has."""
    return {
        "@context": [TD, {"@language": "zh"}],
        "@type": "tm:ThingModel",
        "id": f"urn:twin:product:{product.key}:{product.version}",
        "version": {"model": f"{product.version}.0.0"},
        **_titled(product.title),
        "description": (product.note or product.title)["zh"],
        "properties": _affordances(product),
        "actions": {
            one.name: {**_titled(one.title), "input": _object(one.args), "idempotent": False}
            for one in product.commands
        },
        "events": {
            one.name: {**_titled(one.title), "data": {"type": "object"}} for one in product.events
        },
    }


def thing_description(
    product: Product, device: str, title: str, *, base: str, mqtt: str
) -> dict[str, Any]:
    """Return the WoT Thing Description of one device, with the doors by which it is reached."""
    made = thing_model(product)
    path = f"{product.key}/{device}"
    made |= {
        "@type": "Thing",
        "id": f"urn:twin:device:{product.key}:{device}",
        "title": title or device,
        "base": base,
        "security": ["session"],
        "securityDefinitions": {"session": {"scheme": "bearer", "in": "header"}},
        "links": [{"rel": "type", "href": f"/api/v1/products/{product.key}/td"}],
    }
    made.pop("titles")
    made["version"] = {"instance": f"{product.version}.0.0"}
    for name, said in made["properties"].items():
        observe = {"href": f"{mqtt}/twin/v1/{path}/telemetry", "op": ["observeproperty"]}
        read = {"href": f"/api/v1/devices/{path}/values?property={name}", "op": ["readproperty"]}
        said["forms"] = [read, observe] if said["readOnly"] else [_desired(path)]
    for name, said in made["actions"].items():
        said["forms"] = [
            {"href": f"/api/v1/devices/{path}/commands/{name}", "op": ["invokeaction"]}
        ]
    for said in made["events"].values():
        said["forms"] = [{"href": f"{mqtt}/twin/v1/{path}/event", "op": ["subscribeevent"]}]
    return made


def _desired(path: str) -> dict[str, Any]:
    return {"href": f"/api/v1/devices/{path}/shadow", "op": ["readproperty", "writeproperty"]}


def _affordances(product: Product) -> dict[str, Any]:
    reported = {one.name: _affordance(one, reported=True) for one in product.properties}
    wanted = {
        name if name not in reported else f"desired_{name}": _affordance(one, reported=False)
        for name, one in ((one.name, one) for one in product.settings)
    }
    return reported | wanted


def _affordance(prop: Property, *, reported: bool) -> dict[str, Any]:
    made = {**property_schema(prop), **_titled(prop.title), "readOnly": reported}
    if reported:
        made["observable"] = True
    if prop.unit:
        made["unit"] = prop.unit
    return made


def _titled(title: Mapping[str, str]) -> dict[str, Any]:
    return {"title": title["zh"], "titles": {"zh": title["zh"], "en": title["en"]}}


def _object(props: Iterable[Property]) -> dict[str, Any]:
    return {"type": "object", "properties": {one.name: property_schema(one) for one in props}}


def shown(product: Product) -> dict[str, Any]:
    """Return the product as screens show it: with units as they read."""
    return {
        "key": product.key,
        "title": product.title,
        "note": product.note,
        "kind": product.kind,
        "category": product.category,
        "protocol": product.protocol,
        "icon": product.icon,
        "moves": product.moves,
        "open": product.open,
        "main": product.shown.name if product.shown else None,
        "version": product.version,
        "period_s": product.period_s,
        "codec": product.codec.type,
        "retention": vars(product.retention),
        "properties": [_shown_property(one) for one in product.properties],
        "settings": [_shown_property(one) for one in product.settings],
        "events": [vars(one) for one in product.events],
        "commands": [
            {**vars(one), "args": [_shown_property(arg) for arg in one.args]}
            for one in product.commands
        ],
    }


def _shown_property(prop: Property) -> dict[str, Any]:
    return {
        "name": prop.name, "title": prop.title, "type": prop.type, "unit": units.shown(prop.unit),
        "low": prop.low, "high": prop.high, "period_s": prop.period_s, "codes": dict(prop.codes),
        "observed": prop.observed,
    }  # fmt: skip
