"""GeoParquet 1.1: WKB, lists as lists, the CRS as PROJJSON."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from pyproj import CRS

from ingest.files.writers.plan import Job, Plan, arrow_type, text


def write_parquet(job: Job) -> None:
    """Write row groups as the batches come."""
    plan = job.plan
    fields = [pa.field(n, arrow_type(t, lists=True)) for n, t in plan.types.items()]
    if plan.geometry != "none":
        fields.append(pa.field("geometry", pa.binary()))
    schema = pa.schema(fields, metadata=_metadata(plan))
    with pq.ParquetWriter(job.path, schema, compression="zstd") as writer:
        for batch in job.batches:
            arrays = [
                _array(batch.columns[n], f.type) for n, f in zip(plan.types, fields, strict=False)
            ]
            if batch.shapes is not None:
                arrays.append(pa.array(shapely.to_wkb(batch.shapes), pa.binary()))
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def _array(cells: Any, wanted: Any) -> Any:
    if pa.types.is_string(wanted):
        cells = [None if c is None else str(text(c)) for c in cells]
    return pa.array(cells, wanted)


def _metadata(plan: Plan) -> dict[str, str]:
    said = {"source": json.dumps(dict(plan.source), ensure_ascii=False)}
    if plan.geometry == "none":
        return said
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": [plan.geometry_type]}
    # Without a CRS GeoParquet means WGS-84; null means unknown.
    if plan.crs != "EPSG:4326":
        known = plan.crs_said
        column["crs"] = CRS.from_user_input(known).to_json_dict() if known else None
    geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    return said | {"geo": json.dumps(geo)}
