"""Composes the domains into one API; nothing else happens here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from services.alarms.endpoints import router as alarms
from services.basemap.endpoints import router as basemap
from services.boards.endpoints import router as boards
from services.catalogue.endpoints import router as catalogue
from services.changes.endpoints import router as changes
from services.citizens.endpoints import router as citizens
from services.codes.endpoints import router as codes
from services.contacts.endpoints import router as contacts
from services.devices.endpoints import router as devices
from services.dispatch.endpoints import router as dispatch
from services.efficiency.endpoints import router as efficiency
from services.events.desk import router as desk
from services.events.endpoints import router as events
from services.features.endpoints import router as features
from services.features.items import history
from services.features.items import router as items
from services.features.transactions import router as transactions
from services.files.endpoints import router as files
from services.health.endpoints import router as health
from services.identity.accounts import router as accounts
from services.identity.audit import router as audit
from services.identity.endpoints import VERSION
from services.identity.endpoints import router as identity
from services.identity.organisations import router as organisations
from services.identity.sign_in import router as sign_in
from services.indicators.endpoints import router as indicators
from services.intake.endpoints import router as intake
from services.jobs.endpoints import router as jobs
from services.keys.endpoints import router as keys
from services.kinds.endpoints import router as kinds
from services.linkages.endpoints import router as linkages
from services.live.endpoints import router as live
from services.live.hub import hub
from services.loads.downloads import router as downloads
from services.loads.endpoints import router as loads
from services.ngsild.endpoints import router as ngsild
from services.open311.endpoints import partners
from services.open311.endpoints import router as open311
from services.ota.endpoints import router as ota
from services.plans.endpoints import router as plans
from services.policies.endpoints import router as policies
from services.positions.endpoints import router as positions
from services.products.endpoints import router as products
from services.rules.endpoints import router as rules
from services.search.endpoints import router as search
from services.shadow.endpoints import router as shadow
from services.sta.endpoints import router as sta
from services.subscriptions.endpoints import router as subscriptions
from services.things.endpoints import router as things
from services.tickets.endpoints import router as tickets
from services.tiles.cache import tiles as tile_cache
from services.tiles.endpoints import router as tiles
from services.tiles.levels import follow as level_news
from services.tiles.ogc import router as ogc_tiles
from services.tiles.short import ShortWay
from services.tiles.wmts import router as wmts
from services.versions.endpoints import router as versions
from services.wall.endpoints import router as wall
from services.web import auth, described, errors, meters
from services.web.access import Access
from services.web.head import Head
from twin import db, pool
from twin.roads import warm as warm_roads
from twin.settings import settings


@asynccontextmanager
async def _life(_app: FastAPI) -> AsyncIterator[None]:
    tile_cache.limit = settings().tile_cache_mb << 20
    hub.listeners += [_stale_tiles, auth.forget_on]
    hub.start()
    warming = asyncio.create_task(asyncio.to_thread(warm_roads))
    tasks = [asyncio.create_task(meters.forever()), asyncio.create_task(level_news())]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.to_thread(meters.keep_all)
    await warming
    await hub.stop()
    hub.listeners.remove(_stale_tiles)
    hub.listeners.remove(auth.forget_on)
    await pool.close()
    for role in ("app", "tiles"):
        await db.async_engine(role).dispose()


def _stale_tiles(entry: dict[str, Any]) -> None:
    if entry["class"] in ("thing", "load", "declaration") and entry["kind"]:
        tile_cache.touch(str(entry["kind"]).removeprefix("kind:"), entry.get("box"))


def create_app() -> FastAPI:
    """Return the API application."""
    app = FastAPI(
        title="Lvrong Twin 绿容孪生",
        version=VERSION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_life,
    )
    errors.install(app)
    described.install(app)
    for router in (
        tiles, ogc_tiles, wmts, items, health, identity, accounts, organisations, keys, audit, sign_in,
        desk, events, dispatch, efficiency, open311, things, positions, boards, files, live,
        catalogue, features, history, transactions, kinds, jobs, versions, codes, loads, downloads,
        changes, search, products, devices, sta, ngsild, alarms, rules, linkages, shadow,
        subscriptions,
        tickets, ota, indicators, policies, wall, citizens, plans, intake,
        partners, contacts, basemap,
    ):  # fmt: skip
        app.include_router(router)
    app.add_middleware(ShortWay)
    app.add_middleware(Head)
    app.add_middleware(Access)
    return app
