"""Every text exists in both languages, and every text that the screens ask for exists."""

from __future__ import annotations

import json
import re
from pathlib import Path

WEB = Path(__file__).parents[2] / "ui" / "web"


def texts(lang: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(
        (WEB / "locales" / f"{lang}.json").read_text(encoding="utf-8")
    )
    return found


def test_both_languages_have_the_same_keys_and_values_to_fill_in() -> None:
    zh, en = texts("zh-CN"), texts("en")
    assert list(zh) == list(en)
    for key in zh:
        assert set(re.findall(r"\{\w+\}", zh[key])) == set(re.findall(r"\{\w+\}", en[key])), key


def test_english_is_english() -> None:
    assert [
        k for k, v in texts("en").items() if re.search(r"[一-鿿]", v) and k != "lang.switch"
    ] == []


def test_every_text_in_the_code_has_a_key() -> None:
    zh = texts("zh-CN")
    source = "".join(p.read_text(encoding="utf-8") for p in (WEB / "src").rglob("*.ts*"))
    asked = set(re.findall(r"""\bt\(\s*"([\w.]+)\"""", source))
    assert asked
    assert asked <= set(zh)


def test_no_chinese_text_outside_the_locales() -> None:
    for path in (WEB / "src").rglob("*.ts*"):
        assert not re.findall(
            r"[一-鿿]", re.sub(r"//.*|/\*.*?\*/", "", path.read_text(encoding="utf-8"))
        ), path.name
