"""HTTP doors of devices: list, add, one device with series, log, ledger, traces, simulator."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Path, Query, Response, UploadFile
from fastapi.responses import FileResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.devices import (
    exports,
    mapping,
    provision,
    reportfiles,
    reports,
    repository,
    service,
    simulator,
)
from services.web.auth import Person
from services.web.params import Moment, moment
from twin import db, devices, products, trace
from twin.products import forms
from twin.settings import settings

router = APIRouter(prefix="/api/v1/devices", tags=["devices"])
Product = Annotated[str, Path(pattern="^[a-z][a-z0-9_]{1,39}$")]
Device = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$")]
From = Annotated[str | None, Query(alias="from", max_length=64)]
Hours = Annotated[int, Query(ge=1, le=24 * 31)]


class NewDevice(BaseModel):
    """A device to be added: at a place, or as that of a thing that is there."""

    product: str = Field(pattern="^[a-z][a-z0-9_]{1,39}$")
    device: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}$")
    name: str | None = Field(default=None, max_length=120)
    lon: float | None = Field(default=None, ge=-180, le=180)
    lat: float | None = Field(default=None, ge=-90, le=90)
    thing: str | None = Field(default=None, max_length=64)
    watches: str | None = Field(default=None, max_length=64)


class Export(BaseModel):
    """Which values are wanted as a file."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    product: str = Field(pattern="^[a-z][a-z0-9_]{1,39}$")
    grain: Literal["raw", "minute", "hour"] = "hour"
    district: str | None = Field(default=None, pattern="^[0-9]{6}$")
    start: Annotated[AwareDatetime | None, Field(alias="from")] = None
    end: Annotated[AwareDatetime | None, Field(alias="to")] = None


class Message(BaseModel):
    """A message that the simulator sends in the name of a device."""

    channel: str = Field(default="telemetry", pattern="^(telemetry|position|event)$")
    body: dict[str, Any] = Field(max_length=70)


@router.get("")
def listed(
    person: Person,
    product: Annotated[str | None, Query(max_length=40)] = None,
    q: Annotated[str | None, Query(max_length=80)] = None,
    after: Annotated[str | None, Query(max_length=120)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """Return a page of devices; go on with `next`."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        return service.listed(conn, person, product=product, words=q, after=after, limit=limit)


@router.get("/statistics")
def statistics(person: Person, hours: Hours = 24) -> dict[str, Any]:
    """Return how devices stand and what came in, went out, was refused or came twice."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        return service.statistics(conn, person, hours)


@router.get("/map")
def points(
    person: Person,
    product: Annotated[str | None, Query(max_length=40)] = None,
    property: Annotated[str | None, Query(pattern="^[a-z][a-z0-9_]{0,39}$")] = None,
    at: Moment = None,
) -> dict[str, Any]:
    """Return devices as points with a value, how they stand and their battery; now or at a moment."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        return mapping.points(conn, person, product, property, moment(at))


@router.get("/surface.geojson")
def surface(
    person: Person,
    product: Annotated[str, Query(max_length=40)],
    property: Annotated[str | None, Query(pattern="^[a-z][a-z0-9_]{0,39}$")] = None,
    at: Moment = None,
    bands: Annotated[int, Query(ge=3, le=30)] = 7,
) -> dict[str, Any]:
    """Return the bands between isolines of a property and the lines of its limits, now or at a moment."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        return mapping.bands(conn, person, product, property, moment(at), bands)


@router.post("", status_code=201)
def add(said: NewDevice, person: Person) -> dict[str, Any]:
    """Add a device; its password is in this answer and nowhere else."""
    person.need("device.write")
    with db.engine("app").begin() as conn:
        return service.add(conn, person, said.model_dump())


@router.get("/provision.xlsx")
def provision_template(person: Person) -> Response:
    """Return the workbook in which many devices are listed."""
    person.need("device.write")
    head = {"Content-Disposition": 'attachment; filename="devices.xlsx"'}
    return Response(provision.template(), media_type=provision.TYPE, headers=head)


@router.post("/provision/check")
def provision_check(file: Annotated[UploadFile, File()], person: Person) -> dict[str, Any]:
    """Try a workbook of devices: what would be made and what is wrong, line by line; nothing is written."""
    person.need("device.write")
    rows = provision.read(file.file.read(provision.MAX_BYTES + 1))
    with db.engine("app").connect() as conn:
        return provision.check(conn, person, rows)


@router.post("/provision")
def provision_run(file: Annotated[UploadFile, File()], person: Person) -> Response:
    """Make all devices of a workbook, or none; the answer is a workbook with their secrets, this once."""
    person.need("device.write")
    rows = provision.read(file.file.read(provision.MAX_BYTES + 1))
    with db.engine("app").begin() as conn:
        made = provision.run(conn, person, rows)
    head = {
        "Content-Disposition": 'attachment; filename="device-secrets.xlsx"',
        "Cache-Control": "no-store",
    }
    return Response(made, media_type=provision.TYPE, headers=head)


@router.get("/rejected")
def rejected(
    person: Person,
    hours: Hours = 24,
    reason: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:
    """Return messages that were refused, newest first: what each number of the ledger is made of."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        rows = repository.rejects(conn, person, hours, reason, limit)
        return {"messages": [dict(row._mapping) for row in rows]}


@router.get("/journal")
def journal(
    person: Person,
    product: Annotated[str, Query(pattern="^[a-z][a-z0-9_]{1,39}$")],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """Return what happened to a product and to the accounts of its devices, newest first."""
    person.need("device.write")
    with db.engine("app").connect() as conn:
        rows = repository.product_entries(conn, product, limit)
        return {"entries": [dict(row._mapping) for row in rows]}


@router.get("/report")
def report(
    person: Person,
    product: Annotated[str | None, Query(max_length=40)] = None,
    district: Annotated[str | None, Query(pattern="^[0-9]{6}$")] = None,
    by: Literal["product", "department", "district", "street", "device"] = "product",
    from_: From = None,
    to: Moment = None,
) -> dict[str, Any]:
    """Return count, range, gaps, availability and alarms of devices by group; without a span, of a week."""
    person.need("map.read")
    start, end = service.span(moment(from_), moment(to), 168)
    with db.engine("app").connect() as conn:
        return reports.report(
            conn, person, product=product, district=district, by=by, start=start, end=end
        )


@router.get(
    "/report.{ending}",
    response_class=Response,
    responses={200: {"content": {t.split(";")[0]: {} for t in reportfiles.TYPES.values()}}},
)
def report_file(
    person: Person,
    ending: Literal["xlsx", "csv", "pdf"],
    product: Annotated[str | None, Query(max_length=40)] = None,
    district: Annotated[str | None, Query(pattern="^[0-9]{6}$")] = None,
    by: Literal["product", "department", "district", "street", "device"] = "product",
    from_: From = None,
    to: Moment = None,
    lang: Literal["zh", "en"] = "zh",
) -> Response:
    """Return the same report as a workbook, as CSV or on paper."""
    person.need("export.read")
    start, end = service.span(moment(from_), moment(to), 168)
    with db.engine("app").connect() as conn:
        said = reports.report(
            conn, person, product=product, district=district, by=by, start=start, end=end
        )
    if ending == "pdf":
        raw = reportfiles.pdf(said, lang, person.user)
    else:
        raw = {"xlsx": reportfiles.xlsx, "csv": reportfiles.csv_text}[ending](said, lang)
    head = {"Content-Disposition": f'attachment; filename="devices-{by}.{ending}"'}
    return Response(raw, media_type=reportfiles.TYPES[ending], headers=head)


@router.post("/exports", status_code=202)
def export(said: Export, person: Person) -> dict[str, Any]:
    """Ask for the values of devices as a file; a job makes it and tells how far it is."""
    person.need("export.read")
    start, end = service.span(said.start, said.end)
    with db.engine("app").begin() as conn:
        job = exports.ask(
            conn, person, product=said.product, district=said.district, grain=said.grain,
            start=start, end=end,
        )  # fmt: skip
    return {"job": job, "follow": f"/api/v1/jobs/{job}", "file": f"/api/v1/devices/exports/{job}"}


@router.get("/exports/{job}")
def exported(job: Annotated[int, Path(ge=1, le=2**62)], person: Person) -> Response:
    """Hand out the file of an export that is done."""
    person.need("export.read")
    with db.engine("app").connect() as conn:
        path = exports.file_of(conn, person, job)
    return FileResponse(path, media_type="application/zip", filename=f"devices-{job}.zip")


@router.get("/{product}/{device}")
def one(product: Product, device: Device, person: Person) -> dict[str, Any]:
    """Return a device with what it last said and its ledger of a day."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        return service.one(conn, person, product, device)


@router.get("/{product}/{device}/values")
def values(
    product: Product,
    device: Device,
    person: Person,
    property: Annotated[str, Query(pattern="^[a-z][a-z0-9_]{0,39}$")],
    from_: From = None,
    to: Moment = None,
) -> dict[str, Any]:
    """Return a property of a device over time; without a span, of the last day."""
    person.need("map.read")
    start, end = service.span(moment(from_), moment(to))
    with db.engine("app").connect() as conn:
        return service.series(conn, person, product, device, property, start, end)


@router.get("/{product}/{device}/values.csv")
def table(
    product: Product, device: Device, person: Person, from_: From = None, to: Moment = None
) -> Response:
    """Return every value of a device between two moments as CSV."""
    person.need("map.read")
    start, end = service.span(moment(from_), moment(to))
    with db.engine("app").connect() as conn:
        said = service.exported(conn, person, product, device, start, end)
    head = {"Content-Disposition": f'attachment; filename="{product}-{device}.csv"'}
    return Response(said, media_type="text/csv; charset=utf-8", headers=head)


@router.get("/{product}/{device}/log")
def log(
    product: Product, device: Device, person: Person,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> dict[str, Any]:  # fmt: skip
    """Return what happened to a device, newest first."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        return {"entries": service.log(conn, person, product, device, limit)}


@router.get("/{product}/{device}/ledger")
def ledger(product: Product, device: Device, person: Person, hours: Hours = 24) -> dict[str, Any]:
    """Return the loss ledger of a device: accepted = stored + rejected + duplicate, by hour."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        row = repository.one(conn, person, product, device)
        return {"hours": service.ledger(conn, row.num, hours)}


@router.get("/{product}/{device}/td")
def thing_description(product: Product, device: Device, person: Person) -> Response:
    """Return the W3C Thing Description of a device."""
    person.need("map.read")
    config = settings()
    with db.engine("app").connect() as conn:
        row = repository.one(conn, person, product, device)
        said = forms.thing_description(
            products.one(conn, product), device, row.name,
            base=config.public_url, mqtt=f"mqtt://{config.host}:{config.mqtt_port}",
        )  # fmt: skip
    return Response(json.dumps(said, ensure_ascii=False), media_type="application/td+json")


@router.get("/{product}/{device}/traces")
def traces(product: Product, device: Device, person: Person) -> dict[str, Any]:
    """Return the newest messages of a device that were followed, each hop by hop."""
    person.need("map.read")
    with db.engine("app").connect() as conn:
        row = repository.one(conn, person, product, device)
        return {"until": trace.followed(conn, row.num), "traces": trace.of(conn, row.num)}


@router.post("/{product}/{device}/traces", status_code=201)
def follow(product: Product, device: Device, person: Person) -> dict[str, Any]:
    """Follow the messages of a device through all hops for ten minutes."""
    person.need("device.write")
    with db.engine("app").begin() as conn:
        row = repository.one(conn, person, product, device)
        trace.begin(conn, row.num, person.user)
        return {"until": trace.followed(conn, row.num)}


@router.post("/{product}/{device}/messages")
def simulate(product: Product, device: Device, said: Message, person: Person) -> dict[str, Any]:
    """Send a message as the device would, by MQTT; answers when it was acknowledged, that is committed."""
    person.need("device.write")
    with db.engine("app").begin() as conn:
        row = repository.one(conn, person, product, device)
        is_new = trace.followed(conn, row.num) is None
        trace.begin(conn, row.num, person.user)
    if is_new:
        time.sleep(trace.ASK_S * 1.5)  # until every writer knows that the device is followed
    return simulator.send(product, device, said.channel, said.body)


@router.post("/{product}/{device}/revoke")
def revoke(product: Product, device: Device, person: Person) -> dict[str, Any]:
    """Take a device its right to report, at once."""
    person.need("device.write")
    with db.engine("app").begin() as conn:
        repository.one(conn, person, product, device)
        devices.revoke(conn, product, device, actor=person.user)
        return {"state": "revoked"}


@router.post("/{product}/{device}/secret")
def rotate(product: Product, device: Device, person: Person) -> dict[str, Any]:
    """Give a device a new password; the old one ends at once, the new one is told this once."""
    person.need("device.write")
    with db.engine("app").begin() as conn:
        repository.one(conn, person, product, device)
        secret = devices.rotate(conn, product, device, actor=person.user)
    return {"username": f"{product}/{device}", "password": secret}
