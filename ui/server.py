"""The ASGI application: the services' API, the pages and the browser bundle, with their headers."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest.doors.http import HttpDoor
from services.app import create_app
from services.layers.endpoints import router as layers
from services.tiles.short import ShortWay
from services.web.access import Access
from services.web.auth import current_actor
from twin.errors import NotFound
from twin.scope import Actor
from twin.settings import settings

DIST = Path(__file__).parent / "web" / "dist"
PAGES = ("wall", "patrol", "console", "board")
IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"geolocation=(self), camera=(self), microphone=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
router = APIRouter(include_in_schema=False)
Visitor = Annotated[Actor, Depends(current_actor)]


class SecurityHeaders:
    """Adds the security headers to every HTTP answer that does not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add headers to the answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                set_already = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(h for h in HEADERS if h[0] not in set_already),
                ]
            await send(message)

        await self.app(scope, receive, with_headers)


def bundle(request: Request, name: str, cache: str, **headers: str) -> Response:
    """Return a file of the bundle, compressed beforehand where the browser takes it."""
    path = (DIST / name).resolve()
    if not path.is_relative_to(DIST.resolve()) or not path.is_file():
        if not DIST.is_dir():
            return PlainTextResponse(
                "The browser bundle is not built; run ./up, or npm ci && npm run build in ui/web.",
                503,
            )
        raise NotFound(f"There is no file {name} in the bundle.")
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if path.suffix == ".webmanifest":
        kind = "application/manifest+json"
    said = {"Cache-Control": cache, "Vary": "Accept-Encoding", **headers}
    packed = path.with_name(path.name + ".gz")
    if packed.is_file() and "gzip" in request.headers.get("accept-encoding", ""):
        said["Content-Encoding"] = "gzip"
        path = packed
    answer = FileResponse(path, media_type=kind, headers=said, stat_result=path.stat())
    if request.headers.get("if-none-match") == answer.headers["etag"]:
        return Response(status_code=304, headers={"ETag": answer.headers["etag"], **said})
    return answer


@router.get("/")
def root() -> Response:
    """The wall is the first page."""
    return RedirectResponse("/wall")


@router.get("/board")
@router.get("/wall")
@router.get("/patrol")
def page(request: Request, visitor: Visitor) -> Response:
    """Return a page to somebody who has logged in; others go to the log-in page."""
    if visitor.anonymous:
        return RedirectResponse(f"/login?next={quote(request.url.path)}", 303)
    name = request.url.path.strip("/")
    early = {"Link": _first_style(request)} if name == "wall" else {}
    return bundle(request, f"{name}.html", REVALIDATE, **early)


def _first_style(request: Request) -> str:
    """Name the style that the wall will ask for, so that it is on its way before the script is."""
    theme = request.query_params.get("theme") or request.cookies.get("look.wall")
    lang = request.query_params.get("lang") or request.cookies.get("look.lang", settings().lang)
    said = f"{'day' if theme == 'day' else 'night'}.json?lang={'en' if lang == 'en' else 'zh-CN'}"
    return f"</styles/{said}&shown=1>; rel=preload; as=fetch; crossorigin"


@router.get("/console")
@router.get("/console/{path:path}")
def console(request: Request, visitor: Visitor, path: str = "") -> Response:
    """Return the console; which of its pages is shown stands in the path."""
    if visitor.anonymous:
        return RedirectResponse(f"/login?next={quote(request.url.path)}", 303)
    return bundle(request, "console.html", REVALIDATE)


@router.get("/login")
def login(request: Request) -> Response:
    """Return the log-in page."""
    return bundle(request, "login.html", REVALIDATE)


@router.get("/favicon.ico")
def icon(request: Request) -> Response:
    """Return the icon to browsers that ask by habit."""
    return bundle(request, "icon.svg", "public, max-age=86400")


@router.get("/sw.js")
def worker(request: Request) -> Response:
    """Return the phone's service worker from the root, so that it may serve /patrol."""
    return bundle(request, "sw.js", REVALIDATE)


@router.get("/ui/{name:path}")
def static(request: Request, name: str) -> Response:
    """Return a file of the bundle; hashed names may be kept for ever."""
    return bundle(request, name, IMMUTABLE if name.startswith("assets/") else REVALIDATE)


class Express:
    """Takes vector tiles around what only other doors need: routers and their error pages."""

    def __init__(self, app: FastAPI) -> None:
        """Stand before the whole application."""
        self.app = app
        self.tiles = SecurityHeaders(Access(ShortWay(app)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.app, name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        short = scope["type"] == "http" and ShortWay.takes(scope)
        await (self.tiles if short else self.app)(scope, receive, send)


def compose(api: FastAPI) -> FastAPI:
    """Add pages, bundle and map styles to the API."""
    api.include_router(layers)
    api.include_router(router)
    api.add_middleware(SecurityHeaders)
    return api


def __getattr__(name: str) -> Any:
    # `uvicorn ui.server:app` builds the application; importing this module for its parts does not.
    if name == "app":
        globals()["app"] = HttpDoor(Express(compose(create_app())))
        return globals()["app"]
    raise AttributeError(name)
