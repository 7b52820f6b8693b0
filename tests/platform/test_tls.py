"""`twin cert` makes what browsers accept; an open host without it is refused; over TLS the cookie is safe."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509

from tests import support
from twin.errors import BadRequest
from twin.settings import settings
from ui.terminal import checks, tls
from ui.terminal.paths import ROOT
from ui.terminal.report import SetupError


def test_a_certificate_holds_for_its_names_and_is_renewed_by_the_same_authority(
    tmp_path: Path,
) -> None:
    path = tls.make(tmp_path, ["twin.example", "10.1.2.3"])
    first = path.with_name("authority.pem").read_bytes()
    tls.make(tmp_path, ["twin.example"])
    assert path.with_name("authority.pem").read_bytes() == first
    for secret in ("host.key", "authority.key"):
        assert (path.with_name(secret).stat().st_mode & 0o777) == 0o600
    cert = x509.load_pem_x509_certificate(path.read_bytes())
    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"twin.example", "localhost"} <= set(names.get_values_for_type(x509.DNSName))
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-CAfile", str(path.with_name("authority.pem")),
         "-verify_hostname", "twin.example", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_client_that_trusts_the_authority_is_content(tmp_path: Path) -> None:
    path = tls.make(tmp_path, [])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path, path.with_name("host.key"))
    with socket.create_server(("127.0.0.1", 0)) as door:
        thread = threading.Thread(target=_greet, args=(door, server))
        thread.start()
        trust = ssl.create_default_context(cafile=str(path.with_name("authority.pem")))
        with socket.create_connection(door.getsockname()) as raw:
            with trust.wrap_socket(raw, server_hostname="localhost") as line:
                assert line.recv(5) == b"hello"
        thread.join()


def _greet(door: socket.socket, context: ssl.SSLContext) -> None:
    raw, _ = door.accept()
    with context.wrap_socket(raw, server_side=True) as line:
        line.send(b"hello")


@pytest.mark.parametrize("name", ["a b", "", "-.", "x" * 64, "é.example", "http://x", "../x"])
def test_what_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRequest):
        tls.make(tmp_path, [name])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "twin.example"])
def test_an_open_host_without_tls_is_refused(host: str) -> None:
    none = {"TWIN_TLS_CERT": None, "TWIN_TLS_KEY": None, "TWIN_INSECURE": None}
    with support.environment(TWIN_HOST=host, **none):
        with pytest.raises(SetupError, match="twin cert"):
            checks.public_host(settings())
    with support.environment(TWIN_HOST=host, **none | {"TWIN_INSECURE": "1"}):
        checks.public_host(settings())


def test_the_certificate_of_the_home_opens_an_open_host(tmp_path: Path) -> None:
    tls.make(tmp_path, ["twin.example"])
    with support.environment(TWIN_HOST="0.0.0.0", TWIN_TLS_CERT=None, TWIN_TLS_KEY=None,
                             TWIN_PUBLIC_URL=None):  # fmt: skip
        checks.own_certificate(tmp_path)
        settings.cache_clear()
        checks.public_host(settings())
        assert settings().public_url.startswith("https://")


def test_over_tls_a_browser_gets_the_safe_cookie(database: str, tmp_path: Path) -> None:
    from twin import db, identity

    with db.engine("app").begin() as conn:
        identity.set_password(conn, "dispatcher", "Over-the-wire-8", "t")
    path, port = tls.make(tmp_path, []), support.free_port()
    key = path.with_name("host.key")
    with support.environment(TWIN_TLS_CERT=str(path), TWIN_TLS_KEY=str(key), TWIN_PUBLIC_URL=None):
        server = subprocess.Popen(
            [sys.executable, "-m", "ui.serve", "--port", str(port), "--ssl-certfile", str(path),
             "--ssl-keyfile", str(key)],
            cwd=ROOT,
        )  # fmt: skip
        try:
            trust = ssl.create_default_context(cafile=str(path.with_name("authority.pem")))
            said = _log_in(port, trust)
        finally:
            server.terminate()
            server.wait()
    cookie = said.getheader("Set-Cookie") or ""
    assert said.status == 200
    assert cookie.startswith("__Host-twin_session=") and "Secure" in cookie


def _log_in(port: int, trust: ssl.SSLContext) -> http.client.HTTPResponse:
    body = json.dumps({"user": "dispatcher", "password": "Over-the-wire-8"})
    headers = {"Content-Type": "application/json", "Origin": f"https://localhost:{port}"}
    end = time.monotonic() + 60
    while True:
        try:
            door = http.client.HTTPSConnection("localhost", port, timeout=10, context=trust)
            door.request("POST", "/api/v1/session", body, headers)
            return door.getresponse()
        except ConnectionError:
            assert time.monotonic() < end
            time.sleep(0.2)
