"""A plain page for people who open the feature API in a browser."""

from __future__ import annotations

import json
from html import escape
from typing import Any

_STYLE = (
    "body{font:14px/1.5 'Noto Sans CJK SC','PingFang SC',sans-serif;margin:32px auto;max-width:960px;"
    "padding:0 16px;color:#1d2426;background:#f4f3ee}a{color:#006fbd}pre{white-space:pre-wrap;"
    "background:#fff;border:1px solid #dcdad2;padding:16px;font-size:12px}"
)


def page(title: str, said: dict[str, Any]) -> bytes:
    """Return a page with the links of an answer as links and the rest as it is."""
    links = [*said.get("links", [])]
    for one in said.get("collections", []):
        links += [
            {**link, "title": one["title"]} for link in one["links"] if link["rel"] == "items"
        ]
    items = "".join(
        f'<li><a href="{escape(link["href"])}">{escape(link["title"])}</a> '
        f"<small>{escape(link['rel'])}</small></li>"
        for link in links
    )
    body = escape(json.dumps(said, ensure_ascii=False, indent=1)[:200_000])
    return (
        f'<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1><ul>{items}</ul><pre>{body}</pre></html>"
    ).encode()
