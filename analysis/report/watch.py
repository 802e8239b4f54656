"""The report as a page on this machine, refreshed while runs go on."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from analysis.examine import examine
from analysis.report.page_html import render
from analysis.study_findings import Findings
from rlavr_hpc.errors import UserError

HOST = "127.0.0.1"
"""Run folders may hold what others on the machine's network may not see."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Live:
    """The newest page, which a thread keeps up to date."""

    read: Callable[[], Findings]
    every: float
    """Seconds between two readings."""
    page: str = ""
    version: int = 0
    """Counts the findings that differ in more than their time."""
    _shown: Findings | None = None
    _ended: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        """Make the first page.

        Raises:
            UserError: there is nothing to show.
        """
        self._shown = self.read()
        self.page, self.version = render(self._shown, live=True), 1

    def refresh(self) -> None:
        """Read the run folders now; after an error the last page stays."""
        try:
            found = self.read()
            if self._shown is None or replace(found, made=self._shown.made) != self._shown:
                self._shown, self.page = found, render(found, live=True)
                self.version += 1
        except Exception as error:  # noqa: BLE001  the next reading may do; a dead thread would not
            log.warning("the page could not be refreshed: %s: %s", type(error).__name__, error)

    def run(self) -> None:
        """Refresh until `end`."""
        while not self._ended.wait(self.every):
            self.refresh()

    def end(self) -> None:
        """No more refreshing."""
        self._ended.set()


def application(live: Live) -> Starlette:
    """`/` is the page; `/stamp` is what it asks for to know when to load itself again."""

    def page(request: Request) -> Response:
        return HTMLResponse(live.page, headers={"Cache-Control": "no-store"})

    def stamp(request: Request) -> Response:
        return PlainTextResponse(str(live.version), headers={"Cache-Control": "no-store"})

    return Starlette(routes=[Route("/", page), Route("/stamp", stamp)])


def serve(
    folders: Sequence[Path], *, workers: int, target: float | None, port: int, every: float
) -> None:
    """Serve until Ctrl-C.

    Raises:
        UserError: no run is there, or the port is taken.
    """

    def read() -> Findings:
        return examine(folders, workers=workers, target=target)[0]

    with _listen(port) as listener:
        live = Live(read=read, every=every)
        live.begin()
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
