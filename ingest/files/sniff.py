"""What a file is, told by its first bytes; what is neither known nor harmless is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

from twin.errors import Unreadable

MAX_BYTES = 4 * 1024**3
MAX_UNPACKED = 8 * 1024**3
MAX_RATIO = 200
SHAPE = b"\x00\x00\x27\x0a"
_MAGIC = (
    (SHAPE, "shapefile"),
    (b"SQLite format 3\x00", "gpkg"),
    (b"PAR1", "parquet"),
    (b"fgb\x03", "flatgeobuf"),
)
# GDAL also reads files that name other files and addresses; only these roots are opened.
_XML_ROOTS = ((b"<gpx", "gpx"), (b"<kml", "kml"), (b"featurecollection", "gml"))


def kind_of(path: Path) -> str:
    """Return the format of a file; Unreadable says why there is none."""
    if not path.is_file():
        raise Unreadable(f"{path} is not a file; check the name.")
    size = path.stat().st_size
    if size == 0:
        raise Unreadable(f"{path.name} is empty.")
    if size > MAX_BYTES:
        raise Unreadable(f"{path.name} is larger than 4 GiB; split it.")
    with path.open("rb") as file:
        head = file.read(4096)
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head.startswith(b"PK"):
        return _zipped(path)
    return _text(path, head)


def _zipped(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.infolist()
    except (zipfile.BadZipFile, OSError) as why:
        raise Unreadable(f"{path.name} is a damaged ZIP file.") from why
    unpacked = sum(i.file_size for i in inside)
    packed = sum(i.compress_size for i in inside) or 1
    if unpacked > MAX_UNPACKED or (unpacked > 64 * 1024**2 and unpacked / packed > MAX_RATIO):
        raise Unreadable(f"{path.name} unpacks to {unpacked} bytes; that is not a data file.")
    names = [i.filename for i in inside]
    if "xl/workbook.xml" in names:
        return "xlsx"
    if any(n.lower().endswith(".shp") for n in names):
        return "zipped shapefile"
    raise Unreadable(f"{path.name} is a ZIP file with neither a shapefile nor a workbook in it.")


def _text(path: Path, head: bytes) -> str:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    low = start[:2048].lower()
    if path.suffix.lower() in (".dbf", ".shx", ".prj", ".cpg"):
        raise Unreadable(f"{path.name} is a part of a shapefile; name its .shp file.")
    if start[:1] in (b"{", b"["):
        return "geojson"
    if start[:1] == b"<":
        for root, name in _XML_ROOTS:
            if root in low:
                return name
        raise Unreadable(f"{path.name} is XML of a kind that is not read (GPX and KML are).")
    if low.startswith((b"0\r\nsection", b"0\nsection", b"999")):
        return "dxf"
    if b"\x00" in head:
        raise Unreadable(f"{path.name} is no GeoJSON, Shapefile, GeoPackage, CSV or XLSX file.")
    return "csv"
