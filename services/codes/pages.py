"""The public page of a thing: one column, no script, readable on the cheapest phone."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any

from services.codes.service import open_now
from services.web import plain
from twin import units
from twin.kinds import Field, Kind

_TEXTS = {
    "zh": {
        "open": "现在开放", "shut": "现在关闭", "report": "这里有问题？告诉我们",
        "what": "什么问题", "describe": "说说情况", "contact": "联系方式（选填，仅用于回访）",
        "send": "提交", "place": "位置", "code": "编码", "updated": "数据更新", "generated": "演示数据，由程序生成",
        "none": "没有这个编码", "none_long": "请核对编码，或扫描标牌上的二维码。", "thanks": "已收到，谢谢",
        "thanks_long": "可凭下面的编号查询办理情况。", "back": "返回", "story": "故事", "yes": "是", "no": "否",
        "state": "状态",
        "error": "没有提交成功", "active": "正常",
    },
    "en": {
        "open": "Open now", "shut": "Closed now",
        "report": "Something wrong here? Tell us", "what": "What is the problem",
        "describe": "Describe it", "contact": "How to reach you (optional, for questions only)",
        "send": "Send", "place": "Place", "code": "Code", "updated": "Data of",
        "generated": "Demonstration data, generated", "none": "There is no such code",
        "none_long": "Check the code, or scan the QR code on the plate.", "thanks": "Received, thank you",
        "thanks_long": "Follow it with the number below.", "back": "Back", "story": "Story",
        "yes": "Yes", "no": "No", "state": "State", "error": "It was not sent", "active": "Active",
    },
}  # fmt: skip


def language(said: str | None, accepts: str) -> str:
    """Return zh or en: what the address says, else what the browser prefers."""
    if said in _TEXTS:
        return said
    return "en" if accepts.lower().lstrip().startswith("en") else "zh"


def thing(shown: dict[str, Any], lang: str, now: datetime, once: str) -> bytes:
    """Return the page of a thing."""
    t = _TEXTS[lang]
    kind: Kind = shown["kind"]
    name = shown["name"] or kind.title[lang]
    opening = next((v for f, v in shown["fields"] if f.name == "open_hours"), None)
    is_open = open_now(opening, now)
    badge = "" if is_open is None else (
        f'<p class="badge {"good" if is_open else "shut"}">{t["open" if is_open else "shut"]}</p>'
    )  # fmt: skip
    rows = [(t["place"], shown["place"])] if shown["place"] else []
    rows += [(f.title[lang], _said(f, v, lang, t)) for f, v in shown["fields"]]
    if shown["state"] != "active":
        state = kind.states.get(shown["state"], {}).get(lang, shown["state"])
        rows.insert(0, (t["state"], state))
    facts = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in rows)
    pictures = "".join(
        f'<img src="/c/{shown["code"]}/pictures/{i}" alt="{escape(name)} {i + 1}" loading="lazy">'
        for i in range(len(shown["pictures"]))
    )
    told = shown["story"]
    story = f"<h2>{t['story']}</h2><p class=story>{escape(told)}</p>" if told else ""
    note = f"<p class=muted>{t['generated']}</p>" if shown["generated"] else ""
    body = (
        f"<p class=kind>{escape(kind.title[lang])}</p><h1>{escape(name)}</h1>{badge}"
        f"<div class=pictures>{pictures}</div><dl>{facts}</dl>{story}{_form(shown, lang, once)}"
        f"<footer><p>{t['code']} <code>{shown['code']}</code></p>"
        f"<p class=muted>{t['updated']} {shown['updated_at']:%Y-%m-%d}</p>{note}</footer>"
    )
    return plain.page(name, body, lang, switch=True)


def _form(shown: dict[str, Any], lang: str, once: str) -> str:
    if shown["point"] is None:
        return ""
    t = _TEXTS[lang]
    options = "".join(
        f'<option value="{escape(key)}">{escape(title[lang])}</option>'
        for key, title in shown["report"]
    )
    return (
        f"<section class=report><h2>{t['report']}</h2>"
        f'<form method=post action="/c/{shown["code"]}/report?lang={lang}">'
        f"<label>{t['what']}<select name=category required>{options}</select></label>"
        f"<label>{t['describe']}<textarea name=description rows=3 maxlength=1000 required></textarea></label>"
        f"<label>{t['contact']}<input name=contact maxlength=60 autocomplete=tel></label>"
        f'<input type=hidden name=once value="{once}">'
        f"<button>{t['send']}</button></form></section>"
    )


def _said(field: Field, value: Any, lang: str, t: dict[str, str]) -> str:
    if isinstance(value, bool):
        return t["yes" if value else "no"]
    if isinstance(value, float):
        value = f"{value:,.1f}".removesuffix(".0")
    text = field.text(value, lang) or ""
    unit = units.shown(field.unit)
    return f"{text} {unit[lang]}" if unit else text


def message(
    heading: str,
    text: str,
    lang: str,
    *,
    code: str | None = None,
    number: str = "",
    proof: str = "",
) -> bytes:
    """Return a short page: thanks, refusal, or that there is nothing behind a code."""
    t = _TEXTS[lang]
    said = f"<code>{escape(number)}</code>"
    if proof:
        said = f'<a href="/report/{escape(number)}?k={proof}&amp;lang={lang}">{said}</a>'
    shown = f"<p class=number>{said}</p>" if number else ""
    back = f'<p><a href="/c/{escape(code)}?lang={lang}">{t["back"]}</a></p>' if code else ""
    head, said = t.get(heading, heading), t.get(text, text)
    return plain.page(
        head, f"<h1>{escape(head)}</h1><p>{escape(said)}</p>{shown}{back}", lang, switch=bool(code)
    )
