"""HTTP calls that end: each under one wall clock, whatever the other side does, and none retried.

A read time-out starts again at every byte, so a server that drips never ends one. Here calls run
in one background thread, where a clock around the whole of each call cuts it.

What is said of a failure is made of our own words: a client's error may quote the request, and the
request holds the key.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit

import httpx

MAX_BODY = 8 << 20
"""Bytes of a body that are read."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    httpx.InvalidURL,
)
"""After these the other side has not read the request."""


class CallError(Exception):
    """A call without a whole response."""

    def __init__(self, why: str, *, reached: bool) -> None:
        """Tell why, and whether the other side may have read the request."""
        super().__init__(why)
        self.reached = reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is sent."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: object = None
    """Sent as JSON; None = no body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """With names in lower case."""
    body: bytes


def check_address(name: str, url: str | None) -> str:
    """An address without its last slash.

    Raises:
        ValueError: it is none, or holds a password.
    """
    parts = urlsplit(url or "")
    if parts.username is not None or parts.password is not None or parts.query:
        raise ValueError(
            f"{name} holds a password or a query, which would be on record: the key belongs in "
            "the environment variable that labels.key_variable names"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{name}={url!r} is no address: http://HOST:PORT/... is wanted")
    return (url or "").rstrip("/")


def begin(
    request: Request, *, seconds: float, at_end: Callable[[], None] | None = None
) -> Future[Fetched]:
    """Start a call that is over after `seconds`.

    Args:
        request: what is sent.
        seconds: on the wall clock, from the name's look-up to the body's last byte.
        at_end: called in the calls' thread before the future is done.

    Returns:
        What comes back; it raises CallError where the call fails.
    """
    client = _client(
        local=urlsplit(request.url).hostname in LOOPBACK, secure=request.url.startswith("https")
    )
    return asyncio.run_coroutine_threadsafe(_call(client, request, seconds, at_end), _loop())


def fetch(request: Request, *, seconds: float) -> Fetched:
    """Call and wait.

    Raises:
        CallError: no whole response in time.
    """
    return begin(request, seconds=seconds).result()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The event loop of this process's calls, in a thread that dies with the process."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="label-calls", daemon=True).start()
    return loop


@cache
def _client(*, local: bool, secure: bool) -> httpx.AsyncClient:
    """One for all calls. A proxy of the environment is not asked for this host's own addresses."""
    return httpx.AsyncClient(
        verify=secure,  # reading certificates takes time, and only TLS looks at them
        timeout=None,  # the wall clock around each call ends it
        follow_redirects=False,
        trust_env=not local,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
        headers={"Accept-Encoding": "identity", "User-Agent": "rlavr"},
    )


async def _call(
    client: httpx.AsyncClient,
    request: Request,
    seconds: float,
    at_end: Callable[[], None] | None,
) -> Fetched:
    try:
        async with asyncio.timeout(seconds):
            return await _exchange(client, request)
    except TimeoutError:
        why = f"no whole response in {seconds:g} s"
        raise CallError(why, reached=True) from None
    except NOT_SENT as error:
        raise CallError(f"not reached ({type(error).__name__})", reached=False) from None
    except (httpx.HTTPError, httpx.StreamError, OSError, ValueError) as error:
        raise CallError(f"broken off ({type(error).__name__})", reached=True) from None
    finally:
        if at_end is not None:
            at_end()


async def _exchange(client: httpx.AsyncClient, request: Request) -> Fetched:
    content = None if request.body is None else json.dumps(request.body).encode()
    headers = {**request.headers, **({"Content-Type": "application/json"} if content else {})}
    async with client.stream(
        request.method,
        request.url,
        headers=headers,
        content=content,
    ) as response:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_BODY:
                raise CallError(f"a body of more than {MAX_BODY >> 20} MiB", reached=True)
        return Fetched(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=bytes(body),
        )
