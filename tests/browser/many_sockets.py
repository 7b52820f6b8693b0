"""Many clients of /live in a process of their own: `python -m tests.browser.many_sockets URL TOKEN COUNT`."""

from __future__ import annotations

import asyncio
import json
import sys

import websockets


async def listen(url: str, token: str, opened: asyncio.Semaphore) -> None:
    """Subscribe to everything and read for ever."""
    headers = {"Authorization": f"Bearer {token}"}
    async with websockets.connect(url, additional_headers=headers, max_size=None) as socket:
        await socket.send(
            json.dumps({"subscribe": {"layers": ["positions", "events", "things", "alarms"]}})
        )
        opened.release()
        async for _ in socket:
            pass


async def main(url: str, token: str, count: int) -> None:
    """Open them and say so."""
    opened = asyncio.Semaphore(0)
    live = url.replace("http", "ws", 1) + "/live"
    tasks = [asyncio.create_task(listen(live, token, opened)) for _ in range(count)]
    for _ in range(count):
        await opened.acquire()
    print(f"open {count}", flush=True)
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
