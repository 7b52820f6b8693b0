"""Pages on paper: A4 in the font that has Chinese, a quiet foot, titles that never stand alone, who printed them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from fpdf import FPDF

from twin import calendar
from twin.errors import Unavailable

FONT = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")
INK, MUTED, LINE, ACCENT = (29, 36, 38), (93, 106, 106), (214, 212, 204), (0, 111, 189)
BAD, GOOD = (200, 40, 30), (25, 116, 69)
LEFT, WIDTH = 18.0, 174.0
Ink = tuple[int, int, int]


def stamp(at: Any) -> str:
    """Return a moment as people of the city read it."""
    when = datetime.fromisoformat(at) if isinstance(at, str) else at
    return when.astimezone(calendar.ZONE).strftime("%Y-%m-%d %H:%M") if when else "—"


class Sheet(FPDF):
    """An A4 page with a quiet foot: code, page, when it was made; `mark` lies over every page."""

    def __init__(self, title: str, code: str, now: datetime, mark: str | None = None) -> None:
        """Open the document in the font that has Chinese."""
        if not FONT.is_file():
            raise Unavailable("The font for reports is missing; install fonts-wqy-microhei.")
        super().__init__(format="A4", unit="mm")
        self.code, self.now, self.mark = code, now, mark
        self.add_font("report", fname=str(FONT))
        self.set_margins(LEFT, 18, LEFT)
        self.set_auto_page_break(True, 22)
        self.set_title(f"{title} {code}")
        self.set_creator("绿容孪生 Lvrong Twin")
        self.alias_nb_pages()

    def footer(self) -> None:
        """Write the foot of a page, and the mark over it."""
        if self.mark:
            self._marked(self.mark)
        self.set_y(-14)
        self.say(8, MUTED)
        self.cell(WIDTH / 2, 5, f"{self.code} · 生成于 {stamp(self.now)}")
        self.cell(WIDTH / 2, 5, f"{self.page_no()} / {{nb}}", align="R")

    def _marked(self, mark: str) -> None:
        self.say(15, (120, 130, 130))
        with self.local_context(fill_opacity=0.10):
            for y in range(60, 300, 75):
                for x in (12, 92):
                    with self.rotation(28, x, y):
                        self.text(x, y, mark)

    def say(self, size: float, ink: Ink = INK) -> None:
        """Set size and colour of what follows."""
        self.set_font("report", size=size)
        self.set_text_color(*ink)

    def rule(self, gap: float = 3.0) -> None:
        """Draw a thin line over the whole width."""
        self.set_y(self.get_y() + gap)
        self.set_draw_color(*LINE)
        self.set_line_width(0.2)
        self.line(LEFT, self.get_y(), LEFT + WIDTH, self.get_y())
        self.set_y(self.get_y() + gap)

    def title_line(self, said: str) -> None:
        """Write the title of a part, never alone at the foot of a page."""
        if self.get_y() > 250:
            self.add_page()
        self.say(12)
        self.set_x(LEFT)
        self.cell(WIDTH, 8, said)
        self.ln(9)

    def row(self, cells: list[tuple[float, str, Ink]], size: float = 9.5) -> None:
        """Write one line of a table: width, text, colour of each cell; what is too long is cut."""
        if self.get_y() > 268:
            self.add_page()
        self.set_x(LEFT)
        for width, said, ink in cells:
            self.say(size, ink)
            self.cell(width, 6, self._cut(said, width - 1.5))
        self.ln(6)

    def _cut(self, said: str, width: float) -> str:
        if self.get_string_width(said) <= width:
            return said
        while said and self.get_string_width(said + "…") > width:
            said = said[:-1]
        return said + "…"
