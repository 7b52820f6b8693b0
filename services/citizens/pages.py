"""The pages that a citizen sees: the report, the number, what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from services.web import plain

SCRIPT = "/report/place.js"
TEXTS: Mapping[str, Mapping[str, str]] = {
    "zh": {
        "title": "上报问题", "what": "什么问题", "describe": "说说情况", "where": "在什么地方",
        "where_hint": "路名、门牌或附近的标志", "here": "使用我的位置", "here_done": "已记下您的位置",
        "here_failed": "没有得到位置，请写明地址", "photo": "照片（选填）",
        "contact": "联系方式（选填，仅用于回访）", "send": "提交", "thanks": "已收到，谢谢",
        "number": "您的编号，可凭它查询办理情况",
        "follow": "查看办理情况", "steps": "办理情况", "error": "没有提交成功",
        "again": "返回修改", "look": "查询", "look_up": "已有编号？查询办理情况",
        "none": "没有这个编号", "another": "再报一件",
        "due": "预计", "fields": "更多情况（选填）", "yes": "是", "no": "否", "choose": "请选择",
        "asked": "工作人员需要您补充", "your_answer": "您的补充", "satisfied": "您对处理结果满意吗",
        "why": "意见（不满意请说明原因）", "noted": "已记下，谢谢",
        "keep_link": "请保存下面的链接：补充情况和评价都从这里进入",
    },
    "en": {
        "title": "Report a problem", "what": "What is the problem", "describe": "Describe it",
        "where": "Where is it", "where_hint": "Street, number, or what stands nearby",
        "here": "Use my position", "here_done": "Your position is noted",
        "here_failed": "No position was found; please write the address", "photo": "Photo (optional)",
        "contact": "How to reach you (optional, for questions only)", "send": "Send",
        "thanks": "Received, thank you", "number": "Your number: follow your report with it",
        "follow": "See what becomes of it", "steps": "What became of it", "error": "It was not sent",
        "again": "Back", "look": "Look up", "look_up": "You have a number? See what became of it",
        "none": "There is no such number", "another": "Report something else", "due": "Expected by",
        "fields": "More about it (optional)", "yes": "Yes", "no": "No", "choose": "Choose",
        "asked": "We need one more thing from you", "your_answer": "Your answer",
        "satisfied": "Are you satisfied with the result?",
        "why": "Remark (say what is wrong if you are not)", "noted": "Noted, thank you",
        "keep_link": "Keep this link: you answer questions and rate the result here",
    },
}  # fmt: skip


def language(said: str | None, accepts: str) -> str:
    """Return zh or en: what the address says, else what the browser prefers."""
    if said is not None and said in TEXTS:
        return said
    return "en" if accepts.lower().lstrip().startswith("en") else "zh"


def form(kinds: Sequence[tuple[str, Mapping[str, Any]]], lang: str, once: str) -> bytes:
    """Return the page with the form."""
    t = TEXTS[lang]
    options = "".join(
        f'<option value="{escape(key)}">{escape(kind["title"][lang])}</option>'
        for key, kind in kinds
    )
    body = (
        f"<h1>{t['title']}</h1><section class=report>"
        f'<form method=post action="/report?lang={lang}" enctype="multipart/form-data">'
        f"<label>{t['what']}<select name=category required>{options}</select></label>"
        f"<label>{t['describe']}<textarea name=description rows=4 maxlength=1000 required></textarea></label>"
        f'<label>{t["where"]}<input name=address maxlength=200 placeholder="{t["where_hint"]}"></label>'
        f'<button type=button id=here class=second hidden data-done="{t["here_done"]}" '
        f'data-failed="{t["here_failed"]}">{t["here"]}</button>'
        "<input type=hidden name=lon id=lon><input type=hidden name=lat id=lat>"
        f'<label>{t["photo"]}<input type=file name=photo accept="image/jpeg,image/png,image/webp"></label>'
        f"<label>{t['contact']}<input name=contact maxlength=60 autocomplete=tel></label>"
        f'<input type=hidden name=once value="{escape(once)}"><button>{t["send"]}</button></form></section>'
        f'<form method=get action="/report/find"><label>{t["look_up"]}'
        f"<input name=code maxlength=40 required></label><input type=hidden name=lang value={lang}>"
        f"<button class=second>{t['look']}</button></form>"
    )
    return plain.page(t["title"], body, lang, switch=True, script=SCRIPT)


def thanks(code: str, proof: str, lang: str) -> bytes:
    """Return the page with the number of a report, and the link that is its reporter's alone."""
    t = TEXTS[lang]
    body = (
        f"<h1>{t['thanks']}</h1><p>{t['number']}</p><p class=number><code>{escape(code)}</code></p>"
        f"<p>{t['keep_link']}</p>"
        f'<p><a href="/report/{escape(code)}?k={proof}&amp;lang={lang}">{t["follow"]}</a></p>'
        f'<p><a href="/report?lang={lang}">{t["another"]}</a></p>'
    )
    return plain.page(t["thanks"], body, lang, switch=False)


def story(said: Mapping[str, Any], lang: str, *, noted: bool = False) -> bytes:
    """Return what became of a report: its kind, its state and its steps, and no name of anybody."""
    t = TEXTS[lang]
    steps = "".join(
        f"<dt>{step['at']:%Y-%m-%d %H:%M}</dt><dd>{escape(step['title'][lang])}</dd>"
        for step in said["steps"]
    )
    due = f"<p class=muted>{t['due']} {said['due']:%Y-%m-%d %H:%M}</p>" if said["due"] else ""
    done = f"<p role=status><b>{t['noted']}</b></p>" if noted else ""
    body = (
        f"{done}<p class=kind>{escape(said['kind'][lang])}</p><h1>{escape(said['state'][lang])}</h1>{due}"
        f"{_question(said, t, lang) if said['asked'] else ''}"
        f"{_verdict(said, t, lang) if said['verdicts'] else ''}"
        f"<h2>{t['steps']}</h2><dl>{steps}</dl>"
        f"<footer><p><code>{escape(said['code'])}</code></p>"
        f'<p><a href="/report?lang={lang}">{t["another"]}</a></p></footer>'
    )
    return plain.page(t["steps"], body, lang, switch=not noted and not said["proof"],
                      script=SCRIPT if said["asked"] else "")  # fmt: skip


def _question(said: Mapping[str, Any], t: Mapping[str, str], lang: str) -> str:
    """Return the form in which the reporter answers what is asked."""
    return (
        f"<section class=report><h2>{t['asked']}</h2><p><b>{escape(said['asked'])}</b></p>"
        f'<form method=post action="/report/{escape(said["code"])}/answer?lang={lang}" '
        f'enctype="multipart/form-data"><input type=hidden name=k value="{escape(said["proof"])}">'
        f"<label>{t['your_answer']}<textarea name=note rows=3 maxlength=1000 required></textarea></label>"
        f'<button type=button id=here class=second hidden data-done="{t["here_done"]}" '
        f'data-failed="{t["here_failed"]}">{t["here"]}</button>'
        "<input type=hidden name=lon id=lon><input type=hidden name=lat id=lat>"
        f'<label>{t["photo"]}<input type=file name=photo accept="image/jpeg,image/png,image/webp"></label>'
        f"<button>{t['send']}</button></form></section>"
    )


def _verdict(said: Mapping[str, Any], t: Mapping[str, str], lang: str) -> str:
    """Return the form in which the reporter says what they think of the result."""
    choices = "".join(
        f'<label><input type=radio name=verdict value="{escape(key)}" required> {escape(one["title"][lang])}</label>'
        for key, one in said["verdicts"].items()
    )
    return (
        f'<section class=report><form method=post action="/report/{escape(said["code"])}/visit?lang={lang}" '
        f'enctype="multipart/form-data"><input type=hidden name=k value="{escape(said["proof"])}">'
        f"<fieldset><legend>{t['satisfied']}</legend>{choices}</fieldset>"
        f"<label>{t['why']}<textarea name=note rows=2 maxlength=1000></textarea></label>"
        f"<button>{t['send']}</button></form></section>"
    )


def refused(why: str, lang: str) -> bytes:
    """Return the page that says why a report was not taken."""
    t = TEXTS[lang]
    body = (
        f"<h1>{t['error']}</h1><p>{escape(t.get(why, why))}</p>"
        f'<p><a href="/report?lang={lang}">{t["again"]}</a></p>'
    )
    return plain.page(t["error"], body, lang, switch=False)
