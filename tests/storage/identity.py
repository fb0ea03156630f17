"""An endpoint that hands out tokens as Azure's managed identities do, on this machine."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


def _part(content: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def token() -> str:
    """A token that Azurite's basic checks take: audience, issuer and times; its signature is noise."""
    now = int(time.time())
    claims: dict[str, object] = {
        "aud": "https://storage.azure.com",
        "iss": "https://sts.windows.net/00000000-0000-0000-0000-000000000001/",
        "iat": now - 60,
        "nbf": now - 60,
        "exp": now + 3600,
    }
    return f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}.{secrets.token_urlsafe(32)}"


class ManagedIdentity:
    """Serves while its context is open; `asked` counts, `token` is what it hands out."""

    def __init__(self) -> None:
        self.asked = 0
        self.token = token()
        self.header = secrets.token_hex(16)
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked += 1
                if self.headers.get("X-IDENTITY-HEADER") != owner.header:
                    self.send_error(401)
                    return
                expires = str(int(time.time()) + 3600)
                answer = {"access_token": owner.token, "expires_on": expires, "token_type": "Bearer",
                          "resource": "https://storage.azure.com"}  # fmt: skip
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, format: str, *args: object) -> None:
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        endpoint = f"http://127.0.0.1:{self._server.server_port}/msi/token"
        return {"IDENTITY_ENDPOINT": endpoint, "IDENTITY_HEADER": self.header}

    def __enter__(self) -> ManagedIdentity:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
