"""GeoPackage, FlatGeobuf and zipped Shapefile, written by GDAL from a stream of Arrow batches."""

from __future__ import annotations

import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyogrio
import shapely
from pyogrio.errors import DataSourceError

from ingest.files.writers.plan import Batch, Job, Plan, arrow_type, text
from twin.errors import BadRequest, Unavailable

SHORT = 10
_DBF_LIMIT = 2 * 1024**3
_GBK = frozenset(("gbk", "gb18030", "gb2312", "cp936"))


def write_gpkg(job: Job) -> None:
    """Write a GeoPackage: the layer, and a table that says where it comes from."""
    said = {str(k): str(v) for k, v in job.plan.source.items()}
    _write(job, job.path, "GPKG", layer_metadata=said, layer_options={"DESCRIPTION": job.plan.line})
    table = pa.table({"item": list(said), "value": list(said.values())})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyogrio.raw.write_arrow(
            table, job.path, layer="export_info", driver="GPKG", append=True, geometry_type=None
        )


def write_fgb(job: Job) -> None:
    """Write a FlatGeobuf, which says its source in its header."""
    if job.plan.geometry == "none":
        raise BadRequest(f"{job.plan.kind} has no shapes; export GeoPackage, CSV or XLSX.")
    _write(
        job, job.path, "FlatGeobuf",
        layer_options={"TITLE": job.plan.title, "DESCRIPTION": job.plan.line},
    )  # fmt: skip


def write_shapefile(job: Job) -> None:
    """Write a Shapefile with its parts in a ZIP, names cut to ten letters, and a readme of them."""
    plan = job.plan
    short = short_names(plan.types)
    gbk = plan.encoding.lower() in _GBK
    with tempfile.TemporaryDirectory(prefix="twin-export-", dir=job.path.parent) as folder:
        target = Path(folder) / f"{plan.kind}.shp"
        _write(job, target, "ESRI Shapefile", names=short, encoding="GBK" if gbk else "UTF-8")
        readme = [plan.line, "", *(f"{s:<{SHORT}}  {n}" for n, s in short.items() if s != n)]
        with zipfile.ZipFile(job.path, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
            for part in sorted(Path(folder).iterdir()):
                archive.write(part, part.name)
            archive.writestr("README.txt", "\r\n".join(readme).encode("utf-8-sig"))


def short_names(names: Any) -> dict[str, str]:
    """Return names of at most ten letters, all different."""
    made: dict[str, str] = {}
    for name in names:
        short, n = name[:SHORT], 1
        while short in made.values():
            n += 1
            short = f"{name[: SHORT - len(str(n)) - 1]}_{n}"
        made[name] = short
    return made


def _schema(plan: Plan, names: dict[str, str] | None, *, flat: bool) -> Any:
    fields = [
        pa.field(
            (names or {}).get(n, n), pa.string() if flat and t == "datetime" else arrow_type(t)
        )
        for n, t in plan.types.items()
    ]
    if plan.geometry != "none":
        fields.append(pa.field("geometry", pa.binary()))
    return pa.schema(fields)


def _records(job: Job, schema: Any) -> Iterator[Any]:
    for batch in job.batches:
        yield _record(batch, job.plan, schema)


def _record(batch: Batch, plan: Plan, schema: Any) -> Any:
    arrays = []
    for name, field in zip(plan.types, schema, strict=False):
        cells: Any = batch.columns[name]
        if pa.types.is_string(field.type):
            cells = [None if c is None else str(text(c)) for c in cells]
        arrays.append(pa.array(cells, field.type))
    if batch.shapes is not None:
        arrays.append(pa.array(shapely.to_wkb(batch.shapes), pa.binary()))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _write(
    job: Job, path: Path, driver: str, *, names: dict[str, str] | None = None,
    encoding: str | None = None, **more: Any,
) -> None:  # fmt: skip
    plan = job.plan
    schema = _schema(plan, names, flat=driver == "ESRI Shapefile")
    reader = pa.RecordBatchReader.from_batches(schema, _records(job, schema))
    place: dict[str, Any] = {"geometry_type": None}
    if plan.geometry != "none":
        place = {"geometry_name": "geometry", "geometry_type": plan.geometry_type,
                 "crs": plan.crs_said}  # fmt: skip
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            pyogrio.raw.write_arrow(
                reader, path, layer=plan.kind, driver=driver, encoding=encoding, **place, **more
            )
        except (DataSourceError, pa.ArrowException, OSError, RuntimeError, ValueError) as why:
            raise Unavailable(
                f"{path.name} cannot be written ({str(why).splitlines()[0]})."
            ) from why
    cut = [str(w.message) for w in said if "truncated" in str(w.message)]
    if cut:
        plan.notes.append("texts longer than 254 bytes were cut, a Shapefile holds no more")
