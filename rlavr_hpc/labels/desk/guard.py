"""What every request has to pass, and what every response says, before anybody is known.

Any user of the host can reach a port of the loopback address, and any page in an annotator's
browser can send requests there: so names of hosts, origins and sizes are checked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 64 << 10
"""Bytes of a form."""
TOO_LARGE = "This form is too large."
FORM = "application/x-www-form-urlencoded"
LOOPBACK = ("localhost", "127.0.0.1", "::1")
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "style-src-attr 'unsafe-inline'",  # KaTeX gives a few of its drawings a width so
        "font-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer a browser's forms have the origin "null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Under which names the page may be asked for."""

    origins: frozenset[str] = frozenset()
    """Of portals: `https://portal.example.org`."""
    hosts: frozenset[str] = frozenset(LOOPBACK)
    """Without ports: tunnels have any."""
    prefix: str = ""
    """`/node/H/P` of a portal that keeps it; "" = none."""


def read_addresses(origins: Iterable[str], prefix: str, names: Iterable[str] = ()) -> Addresses:
    """The addresses of a desk.

    Args:
        origins: of portals, `labels.desk.origins`.
        prefix: `labels.desk.prefix`.
        names: what a portal may call this host.

    Raises:
        ValueError: an origin is none; it is named.
    """
    known, hosts = set(), {*LOOPBACK, *(name.lower() for name in names)}
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{origin!r}: use https://NAME, as the browser's address begins")
        known.add(f"{parts.scheme}://{parts.netloc}".lower())
        hosts.add(parts.hostname)
    path = prefix.strip("/")
    return Addresses(
        origins=frozenset(known), hosts=frozenset(hosts), prefix=f"/{path}" if path else ""
    )


@dataclass(slots=True)
class _Sending:
    """Sends a response with the headers that every one has."""

    send: Send

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await self.send(message)


@dataclass(slots=True)
class Guard:
    """Refuses what no browser of an annotator sends; around the whole site."""

    app: ASGIApp
    addresses: Addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            sending = _Sending(send)
            refusal = self._refusal(scope) or self._at_prefix(scope)
            await (refusal or self.app)(scope, _bounded(receive), sending)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not self._known_host(headers):
            return _refuse(
                403,
                "This page is not served under this name. Open it as 127.0.0.1 or localhost; the "
                "owner can allow a portal's address with labels.desk.origins.",
            )
        if scope["method"] in ("GET", "HEAD"):
            return None
        if scope["method"] != "POST":
            return _refuse(405, "There is nothing here for this method.")
        if not self._own_origin(headers):
            return _refuse(403, "This form was not sent from this page.")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            return _refuse(413, TOO_LARGE)
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        return None if kind == FORM else _refuse(415, f"Forms are sent as {FORM}.")

    def _known_host(self, headers: Headers) -> bool:
        named = headers.getlist("host")
        return len(named) == 1 and _host_name(named[0]) in self.addresses.hosts

    def _own_origin(self, headers: Headers) -> bool:
        """Another port of the same host is another page, maybe of another user of the host."""
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site") == "same-origin"
        if origin.lower() in self.addresses.origins:
            return True
        host = headers["host"].lower()
        return _host_name(host) in LOOPBACK and origin.lower() in (
            f"http://{host}",
            f"https://{host}",
        )

    def _at_prefix(self, scope: Scope) -> Response | None:
        """Take the prefix off, where the portal has kept it."""
        prefix, path = self.addresses.prefix, scope["path"]
        if prefix and path == prefix:  # links of the page are relative to the folder
            folder = prefix.rpartition("/")[2]
            return Response(status_code=307, headers={"Location": f"{folder}/"})
        if prefix and path.startswith(f"{prefix}/"):
            scope["path"] = path[len(prefix) :]
            scope["raw_path"] = scope["path"].encode()
        return None


def _refuse(status: int, why: str) -> Response:
    return PlainTextResponse(f"{why}\n", status, headers={"Connection": "close"})


def _host_name(host: str) -> str:
    """`localhost` of `localhost:8888`, `::1` of `[::1]:8888`; "" for what is no host."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _bounded(receive: Receive) -> Receive:
    left = MAX_BODY

    async def receiving() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, TOO_LARGE)
        return message

    return receiving
