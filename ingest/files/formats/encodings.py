"""Which encoding a text or a DBF table is in, told by its bytes."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from pathlib import Path

from twin.errors import Unreadable

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_TRIED = ("utf-8", "gb18030", "big5", "iso-8859-1")
# Language driver byte of a DBF header → code page, for files without .cpg.
_LDID = {
    0x01: "cp437", 0x02: "cp850", 0x03: "cp1252", 0x13: "cp932", 0x4D: "gb18030", 0x4E: "cp949",
    0x4F: "big5", 0x57: "cp1252", 0x58: "cp1252", 0x64: "cp852", 0x65: "cp866", 0x78: "big5",
    0x79: "cp949", 0x7A: "gb18030", 0x7B: "cp932", 0xC8: "cp1250", 0xC9: "cp1251",
}  # fmt: skip
_WESTERN = frozenset(("cp437", "cp850", "cp1252"))
_SAID = {"936": "gb18030", "gbk": "gb18030", "gb2312": "gb18030", "cp936": "gb18030",
         "950": "big5", "cp950": "big5", "ansi 936": "gb18030", "system": ""}  # fmt: skip
_DECLARED = re.compile(r"(<\?xml[^>]*?)\s+encoding\s*=\s*[\"'][^\"']*[\"']")
_CHUNK = 1024 * 1024
_SAMPLE = 256 * 1024


def of_mark(head: bytes) -> str | None:
    """Return the encoding that a byte order mark tells."""
    return next((name for mark, name in MARKS if head.startswith(mark)), None)


def wide(head: bytes) -> str | None:
    """Return UTF-16 of one byte order when zero bytes stand only in every second place."""
    sample = head[: len(head) // 2 * 2]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if even + odd < max(4, len(sample) // 50):
        return None
    if even == 0:
        return "utf-16-le"
    return "utf-16-be" if odd == 0 else None


def of_text(path: Path) -> str:
    """Return the encoding of a text file, in which all of it decodes."""
    with path.open("rb") as file:
        head = file.read(_SAMPLE)
    marked = of_mark(head) or wide(head)
    if marked:
        return marked
    for name in _TRIED:
        if name == "gb18030" and _big5(head) and _all_decodes(path, "big5"):
            return "big5"
        if _all_decodes(path, name):
            return name
    return _TRIED[-1]


def _all_decodes(path: Path, name: str) -> bool:
    decoder = codecs.getincrementaldecoder(name)()
    try:
        with path.open("rb") as file:
            while part := file.read(_CHUNK):
                decoder.decode(part)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _big5(raw: bytes) -> bool:
    """Tell whether two-byte characters look like Big5: its frequent ones, many with a low trail.

    Nearly all Big5 text decodes as GB18030 too, but into characters that nobody writes.
    """
    common = low = pairs = at = 0
    while at < len(raw) - 1:
        lead, trail = raw[at], raw[at + 1]
        if lead < 0x80:
            at += 1
            continue
        pairs += 1
        common += 0xA4 <= lead <= 0xC6 or 0xA1 <= lead <= 0xA3
        low += 0x40 <= trail <= 0x7E
        at += 2
    return pairs > 3 and common > 0.85 * pairs and low > 0.2 * pairs


def _hanzi(raw: bytes) -> bool:
    """Tell whether what is not ASCII is UTF-8, or pairs of bytes of the Chinese character set."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return not raw.isascii()
    pairs = within = at = 0
    while at < len(raw) - 1:
        if raw[at] < 0x80:
            at += 1
            continue
        pairs += 1
        within += 0xB0 <= raw[at] <= 0xF7 and raw[at + 1] >= 0xA1
        at += 2
    return pairs > 3 and within > 0.85 * pairs


def known(encoding: str) -> str:
    """Return an encoding that the user named; Unreadable when there is none of that name."""
    try:
        return codecs.lookup(encoding).name
    except LookupError as why:
        raise Unreadable(f"No encoding is called {encoding}; try --encoding auto.") from why


def without_declaration(head: str) -> str:
    """Return the beginning of an XML text without the encoding that it declares of itself."""
    return _DECLARED.sub(r"\1", head, count=1)


def of_dbf(raw: bytes, said: bytes) -> str:
    """Return the encoding of a DBF table: its .cpg, the header's byte, or what decodes."""
    label = said.decode("ascii", "ignore").strip().lower().removeprefix("windows-")
    label = _SAID.get(label, label)
    if label:
        try:
            return codecs.lookup(label).name
        except LookupError:
            pass
    cells = _dbf_cells(raw)
    guess = _LDID.get(raw[29]) if len(raw) > 32 else None
    if guess in _WESTERN and _hanzi(b" ".join(cells)):
        # Programs of Western Windows say their own code page, whatever they write.
        guess = "utf-8" if decodes(cells, "utf-8") else "gb18030"
    if guess and decodes(cells, guess):
        return guess
    if _big5(b" ".join(cells)) and decodes(cells, "big5"):
        return "big5"
    return next(e for e in _TRIED if decodes(cells, e))


def _dbf_cells(raw: bytes) -> list[bytes]:
    """Return the text cells of a DBF table (dBASE III layout), at most of 2,000 records."""
    if len(raw) < 65:
        return []
    head, width = int.from_bytes(raw[8:10], "little"), int.from_bytes(raw[10:12], "little")
    spans, at = [], 1
    for i in range(32, min(head, len(raw)) - 31, 32):
        length = raw[i + 16]
        if raw[i + 11 : i + 12] == b"C":
            spans.append((at, at + length))
        at += length
    starts = range(head, min(len(raw), head + width * 2000), width) if width else range(0)
    cells = [raw[i + a : i + b].rstrip() for i in starts for a, b in spans]
    return [c for c in cells if c]


def decodes(cells: Sequence[bytes], encoding: str) -> bool:
    """Tell whether cells decode; a hundredth may fail, for fixed widths cut characters in two."""
    failed = 0
    for cell in cells:
        try:
            cell.decode(encoding)
        except UnicodeDecodeError:
            failed += 1
    return failed <= len(cells) / 100
