"""Drivers of GDAL that open other files or addresses, taken out of the library that pyogrio carries."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from pathlib import Path

import pyogrio

# What GDAL tells by content may be one of these, whatever the file is called: a few lines of text
# would then read any file of this machine, or ask another one.
FORBIDDEN = (
    "VRT", "OGR_VRT", "GDALG", "WFS", "OAPIF", "OGCAPI", "HTTP", "PLSCENES", "CSW", "NGW", "Carto",
    "AmigoCloud", "Elasticsearch", "EEDA", "GPSBabel", "OGR_PDS", "ADBC", "MVT", "PMTiles", "MBTiles",
)  # fmt: skip


def without(names: Iterable[str]) -> None:
    """Deregister drivers; RuntimeError when one of them would stay.

    GDAL_SKIP is only read when the library starts, which another module may have caused before.
    """
    folder = Path(pyogrio.__file__).parents[1] / "pyogrio.libs"
    for library in folder.glob("libgdal*"):
        gdal = ctypes.CDLL(str(library))
        gdal.GDALGetDriverByName.restype = ctypes.c_void_p
        gdal.GDALGetDriverByName.argtypes = [ctypes.c_char_p]
        gdal.GDALDeregisterDriver.argtypes = [ctypes.c_void_p]
        for name in names:
            driver = gdal.GDALGetDriverByName(name.encode())
            if driver:
                gdal.GDALDeregisterDriver(driver)
    left = set(names) & set(pyogrio.list_drivers())
    if left:
        raise RuntimeError(f"GDAL keeps the drivers {', '.join(sorted(left))}; set GDAL_SKIP.")
