"""Readers of file formats: each opens a file and yields it in batches of columns."""

from __future__ import annotations

import os

# GDAL reads these when it is first imported: drivers that open other files or addresses stay out,
# whatever a file says of itself, and no address is fetched for any of the others.
_NO_DRIVERS = (
    "VRT OGR_VRT GDALG WFS OAPIF OGCAPI HTTP PLSCENES CSW NGW Carto AmigoCloud Elasticsearch EEDA "
    "GPSBabel PGDUMP PDF PDS4 VICAR OGR_PDS ADBC GTFS MVT PMTiles MBTiles Idrisi"
)
os.environ.setdefault("GDAL_SKIP", ",".join(_NO_DRIVERS.split()))
os.environ.setdefault("CPL_VSIL_CURL_ALLOWED_EXTENSIONS", "{none}")
