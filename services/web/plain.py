"""Plain public pages: one column, no script needed, readable on the cheapest phone."""

from __future__ import annotations

from functools import lru_cache
from html import escape
from pathlib import Path

from fastapi import Response

from layers.tokens import tokens

_CITY = {"zh": "绿容孪生 · 上海", "en": "Lvrong Twin · Shanghai"}


def page(title: str, body: str, lang: str, *, switch: bool, script: str = "") -> bytes:
    """Return a page; `switch` offers the other language, `script` is the address of a file of ours."""
    other = "en" if lang == "zh" else "zh"
    link = f'<a href="?lang={other}" lang="{other}">{"English" if other == "en" else "中文"}</a>'
    tail = f'<script src="{script}" defer></script>' if script else ""
    return (
        f'<!doctype html><html lang="{"zh-CN" if lang == "zh" else "en"}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_style()}</style>{tail}</head><body>"
        f"<header><span>{_CITY[lang]}</span>{link if switch else ''}</header>"
        f"<main>{body}</main></body></html>"
    ).encode()


def answer(raw: bytes, status: int = 200, *, script: bool = False) -> Response:
    """Return a page with a policy that lets nothing in from elsewhere."""
    own = "script-src 'self'; " if script else ""
    policy = (
        f"default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; {own}form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cache-Control": "no-cache",
        "Referrer-Policy": "no-referrer",
    }
    return Response(raw, status, headers, media_type="text/html; charset=utf-8")


@lru_cache(maxsize=1)
def _style() -> str:
    """Return the page's own style sheet with the colours of the product, by day and by night."""

    def colours(theme: str) -> str:
        return "".join(f"--{k}:{v};" for k, v in tokens()["themes"][theme].items())

    sheet = Path(__file__).with_name("plain.css").read_text(encoding="utf-8")
    return (
        f":root{{--font:{tokens()['font']};{colours('day')}}}"
        f"@media(prefers-color-scheme:dark){{:root{{{colours('night')}}}}}{sheet}"
    )
