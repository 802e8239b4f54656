"""The report as a page on this machine, made anew while runs go on."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from analysis.examine import examine
from analysis.page import LIVE, render
from rlavr_hpc.errors import RlavrError, UserError

HOST = "127.0.0.1"
"""Run folders may hold what others on the machine's network may not see."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Live:
    """The newest page, made again and again by a thread."""

    make: Callable[[], str]
    every: float
    """Seconds between two readings."""
    page: str = ""
    version: int = 0
    """Counts the pages that differ."""
    trouble: str = ""
    """Why the last reading failed; the page is the one before."""
    _ended: threading.Event = field(default_factory=threading.Event)

    def refresh(self) -> None:
        """Read the run folders now; what goes wrong is told, and the last page stays."""
        try:
            page = self.make()
        except (RlavrError, OSError) as error:
            self.trouble = str(error)
            return
        self.trouble = ""
        if page != self.page:
            self.page, self.version = page, self.version + 1

    def run(self) -> None:
        """Refresh until `end`."""
        while not self._ended.wait(self.every):
            self.refresh()

    def end(self) -> None:
        """No more refreshing."""
        self._ended.set()


def application(live: Live) -> Starlette:
    """`/` is the page; `/version` is what the page asks to know when to load itself again."""

    def page(request: Request) -> Response:
        return HTMLResponse(live.page, headers={"Cache-Control": "no-store"})

    def version(request: Request) -> Response:
        return JSONResponse({"version": live.version, "trouble": live.trouble})

    def healthy(request: Request) -> Response:
        return PlainTextResponse("ok")

    routes = [Route("/", page), Route("/version", version), Route("/healthy", healthy)]
    return Starlette(routes=routes)


def serve(
    folders: Sequence[Path], *, workers: int, target: float | None, port: int, every: float
) -> None:
    """Serve until Ctrl-C.

    Raises:
        UserError: no run is there, or the port is taken.
    """
    with _listen(port) as listener:
        def make() -> str:
            findings, _ = examine(folders, workers=workers, target=target)
            return render(findings, live=LIVE)

        live = Live(make=make, every=every)
        live.page, live.version = make(), 1
        thread = threading.Thread(target=live.run, name="analysis", daemon=True)
        thread.start()
        address = f"http://{HOST}:{listener.getsockname()[1]}/"
        print(f"the report is at {address} (Ctrl-C ends)", flush=True)
        server = uvicorn.Server(uvicorn.Config(application(live), log_level="warning"))
        try:
            server.run(sockets=[listener])
        finally:
            live.end()


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise UserError(
            f"--port {port} cannot be used ({error.strerror}); --port 0 takes a free one"
        ) from error
    listener.listen()
    return listener
