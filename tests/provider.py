"""A small house of single sign-on: a real server with keys, codes, proof of possession, and bad moods."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "lvrong-twin", "client-secret-of-the-test"


@dataclass
class House:
    """The house: who stands at its door, and what it does wrong."""

    issuer: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    spoil: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one"}))
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)

    def authorize(self, said: dict[str, str]) -> str:
        """Let the person in and send the browser back with a code."""
        self.asked.append(said)
        assert said["response_type"] == "code" and said["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = said
        return said["redirect_uri"] + "?" + urlencode({"code": code, "state": said["state"]})

    def token(self, said: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """Give the proof for a code to whom it was made for."""
        began = self.codes.pop(said.get("code", ""), None)
        challenge = hashlib.sha256(said.get("code_verifier", "").encode()).digest()
        proof = base64.urlsafe_b64encode(challenge).decode().rstrip("=")
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if began is None or proof != began["code_challenge"] or authorization != f"Basic {basic}":
            return None
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "sub": "p-1", "iat": now, "exp": now + 300,
                  "nonce": began["nonce"], **self.person, **self.spoil.get("claims", {})}  # fmt: skip
        key = self.spoil.get("key", self.key)
        claims = {k: v for k, v in claims.items() if v is not None}
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, key)
        raw = self.spoil.get("token", lambda t: t)(signed)
        return {"access_token": "x", "token_type": "Bearer", "id_token": raw, "expires_in": 60}


@contextmanager
def house() -> Iterator[House]:
    """Run the house on a free port of this machine."""
    made = House()

    class Door(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def _say(self, said: Any, status: int = 200) -> None:
            raw = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/.well-known/openid-configuration":
                self._say({"issuer": made.spoil.get("issuer", made.issuer),
                           "authorization_endpoint": made.issuer + "/authorize",
                           "token_endpoint": made.issuer + "/token",
                           "jwks_uri": made.spoil.get("jwks_uri", made.issuer + "/jwks")})  # fmt: skip
            elif parts.path == "/jwks":
                self._say({"keys": [made.key.as_dict(private=False)]})
            else:
                said = {k: v[0] for k, v in parse_qs(parts.query).items()}
                self.send_response(302)
                self.send_header("Location", made.authorize(said))
                self.send_header("Content-Length", "0")
                self.end_headers()

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
            said = {k: v[0] for k, v in parse_qs(raw).items()}
            answer = made.token(said, self.headers.get("Authorization", ""))
            self._say(answer or {"error": "invalid_grant"}, 200 if answer else 400)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    made.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
