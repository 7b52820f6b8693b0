"""A small real server of pictures: cameras and tiles, with bad moods, and a memory of what it was asked."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image


def png(ink: tuple[int, int, int] = (40, 120, 60), size: int = 64) -> bytes:
    """Return a picture of one colour."""
    out = io.BytesIO()
    Image.new("RGB", (size, size), ink).save(out, "PNG")
    return out.getvalue()


@dataclass
class Source:
    """What the server gives, and what it was asked."""

    address: str = ""
    mood: str = "well"
    body: bytes = field(default_factory=png)
    asked: list[str] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer as the mood is."""
        self.asked.append(handler.path)
        if self.mood == "slow":
            time.sleep(1.0)
        body = {"html": b"<html>no</html>", "half": self.body[: len(self.body) // 2],
                "large": self.body + b"\0" * (5 << 20)}.get(self.mood, self.body)  # fmt: skip
        handler.send_response({"broken": 500, "elsewhere": 302}.get(self.mood, 200))
        if self.mood == "elsewhere":
            handler.send_header("Location", "http://169.254.169.254/")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        # Whoever had enough of a picture that is too large hangs up.
        try:
            handler.wfile.write(body)
        except OSError:
            return


@contextmanager
def serving() -> Iterator[Source]:
    """Serve pictures on a free port."""
    source = Source()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            source.answer(self)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    source.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield source
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
