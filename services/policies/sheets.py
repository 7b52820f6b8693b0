"""A duty list as an Excel sheet, and back: one row a rule, lists separated by commas."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import openpyxl
from openpyxl.styles import Font, PatternFill

from services.web import workbooks
from twin.errors import Unreadable

TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_ROWS, MAX_BYTES = 20_000, 8 << 20
# Field, heading, width: the headings are what the office reads and may stand in any order.
COLUMNS = (
    ("category", "类别", 28), ("district", "行政区", 14), ("street", "街镇", 14),
    ("severity", "级别", 8), ("source", "来源", 12), ("days", "工作日/休息日", 14), ("from", "起始时刻", 10),
    ("until", "截止时刻", 10), ("valid_from", "生效日期", 12), ("valid_to", "失效日期", 12), ("guard", "条件", 30),
    ("to", "责任单位", 20), ("nearest_crew", "就近处置", 10), ("hours", "时限(小时)", 12),
    ("urgent_hours", "紧急时限(小时)", 14), ("note", "说明", 30),
    ("mode", "自动/建议", 10),
)  # fmt: skip
_LISTS = {"category", "district", "street", "source"}
_NUMBERS = {"hours", "urgent_hours"}
_WORDS = {
    "mode": {"自动": "auto", "建议": "suggest", "auto": "auto", "suggest": "suggest"},
    "days": {"工作日": "work", "休息日": "rest", "work": "work", "rest": "rest"},
}


def write(doc: Mapping[str, Any]) -> bytes:
    """Return the sheet of a duty list."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "责任清单"
    sheet.append([head for _, head, _ in COLUMNS])
    for i, (_, _, width) in enumerate(COLUMNS, 1):
        cell = sheet.cell(1, i)
        cell.font, cell.fill = Font(bold=True), PatternFill("solid", fgColor="E8F1EA")
        sheet.column_dimensions[cell.column_letter].width = width
    sheet.freeze_panes = "A2"
    for row in doc["rows"]:
        sheet.append([_cell(row.get(name)) for name, _, _ in COLUMNS])
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "是" if value else ""
    # A text that begins like a formula stays a text in whatever opens the sheet.
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@" else value


def read(raw: bytes) -> list[dict[str, Any]]:
    """Return the rows of a sheet; Unreadable says where it cannot be understood."""
    lines = workbooks.lines(raw, "A duty list", max_bytes=MAX_BYTES, max_lines=MAX_ROWS + 1)
    heads = _heads(lines[0])
    rows = [_row(heads, line, i) for i, line in enumerate(lines[1:], 2) if any(line)]
    if not rows:
        raise Unreadable("The sheet has headings and no row.")
    return rows


def _heads(line: tuple[Any, ...]) -> dict[int, str]:
    known = {head: name for name, head, _ in COLUMNS} | {name: name for name, _, _ in COLUMNS}
    heads = {i: known[str(v).strip()] for i, v in enumerate(line) if str(v).strip() in known}
    unknown = [str(v) for v in line if v is not None and str(v).strip() not in known]
    if unknown or "to" not in heads.values():
        raise Unreadable(
            f"Line 1: headings not known: {', '.join(unknown)[:200] or '-'}; 责任单位 must be there."
        )
    return heads


def _row(heads: Mapping[int, str], line: tuple[Any, ...], number: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for i, name in heads.items():
        value = line[i] if i < len(line) else None
        if value in (None, ""):
            continue
        try:
            row[name] = _value(name, value)
        except (ValueError, KeyError, TypeError) as why:
            raise Unreadable(
                f"Line {number}, {name}: {str(value)[:60]!r} cannot be understood."
            ) from why
    return row


def _value(name: str, value: Any) -> Any:
    said = str(value).strip()
    if name in _LISTS:
        return [part.strip() for part in said.replace("，", ",").split(",") if part.strip()]
    if name == "severity":
        return [int(float(part)) for part in said.replace("，", ",").split(",") if part.strip()]
    if name in _NUMBERS:
        number = float(said)
        return int(number) if number.is_integer() else number
    if name in _WORDS:
        return _WORDS[name][said]
    if name == "nearest_crew":
        return {"是": True, "true": True, "1": True, "否": False, "false": False}[said.lower()]
    if name in ("valid_from", "valid_to"):
        return said[:10]
    if name in ("from", "until"):
        return said[:5]
    return said.removeprefix("'")
