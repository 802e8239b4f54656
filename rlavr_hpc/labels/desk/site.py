"""The site: which request gets which page."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from rlavr_hpc.labels.desk.access import SESSION_DAYS, Role
from rlavr_hpc.labels.desk.answering import Answering
from rlavr_hpc.labels.desk.desk import Desk
from rlavr_hpc.labels.desk.forms import read_fields
from rlavr_hpc.labels.desk.guard import Addresses, Guard
from rlavr_hpc.labels.desk.pages import Pages, static_files
from rlavr_hpc.labels.desk.progress import Needed, desk_progress, lacking
from rlavr_hpc.labels.printable import printable

OPEN_FILES = ("style.css", "sign_in.js")
"""What the page for signing in asks for; everything else needs a cookie."""
DAY = 86_400
Fields = Mapping[str, str]
Handler = Callable[[Request, Fields], Response]


@dataclass(slots=True, kw_only=True)
class DeskSite:
    """Answers requests; every handler runs in a worker thread."""

    desk: Desk
    needed: Needed = lacking
    pages: Pages = field(default_factory=Pages)
    answering: Answering = field(init=False)
    files: Mapping[str, tuple[bytes, str]] = field(default_factory=static_files)

    def __post_init__(self) -> None:
        """Make what answers annotators."""
        self.answering = Answering(desk=self.desk, pages=self.pages)

    def home(self, request: Request, fields: Fields) -> Response:
        """The annotator's question."""
        name = self._name(request, Role.annotator)
        if name is None:
            if self._name(request, Role.owner) is not None:
                return RedirectResponse("owner", 303)
            return self._sign_in_page(401)
        return self.answering.page(name, late="late" in request.query_params)

    def sign_in_page(self, request: Request, fields: Fields) -> Response:
        """Where a link leads: its token stands behind `#`, which no browser sends."""
        return self._sign_in_page(200)

    def sign_in(self, request: Request, fields: Fields) -> Response:
        """Trade a token for a cookie."""
        with self.desk.lock:
            self.desk.journal.look()  # a link may be seconds old
            traded = self.desk.access.trade(fields.get("token", "").strip())
        if traded is None:
            return self._sign_in_page(403, "This link was used before, is too old, or is wrong.")
        person, cookie = traded
        self.desk.say(f"{printable(person.name)} ({person.role}) signed in")
        response = RedirectResponse("owner" if person.role is Role.owner else "./", 303)
        response.set_cookie(
            self._cookie(person.role),
            cookie,
            max_age=SESSION_DAYS * DAY,
            path=None,  # the folder of the page, whatever a portal puts before it
            httponly=True,
            samesite="strict",
            secure=request.headers.get("origin", "").startswith("https:"),
        )
        return response

    def sign_out(self, request: Request, fields: Fields) -> Response:
        """Forget this browser."""
        response = RedirectResponse("in", 303)
        for role in Role:
            name = self._cookie(role)
            if (cookie := request.cookies.get(name)) is not None:
                with self.desk.lock:
                    self.desk.access.sign_out(cookie)
                response.set_cookie(
                    name, "", max_age=0, path=None, httponly=True, samesite="strict"
                )
        return response

    def answer(self, request: Request, fields: Fields) -> Response:
        """Take an answer."""
        name = self._name(request, Role.annotator)
        return self._sign_in_page(401) if name is None else self.answering.take(name, fields)

    def undo(self, request: Request, fields: Fields) -> Response:
        """Take back the last one."""
        name = self._name(request, Role.annotator)
        return self._sign_in_page(401) if name is None else self.answering.undo(name)

    def preview(self, request: Request, fields: Fields) -> Response:
        """What the grader reads in what was typed so far."""
        name = self._name(request, Role.annotator)
        if name is None:
            return JSONResponse({"problem": "You are signed out."}, 401)
        return self.answering.preview(name, fields)

    def state(self, request: Request, fields: Fields) -> Response:
        """Whether there is a question now."""
        name = self._name(request, Role.annotator)
        if name is None:
            return JSONResponse({"left": 0}, 401)
        with self.desk.lock:
            return JSONResponse({"left": self.desk.assignments.left(name, time.time())})

    def owner(self, request: Request, fields: Fields) -> Response:
        """How it all goes."""
        if self._name(request, Role.owner) is None:
            return self._sign_in_page(401)
        progress = desk_progress(self.desk, time.time(), needed=self.needed)
        return HTMLResponse(self.pages.owner(progress))

    def static(self, request: Request, fields: Fields) -> Response:
        """A file of the page; its name is looked up, never followed."""
        name = request.path_params["name"]
        known = any(self._name(request, role) is not None for role in Role)
        if name not in self.files or not (known or name in OPEN_FILES):
            return Response(status_code=404 if known else 401)
        content, kind = self.files[name]
        headers = {"Cache-Control": "private, max-age=3600"}
        return Response(content, media_type=kind, headers=headers)

    def routes(self) -> list[Route]:
        """All addresses, relative to the folder of the page."""
        return [
            _route("/", self.home, "GET"),
            _route("/in", self.sign_in_page, "GET"),
            _route("/in", self.sign_in, "POST"),
            _route("/out", self.sign_out, "POST"),
            _route("/answer", self.answer, "POST"),
            _route("/undo", self.undo, "POST"),
            _route("/preview", self.preview, "POST"),
            _route("/state", self.state, "GET"),
            _route("/owner", self.owner, "GET"),
            _route("/static/{name:path}", self.static, "GET"),
        ]

    def _sign_in_page(self, status: int, problem: str = "") -> Response:
        return HTMLResponse(self.pages.sign_in(problem), status)

    def _name(self, request: Request, role: Role) -> str | None:
        with self.desk.lock:
            person = self.desk.access.who(request.cookies.get(self._cookie(role)), role)
        return None if person is None else person.name

    def _cookie(self, role: Role) -> str:
        """One for each desk and role: cookies of one host's ports are not kept apart."""
        folder = hashlib.sha256(str(self.desk.top.resolve()).encode()).hexdigest()[:8]
        return f"desk-{role}-{folder}"


def application(
    site: DeskSite,
    addresses: Addresses,
    *,
    lifespan: Callable[[], AbstractAsyncContextManager[None]],
) -> Guard:
    """The site behind its guard.

    Args:
        site: what answers.
        addresses: under which it may be asked.
        lifespan: what goes on from start to end.
    """

    @asynccontextmanager
    async def living(_: Starlette) -> AsyncIterator[None]:
        async with lifespan():
            yield

    app = Starlette(routes=site.routes(), lifespan=living)
    app.router.redirect_slashes = False  # it would name a host and forget the prefix
    return Guard(app, addresses)


def _route(path: str, handler: Handler, method: str) -> Route:
    async def endpoint(request: Request) -> Response:
        try:
            fields = read_fields(await request.body()) if method == "POST" else {}
        except ValueError:
            return Response("This form has too many fields.\n", 413, media_type="text/plain")
        return await run_in_threadpool(handler, request, fields)

    return Route(path, endpoint, methods=[method])
