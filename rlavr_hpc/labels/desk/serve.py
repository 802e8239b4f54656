"""Serve the desk until it is told to end, on a port of this host or on a unix socket."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import uvicorn

from rlavr_hpc.config.label_desk import DeskConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.labels.desk.desk import Desk
from rlavr_hpc.labels.desk.guard import Addresses, read_addresses
from rlavr_hpc.labels.desk.journal import DESK
from rlavr_hpc.labels.desk.place import DeskPlace, last_desk, refuse_second
from rlavr_hpc.labels.desk.progress import Needed, lacking
from rlavr_hpc.labels.desk.site import DeskSite, application

TUNNEL_PORT = 8123
"""Of links where the page is on a socket: the near end of the tunnel."""
MAX_SOCKET_PATH = 107
"""Bytes; the kernel's limit."""
BROWSERS = 200
"""Connections at a time."""


def serve_desk(desk: Desk, *, needed: Needed = lacking) -> None:
    """Serve until a signal says to end; what is held back is then written.

    Raises:
        UserError: a desk of the folder runs already, or the address cannot be used.
    """
    config, folder = desk.config, desk.top / DESK
    addresses = addresses_of(config)
    refuse_second(folder)
    with _listening(config, folder) as (listener, port):
        place = DeskPlace(folder, address_of(config, port), port)
        place.take()
        desk.journal.superseded = lambda: place.superseded
        desk.look()

        def renew() -> None:
            place.renew()
            if place.superseded and not server.should_exit:
                desk.say(f"another desk of {desk.top} has taken over; this one ends")
                server.should_exit = True

        @asynccontextmanager
        async def living() -> AsyncIterator[None]:
            thread = threading.Thread(target=desk.run, args=(renew,), daemon=True)
            thread.start()
            where = config.socket if config.socket is not None else f"{config.host}:{port}"
            desk.say(f"the desk of {desk.top} listens on {where}; its links begin {place.address}")
            yield
            desk.end()
            place.leave()
            if config.socket is not None and not place.superseded:
                Path(config.socket).unlink(missing_ok=True)

        app = application(DeskSite(desk=desk, needed=needed), addresses, lifespan=living)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="on",
                access_log=False,
                log_level="warning",
                proxy_headers=False,
                server_header=False,
                limit_concurrency=BROWSERS,
                timeout_keep_alive=10,
                timeout_graceful_shutdown=3,
            )
        )
        with suppress(KeyboardInterrupt):  # Ctrl-C is how it ends
            server.run(sockets=[listener])


def addresses_of(config: DeskConfig) -> Addresses:
    """Under which the page may be asked for.

    Raises:
        UserError: an origin is none.
    """
    names = (socket.gethostname(), socket.getfqdn(), config.host) if config.origins else ()
    try:
        return read_addresses(config.origins, config.prefix, names)
    except ValueError as error:
        raise UserError(f"labels.desk.origins: {error}") from error


def address_of(config: DeskConfig, port: int) -> str:
    """How a browser reaches the page: the portal's address where there is one, with its path."""
    at = config.origins[0].rstrip("/") if config.origins else f"http://127.0.0.1:{port}"
    path = config.prefix.strip("/")
    return f"{at}/{path}/" if path and not at.endswith(f"/{path}") else f"{at}/"


def link(address: str, token: str) -> str:
    """What an annotator opens; what stands behind `#` stays in the browser."""
    return f"{address}in#{token}"


@contextmanager
def _listening(config: DeskConfig, folder: Path) -> Iterator[tuple[socket.socket, int]]:
    """The socket, and the port of the links."""
    if config.socket is not None:
        with _unix(Path(config.socket)) as listener:
            yield listener, config.port or TUNNEL_PORT
        return
    last = last_desk(folder)
    ports = [config.port] if config.port else [*([last.port] if last else []), 0]
    for port in ports:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((config.host, port))
        except OSError as error:
            listener.close()
            if port == ports[-1]:
                raise UserError(
                    f"{config.host}:{port} cannot be used ({error.strerror}); labels.desk.port=0 "
                    "takes a free port"
                ) from error
            continue
        break
    with listener:
        listener.listen()
        yield listener, listener.getsockname()[1]


def _unix(path: Path) -> socket.socket:
    """A socket that only its owner can reach."""
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise UserError(f"labels.desk.socket={path} is longer than {MAX_SOCKET_PATH} bytes")
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        folder = path.parent.stat()
        if folder.st_uid != os.getuid() or folder.st_mode & 0o077:
            raise UserError(
                f"labels.desk.socket={path}: {path.parent} has to be yours and closed to others; "
                f"make one: mkdir -m 700 FOLDER"
            )
        if path.exists():
            if not stat.S_ISSOCK(path.lstat().st_mode):
                raise UserError(f"labels.desk.socket={path} is there and is no socket")
            path.unlink()
        listener = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen()
    except OSError as error:
        raise UserError(f"labels.desk.socket={path} cannot be used: {error.strerror}") from error
    return listener
