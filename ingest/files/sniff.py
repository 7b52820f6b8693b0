"""What a file is, told by its content; what is neither known nor harmless is refused."""

from __future__ import annotations

import re
from pathlib import Path

from ingest.files.formats import encodings
from twin.errors import Unreadable

MAX_BYTES = 4 * 1024**3
# Formats whose readers hold the whole file in memory.
MAX_WHOLE = 200 * 1024**2
SHAPE = b"\x00\x00\x27\x0a"
_WHOLE = frozenset(("kml", "topojson", "esrijson", "ods", "dxf", "dgn", "html"))
_HEAD = 64 * 1024
_MAGIC = (
    (SHAPE, "shapefile"),
    (b"PAR1", "parquet"),
    (b"fgb\x03", "flatgeobuf"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gzip"),
)
_REFUSED = (
    (b"\xd0\xcf\x11\xe0", "an old Excel or Office file (.xls); save it as .xlsx or CSV"),
    (b"Rar!", "a RAR archive; unpack it and load the file inside"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it and load the file inside"),
    (b"BZh", "a bzip2 archive; unpack it and load the file inside"),
    (b"%PDF", "a PDF; it holds no data that can be loaded"),
    (b"AC10", "a DWG drawing; save it as DXF"),
    (b"PMTiles", "an archive of map tiles, which are pictures of data and no data"),
)
_XML_ROOTS = (
    (rb"<gpx[\s>]", "gpx"), (rb"<(\w+:)?kml[\s>]", "kml"), (rb"<osm[\s>]", "osm"),
    (rb"<jcsdatafile", "jml"), (rb"<(\w+:)?featurecollection[\s>]", "gml"),
    (rb"<rss[\s>]|<feed[\s>]", "georss"), (rb"<html[\s>]|^<table[\s>]", "html"),
)  # fmt: skip
# What no text holds: a file with it is something else.
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c\x1d\x1f]")
_DBF = (b"\x02", b"\x03", b"\x30", b"\x31", b"\x83", b"\x8b", b"\xf5")
_PARTS = (".dbf", ".shx", ".prj", ".cpg", ".sbn", ".sbx", ".qix")


def kind_of(path: Path) -> str:
    """Return the format of a file; Unreadable says why there is none."""
    if not path.is_file():
        raise Unreadable(f"{path} is not a file; check the name.")
    size = path.stat().st_size
    if size == 0:
        raise Unreadable(f"{path.name} is empty.")
    if size > MAX_BYTES:
        raise Unreadable(f"{path.name} is larger than 4 GiB; split it.")
    if path.suffix.lower() in _PARTS and not _alone(path):
        raise Unreadable(f"{path.name} is a part of a shapefile; name its .shp file.")
    with path.open("rb") as file:
        head = file.read(_HEAD)
    found = _binary(path, head) or _text(path, head)
    if found in _WHOLE and size > MAX_WHOLE:
        raise Unreadable(
            f"{path.name}: {found} files above {MAX_WHOLE // 1024**2} MiB are not read; "
            "convert it to GeoPackage."
        )
    return found


def _alone(path: Path) -> bool:
    """Tell whether a DBF is a table of its own and no part of a shapefile."""
    shapes = (path.with_suffix(ending) for ending in (".shp", ".SHP"))
    return path.suffix.lower() == ".dbf" and not any(p.is_file() for p in shapes)


def _binary(path: Path, head: bytes) -> str | None:
    found = next((name for magic, name in _MAGIC if head.startswith(magic)), None)
    if found:
        return found
    for magic, what in _REFUSED:
        if head.startswith(magic):
            raise Unreadable(f"{path.name} is {what}.")
    if head.startswith(b"SQLite format 3\x00"):
        # The application id in the header tells GeoPackages from other databases.
        return "gpkg" if head[68:72] in (b"GPKG", b"GP10", b"GP11") else "sqlite"
    if head[4:15] == b"\x0a\x09OSMHeader"[:11]:
        return "pbf"
    if path.suffix.lower() == ".dbf" and head[:1] in _DBF:
        return "dbf"
    if head.startswith((b"\x08\x05", b"\xc8\x09\xfe\x02")):
        return "dgn"
    return None


def _text(path: Path, head: bytes) -> str:
    wide = encodings.of_mark(head) or encodings.wide(head)
    if wide and wide != "utf-8-sig":
        # A sample may end in the middle of a character.
        head = head.decode(wide, "ignore").encode("utf-8", "ignore")
    elif _CONTROL.search(head):
        raise Unreadable(f"{path.name} is no GeoJSON, Shapefile, GeoPackage, CSV or XLSX file.")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\x1e")
    low = start.lower()
    if start[:1] in (b"{", b"["):
        return _json(start)
    if start[:1] == b"<":
        return _xml(path, low)
    if re.match(rb"(999\r?\n[^\n]*\n\s*)*0\r?\n\s*section", low):
        return "dxf"
    if low.startswith(b"!table") and b"definition table" in low:
        return _tab(path, low)
    if re.match(rb"version\s+\d+\s*\r?\n\s*(charset|delimiter|unique|index|coordsys|columns)", low):
        return "mif"
    if low.startswith(b"# @vgmt"):
        return "gmt"
    return "csv"


def _json(start: bytes) -> str:
    said = re.search(rb'"type"\s*:\s*"(\w+)"', start)
    if said and said[1] == b"Topology":
        return "topojson"
    return "esrijson" if b'"geometryType"' in start and b'"features"' in start else "geojson"


def _xml(path: Path, low: bytes) -> str:
    if b"<!entity" in low:
        raise Unreadable(f"{path.name} declares XML entities; such files are not read.")
    for root, name in _XML_ROOTS:
        if re.search(root, low[:8192]):
            return name
    raise Unreadable(
        f"{path.name} is XML of a kind that is not read (GML, KML, GPX, GeoRSS, OSM and JML are)."
    )


def _tab(path: Path, low: bytes) -> str:
    if not re.search(rb"type\s+native", low):
        # Linked tables, views and pictures name other files and servers.
        raise Unreadable(f"{path.name} is no native MapInfo table; export it as MIF.")
    return "tab"
