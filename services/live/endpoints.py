"""The WebSocket door /live."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from services.live.hub import MAX_CATCH_UP, Client, describe, hub
from services.live.rooms import MAX_WALL_MESSAGE, rooms
from services.web import auth
from services.web.params import box
from twin import db
from twin.errors import BadRequest

router = APIRouter(tags=["live"])
# What a client hears that names no layers: alarms are for those who ask.
USUAL = frozenset({"positions", "events", "things"})
LAYERS = USUAL | {"alarms"}
MAX_MESSAGE = 4096
POLICY = 1008


@router.websocket("/live")
async def live(socket: WebSocket) -> None:
    """One socket a tab: subscribe, then entries with seq, ticks and binary position frames."""
    token, by_cookie = auth.token_of(socket)
    actor = await asyncio.to_thread(auth.actor_for, token)
    if actor is None or (by_cookie and not auth.same_origin(socket)):
        await socket.close(POLICY, "log in first")
        return
    await socket.accept()
    client = Client(actor, token=str(token))
    hub.clients.add(client)
    hello = {"type": "hello", "seq": hub.seq, "time": datetime.now(UTC).isoformat()}
    client.push(json.dumps(hello))
    sender = asyncio.create_task(_send(socket, client))
    try:
        await _receive(socket, client, str(token))
    except (WebSocketDisconnect, RuntimeError):
        # RuntimeError: the peer vanished while we were closing; nothing is left to say to it.
        pass
    finally:
        hub.clients.discard(client)
        rooms.leave(client)
        sender.cancel()
        with suppress(asyncio.CancelledError):
            await sender


async def _send(socket: WebSocket, client: Client) -> None:
    while True:
        await client.wake.wait()
        client.wake.clear()
        if client.doubted:
            client.doubted = False
            # A session that has ended, or whose grants have changed, must not go on listening.
            if await asyncio.to_thread(auth.actor_for, client.token) != client.actor:
                await socket.close(POLICY, "the session has ended")
                return
        while client.messages:
            await socket.send_text(client.messages.popleft())
        frame, client.frame = client.frame, None
        if frame is not None:
            await socket.send_bytes(frame)
        if client.lost:
            await socket.close(1013, "too slow: come back with your last seq")
            return


async def _receive(socket: WebSocket, client: Client, token: str) -> None:
    while True:
        try:
            raw = await asyncio.wait_for(socket.receive_text(), timeout=30)
        except TimeoutError:
            # A session that has ended must not go on listening.
            if await asyncio.to_thread(auth.actor_for, token) is None:
                await socket.close(POLICY, "the session has ended")
                return
            continue
        try:
            await _hear(client, raw)
        except (BadRequest, ValueError, TypeError, AttributeError) as why:
            client.push(json.dumps({"type": "error", "code": "bad_request", "detail": str(why)}))


async def _hear(client: Client, raw: str) -> None:
    if len(raw) > MAX_WALL_MESSAGE:
        raise BadRequest("A message has at most 16384 characters.")
    message = json.loads(raw)
    if "wall" in message:
        rooms.hear(client, message["wall"])
        return
    if len(raw) > MAX_MESSAGE:
        raise BadRequest("A subscription has at most 4096 characters.")
    said: dict[str, Any] = message["subscribe"]
    client.layers = frozenset(said.get("layers") or USUAL) & LAYERS
    area = said.get("bbox")
    client.bbox = box(",".join(str(float(v)) for v in area)) if area else None
    client.wants_full = True
    after = said.get("after")
    if after is not None:
        await _catch_up(client, int(after))
    client.started = True


async def _catch_up(client: Client, after: int) -> None:
    """Send what was missed, in order; more than the cap means: read the lists anew."""
    if after < 0 or hub.seq - after > MAX_CATCH_UP:
        client.push(json.dumps({"type": "reload", "seq": hub.seq}))
        return
    client.catching_up = True
    try:
        # No await stands between the last comparison and the end: no entry falls in between.
        while after < hub.seq:
            batch = await asyncio.to_thread(_read, after)
            for entry in batch:
                client.tell(entry)
            if not batch:
                break
            after = batch[-1]["seq"]
    finally:
        client.catching_up = False


def _read(after: int) -> list[dict[str, Any]]:
    with db.engine("app").connect() as conn:
        return describe(conn, after, 500)
