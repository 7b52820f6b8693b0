"""Styles and layer tree come from one source; the past and unknown kinds are drawn as well."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from layers import catalogue, live, style
from layers.tokens import Palette, tokens
from twin import kinds
from twin.errors import NotFound

KINDS = {k.kind: k for k in kinds.shipped()}


@pytest.mark.parametrize("theme", ["night", "day"])
def test_a_style_is_sound(theme: str) -> None:
    made = style.build(theme, KINDS)
    ids = [layer["id"] for layer in made["layers"]]
    assert len(ids) == len(set(ids))
    for layer in made["layers"]:
        assert layer.get("source", "base") in made["sources"]
    assert "glyphs" not in made and "sprite" not in made
    assert not re.search(r"https?://", str(made))


def test_every_kind_with_a_place_is_in_the_tree_and_drawn_or_live() -> None:
    nodes = {n["kind"]: n for g in catalogue.tree(KINDS)["groups"] for n in g["layers"]}
    drawn = {layer["id"] for layer in style.build("night", KINDS)["layers"]}
    for name, kind in KINDS.items():
        if kind.geometry == "none" or name == "crew":
            continue
        assert nodes[name]["legend"], name
        assert set(nodes[name]["style_layers"]) <= drawn
        assert nodes[name]["style_layers"] or nodes[name]["type"] == "live"


def test_a_kind_nobody_knew_is_drawn_without_python() -> None:
    unknown = replace(KINDS["toilet"], kind="water_tap", geometry="point")
    made = style.build("day", {**KINDS, "water_tap": unknown})
    assert "water_tap" in made["sources"]
    assert any(layer["id"] == "water_tap" for layer in made["layers"])


def test_an_unknown_style_or_live_layer_is_not_found() -> None:
    with pytest.raises(NotFound):
        Palette("sepia")
    with pytest.raises(NotFound):
        live.definition("ghosts")


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["night", "day"])
@pytest.mark.parametrize(
    "token", ["text", "muted", "critical", "major", "minor", "info", "good", "past", "selected"]
)
def test_text_colours_reach_wcag_aa_on_panels(theme: str, token: str) -> None:
    themed = tokens()["themes"][theme]
    assert contrast(themed[token], themed["panel_solid"]) >= 4.5


def test_the_bundle_reads_the_same_tokens() -> None:
    web = Path(__file__).parents[2] / "ui" / "web"
    assert "layers/tokens.json" in (web / "scripts" / "tokens.mjs").read_text(encoding="utf-8")
    assert "layers/tokens.json" in (web / "src" / "mapkit" / "tokens.ts").read_text(
        encoding="utf-8"
    )
