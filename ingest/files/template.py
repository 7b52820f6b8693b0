"""Load templates made from the declaration of a kind: a workbook or CSV that loads as it is."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import openpyxl
from openpyxl.comments import Comment
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from ingest.files import columns as naming
from twin.errors import BadRequest
from twin.kinds import Field, Kind

_ROWS = 5000
_EXAMPLE = {"zh": "#示例", "en": "#example"}
_FORBIDDEN = str.maketrans("[]:*?/\\", "       ")
_HEAD: dict[str, dict[str, str]] = {
    "source_key": {"zh": "自有编号", "en": "Own number"},
    "code": {"zh": "编码", "en": "Code"},
    "name": {"zh": "名称", "en": "Name"},
    "state": naming.STATE,
    "lon": {"zh": "经度", "en": "Longitude"},
    "lat": {"zh": "纬度", "en": "Latitude"},
    "wkt": {"zh": "WKT", "en": "WKT"},
}
_NOTES: dict[str, dict[str, str]] = {
    "source_key": {
        "zh": "本单位给每条记录的唯一编号，再次加载时按它更新",
        "en": "Your own unique number of each record; a later load updates by it",
    },
    "code": {"zh": "官方代码", "en": "The official code"},
    "name": {"zh": "", "en": ""},
    "state": {"zh": "不填为正常", "en": "Active when empty"},
    "lon": {"zh": "度，WGS-84；其他坐标系加载时选择", "en": "Degrees, WGS-84; say another CRS when loading"},
    "lat": {"zh": "度，WGS-84；其他坐标系加载时选择", "en": "Degrees, WGS-84; say another CRS when loading"},
    "wkt": {
        "zh": "图形的 WKT 文本；也可用 GIS 软件直接加载图形文件",
        "en": "The shape as WKT; files of a GIS can be loaded directly instead",
    },
}  # fmt: skip
_WORDS: dict[str, dict[str, str]] = {
    "notes": {"zh": "说明", "en": "Notes"},
    "column": {"zh": "列", "en": "Column"},
    "field": {"zh": "字段", "en": "Field"},
    "type": {"zh": "类型", "en": "Type"},
    "required": {"zh": "必填", "en": "Required"},
    "range": {"zh": "取值", "en": "Values"},
    "note": {"zh": "说明", "en": "Note"},
    "yes": {"zh": "是", "en": "yes"},
    "no": {"zh": "否", "en": "no"},
}
_TYPES: dict[str, dict[str, str]] = {
    "text": {"zh": "文本", "en": "Text"}, "integer": {"zh": "整数", "en": "Whole number"},
    "number": {"zh": "数值", "en": "Number"}, "boolean": {"zh": "是否", "en": "Yes or no"},
    "date": {"zh": "日期", "en": "Date"}, "datetime": {"zh": "时间", "en": "Time"},
    "code": {"zh": "代码", "en": "Code list"}, "list": {"zh": "列表，以、分隔", "en": "List, parted by ;"},
    "link": {"zh": "网址", "en": "Address"}, "file": {"zh": "文件", "en": "File"},
    "json": {"zh": "JSON", "en": "JSON"}, "ref": {"zh": "另一对象的编码或名称", "en": "Code or name of another thing"},
}  # fmt: skip
_SAMPLES: dict[str, Any] = {
    "text": {"zh": "文字", "en": "words"}, "boolean": {"zh": "是", "en": "yes"}, "date": "2026-01-15",
    "datetime": "2026-01-15T08:00:00+08:00", "list": {"zh": "甲、乙", "en": "a; b"},
    "link": "https://example.org/", "file": "", "json": "{}",
}  # fmt: skip
_WKT = {
    "line": "LINESTRING (121.47 31.23, 121.48 31.24)",
    "polygon": "POLYGON ((121.47 31.23, 121.48 31.23, 121.48 31.24, 121.47 31.23))",
}


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a template: `name` is the field or header name, `title` what stands in the file."""

    name: str
    title: str
    field: Field | None
    example: Any


def columns(kind: Kind, lang: str = "zh") -> list[Column]:
    """Return the columns of a kind's template in their order."""
    head = ["code" if kind.kind in naming.CODED else "source_key", "name"]
    head += ["state"] if len(kind.states) > 1 else []
    place = {"point": ["lon", "lat"], "none": []}.get(kind.geometry, ["wkt"])
    made: list[Column] = []
    taken: set[str] = set()
    for name in [*head, *kind.fields, *place]:
        field = kind.fields.get(name)
        title = _titled(field, lang) if field else _HEAD[name][lang]
        # Two fields of one title could not be told apart when the file comes back.
        if naming.plain(title) in taken:
            title = name
        taken.add(naming.plain(title))
        example = _example(field, lang) if field else _head_example(kind, name, lang)
        made.append(Column(name=name, title=title, field=field, example=example))
    return made


def _titled(field: Field, lang: str) -> str:
    title = str(field.title.get(lang) or field.title["zh"])
    return f"{title}（{field.unit}）" if field.unit and field.unit not in title else title


def _head_example(kind: Kind, name: str, lang: str) -> Any:
    if name in ("source_key", "code"):
        return f"{_EXAMPLE[lang]} {kind.code}-001"
    if name == "state":
        return next(iter(kind.states.values())).get(lang, "")
    if name == "name":
        return kind.title[lang]
    return {"lon": 121.4737, "lat": 31.2304}.get(name) or _WKT[kind.geometry]


def _example(field: Field, lang: str) -> Any:
    if field.example is not None:
        return field.text(field.example, lang) if field.codes else _cell(field.example)
    if field.codes:
        return field.text(next(iter(field.codes)), lang)
    if field.is_ref:
        return "310104-XX-000001"
    if field.type in ("integer", "number"):
        low, high = field.min, field.max
        value = low if low is not None else min(1, high) if high is not None else 1
        return int(value) if field.type == "integer" else value
    said = _SAMPLES.get(field.type, "")
    return said[lang] if isinstance(said, Mapping) else said


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return "、".join(map(str, value))
    return value if isinstance(value, int | float | str) else str(value)


def template(kind: Kind, path: Path, lang: str = "zh") -> Path:
    """Write the template of a kind; the ending of the path says whether as .xlsx or .csv."""
    if lang not in ("zh", "en"):
        raise BadRequest("Templates are made in zh and en.")
    if path.suffix.lower() == ".csv":
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            made = columns(kind, lang)
            csv.writer(file).writerows([[c.title for c in made], [c.example for c in made]])
        return path
    with path.open("wb") as out:
        write(kind, out, lang)
    return path


def write(kind: Kind, out: IO[bytes], lang: str = "zh") -> None:
    """Write the template as a workbook: the table, then notes and code lists."""
    made = columns(kind, lang)
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = kind.title[lang].translate(_FORBIDDEN)[:31]
    notes = book.create_sheet(_WORDS["notes"][lang])
    _table(sheet, made, lang)
    _notes(notes, made, lang)
    _lists(sheet, notes, kind, made, lang)
    book.save(out)


def _table(sheet: Any, made: list[Column], lang: str) -> None:
    sheet.append([c.title for c in made])
    sheet.append([c.example for c in made])
    sheet.freeze_panes = "A2"
    sheet.row_dimensions[1].height = 24
    for i, column in enumerate(made, start=1):
        cell = sheet.cell(1, i)
        must = bool(column.field and column.field.required)
        cell.font = Font(bold=True, color="C8281E" if must else "1D2426")
        cell.fill = PatternFill("solid", fgColor="E9EFE6")
        cell.alignment = Alignment(vertical="center")
        said = _about(column, lang)
        if said:
            cell.comment = Comment(said, "Lvrong Twin", width=320, height=120)
        sheet.cell(2, i).font = Font(italic=True, color="8A9292")
        wide = sum(2 if ord(c) > 0x2E80 else 1 for c in column.title)
        sheet.column_dimensions[get_column_letter(i)].width = max(12, min(40, wide + 6))


def _about(column: Column, lang: str) -> str:
    field = column.field
    if field is None:
        return _NOTES[column.name][lang]
    said = [_type(field, lang), _range(field, lang), _note(field, lang)]
    if field.required:
        said.insert(0, _WORDS["required"][lang])
    return "\n".join(s for s in said if s)


def _type(field: Field, lang: str) -> str:
    return _TYPES["ref" if field.is_ref else field.type][lang]


def _note(field: Field, lang: str) -> str:
    note = field.note
    return str(note.get(lang) or note.get("zh", "")) if isinstance(note, Mapping) else note or ""


def _range(field: Field, lang: str) -> str:
    if field.codes:
        return " / ".join(str(field.text(code, lang)) for code in list(field.codes)[:12])
    if field.min is None and field.max is None:
        return ""
    low = "" if field.min is None else f"{field.min:g}"
    high = "" if field.max is None else f"{field.max:g}"
    return f"{low} … {high} {field.unit or ''}".strip()


def _notes(sheet: Any, made: list[Column], lang: str) -> None:
    words = ("column", "field", "type", "required", "range", "note")
    sheet.append([_WORDS[w][lang] for w in words])
    for column in made:
        field = column.field
        if field is None:
            sheet.append([column.title, column.name, "", "", "", _NOTES[column.name][lang]])
            continue
        must = _WORDS["yes"][lang] if field.required else ""
        sheet.append(
            [column.title, field.name, _type(field, lang), must, _range(field, lang), _note(field, lang)]
        )  # fmt: skip
    for cell in sheet[1]:
        cell.font = Font(bold=True)
    for i, width in enumerate((22, 18, 22, 8, 40, 60), start=1):
        sheet.column_dimensions[get_column_letter(i)].width = width


def _lists(sheet: Any, notes: Any, kind: Kind, made: list[Column], lang: str) -> None:
    """Write code lists beside the notes, and let cells of their columns choose from them."""
    at = 8
    for i, column in enumerate(made, start=1):
        choices = _choices(kind, column, lang)
        if choices:
            notes.cell(1, at, column.title).font = Font(bold=True)
            for n, choice in enumerate(choices, start=2):
                notes.cell(n, at, choice)
            letter = get_column_letter(at)
            source = f"'{notes.title}'!${letter}$2:${letter}${len(choices) + 1}"
            rule = DataValidation(type="list", formula1=source, allow_blank=True)
            notes.column_dimensions[letter].width = 18
            at += 1
        else:
            limit = _limit(column.field)
            if limit is None:
                continue
            rule = limit
        letter = get_column_letter(i)
        rule.add(f"{letter}3:{letter}{_ROWS}")
        sheet.add_data_validation(rule)


def _choices(kind: Kind, column: Column, lang: str) -> list[str]:
    field = column.field
    if column.name == "state":
        return [said.get(lang) or said["zh"] for said in kind.states.values()]
    if field is None:
        return []
    if field.codes:
        return [str(field.text(code, lang)) for code in field.codes]
    return [_WORDS["yes"][lang], _WORDS["no"][lang]] if field.type == "boolean" else []


def _limit(field: Field | None) -> DataValidation | None:
    """Return a check of numbers, so that a wrong one is told before the file is sent."""
    if field is None or field.type not in ("integer", "number"):
        return None
    if field.min is None and field.max is None:
        return None
    return DataValidation(
        type="whole" if field.type == "integer" else "decimal", operator="between",
        formula1=str(field.min if field.min is not None else -1e15),
        formula2=str(field.max if field.max is not None else 1e15), allow_blank=True,
    )  # fmt: skip
