"""Archives: the one data set inside is unpacked into a folder of its own, within limits."""

from __future__ import annotations

import gzip
import re
import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Protocol

from twin.errors import Unreadable

MAX_UNPACKED = 8 * 1024**3
MAX_RATIO = 200
_FREE = 64 * 1024**2
_CHUNK = 1024 * 1024
# What may be the data set, the surest first; what stands beside it with the same stem comes along.
_DATA = (
    ".shp", ".gpkg", ".tab", ".mif", ".fgb", ".parquet", ".geoparquet", ".geojson", ".kml", ".gml",
    ".gpx", ".osm", ".pbf", ".dxf", ".sqlite", ".json", ".geojsonl", ".xlsx", ".csv", ".tsv", ".txt",
    ".dbf",
)  # fmt: skip
_ASIDE = re.compile(r"(^|/)(__MACOSX/|\._|readme|schema\.ini|.*\.(xml|html?|pdf|md)$)", re.I)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Folder:
    """A folder for what was unpacked; it goes when nobody holds it any more."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="twin-load-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
        self._left = MAX_UNPACKED

    def put(self, name: str, content: _Readable, packed: int, of: str) -> Path:
        """Write a file; Unreadable when it unpacks to more than a data file would."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        written = 0
        with target.open("wb") as out:
            while part := content.read(_CHUNK):
                written += len(part)
                self._left -= len(part)
                if self._left < 0 or (written > _FREE and written > MAX_RATIO * max(packed, 1)):
                    raise Unreadable(
                        f"{of} unpacks to more than {written} bytes; that is not a data file."
                    )
                out.write(part)
        return target


def looks_inside(path: Path) -> str:
    """Return what a ZIP file is: xlsx, ods, or zip for an archive of data files."""
    names = [i.filename for i in _infos(path)]
    if "xl/workbook.xml" in names:
        return "xlsx"
    if "content.xml" in names and "mimetype" in names:
        return "ods"
    if "word/document.xml" in names or "ppt/presentation.xml" in names:
        raise Unreadable(f"{path.name} is a document, not a table; load the workbook or CSV.")
    return "zip"


def _infos(path: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as why:
        raise Unreadable(f"{path.name} is a damaged ZIP file.") from why
    unpacked = sum(i.file_size for i in inside)
    packed = sum(i.compress_size for i in inside) or 1
    if unpacked > MAX_UNPACKED or (unpacked > _FREE and unpacked / packed > MAX_RATIO):
        raise Unreadable(f"{path.name} unpacks to {unpacked} bytes; that is not a data file.")
    if any(i.flag_bits & 1 for i in inside):
        raise Unreadable(f"{path.name} is protected by a password; unpack it first.")
    return inside


def name_of(info: zipfile.ZipInfo) -> str:
    """Return the name of a member; archives of Chinese Windows keep names in GBK unmarked."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("gb18030")
    except UnicodeError:
        return info.filename


def unzip(path: Path, layer: str | None) -> tuple[Path, Folder, list[str], bool]:
    """Unpack one data set; return its file, the folder, all data sets and whether `layer` named it."""
    inside = {name_of(i): i for i in _infos(path) if not i.is_dir() and i.file_size}
    base = next((n.split(".gdb/")[0] + ".gdb" for n in inside if ".gdb/" in n.lower()), None)
    if base:
        chosen, wanted = base, [n for n in inside if n.startswith(base + "/")]
        found, named = [base], False
    else:
        found = _data_sets(inside)
        if not found:
            raise Unreadable(
                f"{path.name} is a ZIP file with neither a shapefile nor a workbook in it, nor "
                "another data file."
            )
        chosen = next((n for n in found if layer in (n, PurePosixPath(n).stem)), found[0])
        named = layer is not None and layer in (chosen, PurePosixPath(chosen).stem)
        wanted = _beside(inside, chosen)
    folder = Folder()
    try:
        with zipfile.ZipFile(path) as archive:
            for name in wanted:
                with archive.open(inside[name]) as content:
                    folder.put(_flat(name, base), content, inside[name].compress_size, path.name)
    except (zipfile.BadZipFile, OSError, NotImplementedError, EOFError) as why:
        raise Unreadable(f"{path.name} is a damaged ZIP file.") from why
    return folder.path / _flat(chosen, base), folder, found, named


def _data_sets(names: Iterable[str]) -> list[str]:
    """Return the members that may be the data, the surest first."""
    found = [(n, PurePosixPath(n).suffix.lower()) for n in names if not _ASIDE.search(n)]
    data = sorted((_DATA.index(ending), n) for n, ending in found if ending in _DATA)
    surest = [n for _, n in data if PurePosixPath(n).suffix.lower() == ".shp"]
    return surest or [n for _, n in data]


def _beside(names: Iterable[str], chosen: str) -> list[str]:
    stem = str(PurePosixPath(chosen).with_suffix("")).lower()
    return [n for n in names if str(PurePosixPath(n).with_suffix("")).lower() == stem]


def _flat(name: str, base: str | None) -> str:
    """Return the name under which a member is written: never a path that the archive says."""
    return f"data.gdb/{PurePosixPath(name).name}" if base and name != base else (
        "data.gdb" if base else PurePosixPath(name.replace("\\", "/")).name
    )  # fmt: skip


def gunzip(path: Path) -> tuple[Path, Folder]:
    """Unpack a gzip file."""
    folder = Folder()
    name = path.stem if path.suffix.lower() == ".gz" else path.name
    try:
        with gzip.open(path) as content:
            return folder.put(name, content, path.stat().st_size, path.name), folder
    except (OSError, EOFError) as why:
        raise Unreadable(f"{path.name} is a damaged gzip file.") from why
