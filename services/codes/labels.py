"""A4 sheets of labels, 24 to a sheet (63.5 × 33.9 mm, the usual self-adhesive cut)."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fpdf import FPDF

from services.codes import qr
from twin.errors import Unavailable

FONT = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")
COLUMNS, ROWS = 3, 8
WIDTH_MM, HEIGHT_MM = 63.5, 33.9
LEFT_MM, TOP_MM, GAP_MM = 7.2, 12.9, 2.5
QR_MM = 27.0
_INK, _MUTED, _CUT = (29, 36, 38), (93, 106, 106), (220, 218, 210)


@dataclass(frozen=True, kw_only=True)
class Label:
    """What stands on one label."""

    code: str
    name: str
    kind: str
    place: str


def sheets(labels: Sequence[Label], *, outline: bool = False) -> bytes:
    """Return the sheets as PDF; `outline` draws where plain paper is to be cut."""
    if not FONT.is_file():
        raise Unavailable("The font for labels is missing; install fonts-wqy-microhei.")
    pdf = FPDF(format="A4", unit="mm")
    pdf.set_auto_page_break(False)
    pdf.set_margin(0)
    pdf.set_title("绿容孪生 标签")
    pdf.add_font("label", fname=str(FONT))
    for i, label in enumerate(labels):
        spot = i % (COLUMNS * ROWS)
        if spot == 0:
            pdf.add_page()
        x = LEFT_MM + spot % COLUMNS * (WIDTH_MM + GAP_MM)
        y = TOP_MM + spot // COLUMNS * HEIGHT_MM
        _draw(pdf, label, x, y, outline)
    return bytes(pdf.output())


def _draw(pdf: FPDF, label: Label, x: float, y: float, outline: bool) -> None:
    if outline:
        pdf.set_draw_color(*_CUT)
        pdf.set_line_width(0.1)
        pdf.rect(x, y, WIDTH_MM, HEIGHT_MM)
    pdf.image(io.BytesIO(qr.draw(label.code, "png", 4)), x + 2, y + 1.5, QR_MM, QR_MM)
    left, width = x + QR_MM + 3.5, WIDTH_MM - QR_MM - 6
    _text(pdf, label.kind, left, y + 4, width, 7, _MUTED)
    pdf.set_font("label", size=10.5)
    pdf.set_text_color(*_INK)
    pdf.set_xy(left, y + 8)
    pdf.multi_cell(width, 4.6, _short(pdf, label.name or label.kind, width, 2), align="L")
    _text(pdf, label.place, left, y + 19.5, width, 7, _MUTED)
    _text(pdf, "扫码查看 · 报告问题", left, y + 24, width, 7, _MUTED)
    _text(pdf, label.code, x + 4, y + 28.6, WIDTH_MM - 8, 8.5, _INK)


def _text(
    pdf: FPDF, said: str, x: float, y: float, width: float, size: float, ink: tuple[int, int, int]
) -> None:
    pdf.set_font("label", size=size)
    pdf.set_text_color(*ink)
    pdf.set_xy(x, y)
    pdf.cell(width, 3.6, _short(pdf, said, width, 1))


def _short(pdf: FPDF, said: str, width: float, lines: int) -> str:
    """Cut a text that would not fit; a label never overflows into its neighbour."""
    while said and pdf.get_string_width(said) > width * lines - lines * 3:
        said = said[:-2] + "…" if len(said) > 2 else ""
    return said
