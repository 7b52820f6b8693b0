"""A report over devices as a workbook, as CSV and on paper."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import openpyxl
from openpyxl.styles import Font, PatternFill

from services.web.paper import INK, LEFT, MUTED, WIDTH, Sheet, stamp
from twin.calendar import ZONE

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TYPES = {"xlsx": XLSX, "csv": "text/csv; charset=utf-8", "pdf": "application/pdf"}
Report = Mapping[str, Any]
HEADS = {
    "zh": ("分组", "设备", "有上报", "可用率(%)", "中断次数", "报警",
           "属性", "单位", "数值个数", "最小", "平均", "最大"),
    "en": ("Group", "Devices", "Reporting", "Availability (%)", "Gaps", "Alarms",
           "Property", "Unit", "Values", "Min", "Mean", "Max"),
}  # fmt: skip
TITLE = {"zh": "物联设备运行报告", "en": "Report on devices"}
BY = {
    "zh": {"product": "按产品", "department": "按部门", "district": "按区", "street": "按街镇", "device": "按设备"},
    "en": {"product": "by product", "department": "by department", "district": "by district",
           "street": "by street", "device": "by device"},
}  # fmt: skip
_WIDTHS = (28, 8, 8, 12, 10, 8, 18, 10, 12, 12, 12, 12)


def _plain(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in "=+-@":
        return f"'{value}"  # a text that begins like a formula stays a text
    return round(value, 4) if isinstance(value, float) else value


def table(said: Report, lang: str) -> list[tuple[Any, ...]]:
    """Return the report as rows: a line for each group and property."""
    made: list[tuple[Any, ...]] = []
    for one in [*said["groups"], said["total"]]:
        head = (one["title"][lang], one["devices"], one["reporting"], one["availability_pct"],
                one["gaps"], one["alarms"])  # fmt: skip
        parts = one["properties"] or [None]
        for part in parts:
            more: tuple[Any, ...] = ("",) * 6
            if part is not None:
                unit = (part["unit"] or {}).get(lang, "")
                more = (
                    part["title"][lang],
                    unit,
                    part["n"],
                    part["low"],
                    part["mean"],
                    part["high"],
                )
            made.append(tuple(_plain(value) for value in head + more))
    return made


def _about(said: Report, lang: str) -> str:
    product = f"{said['product_title'][lang]} · " if said["product_title"] else ""
    return f"{product}{BY[lang][said['by']]} · {stamp(said['from'])} – {stamp(said['to'])}"


def xlsx(said: Report, lang: str) -> bytes:
    """Return the report as a workbook."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = TITLE[lang]
    sheet.append([TITLE[lang]])
    sheet.append([_about(said, lang)])
    sheet.append([])
    sheet.append(list(HEADS[lang]))
    sheet.cell(1, 1).font = Font(bold=True, size=14)
    for i, width in enumerate(_WIDTHS, 1):
        cell = sheet.cell(4, i)
        cell.font, cell.fill = Font(bold=True), PatternFill("solid", fgColor="E8F1EA")
        sheet.column_dimensions[cell.column_letter].width = width
    sheet.freeze_panes = "A5"
    for row in table(said, lang):
        sheet.append(row)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def csv_text(said: Report, lang: str) -> bytes:
    """Return the report as CSV that spreadsheets open as they should."""
    sink = io.StringIO()
    writer = csv.writer(sink)
    writer.writerow(HEADS[lang])
    writer.writerows(table(said, lang))
    return ("\ufeff" + sink.getvalue()).encode()


def pdf(said: Report, lang: str, mark: str) -> bytes:
    """Return the report on paper."""
    sheet = Sheet(TITLE[lang], _about(said, lang)[:40], datetime.now(ZONE), mark)
    sheet.add_page()
    sheet.say(18)
    sheet.cell(WIDTH, 10, TITLE[lang])
    sheet.ln(11)
    sheet.say(10, MUTED)
    sheet.cell(WIDTH, 6, _about(said, lang))
    sheet.ln(8)
    sheet.rule(1)
    heads = HEADS[lang]
    wide = (62.0, 18.0, 20.0, 28.0, 22.0, 24.0)
    sheet.row([(w, h, MUTED) for w, h in zip(wide, heads[:6], strict=True)], 8.5)
    for one in [*said["groups"][:400], said["total"]]:
        share = "—" if one["availability_pct"] is None else f"{one['availability_pct']:.1f}"
        cells = (one["title"][lang], str(one["devices"]), str(one["reporting"]), share,
                 str(one["gaps"]), str(one["alarms"]))  # fmt: skip
        sheet.row([(w, c, INK) for w, c in zip(wide, cells, strict=True)])
        for part in one["properties"]:
            unit = (part["unit"] or {}).get(lang, "")
            words = (
                f"    {part['title'][lang]}  {part['low']:.4g} … {part['mean']:.4g} … "
                f"{part['high']:.4g} {unit}  ({part['n']})"
            )
            sheet.row([(WIDTH, words, MUTED)], 8)
    sheet.set_x(LEFT)
    return bytes(sheet.output())
