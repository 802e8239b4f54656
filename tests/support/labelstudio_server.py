"""A stand-in for Label Studio: tasks, imports that always make new ones, tokens, annotations.

`test_labelstudio_real` holds the same of the real one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PERSONAL = "eyJhbGciOi.eyJ0b2tlbl90.c2lnbmF0dXJl"
"""A personal token; it buys short ones."""
LEGACY = "0123456789abcdef"


@dataclass
class Studio:
    """Its tables."""

    url: str = ""
    tasks: list[dict[str, Any]] = field(default_factory=list)
    made: int = 0
    """Tasks so far."""
    imports: int = 0
    reads: int = 0
    """Pages of tasks."""
    refreshes: int = 0
    deletions: int = 0
    access: str = ""
    """The short token that is good now."""
    hang_after_import: bool = False
    """The next import is done, and never answered."""
    status: int | None = None
    """Answers everything with it."""
    closing: threading.Event = field(default_factory=threading.Event)
    _next: int = 100

    def task_of(self, key: str, nth: int = 0) -> dict[str, Any]:
        return [task for task in self.tasks if task["data"].get("key") == key][nth]

    def annotate(
        self,
        key: str,
        text: str | None,
        *,
        person: int = 1,
        nth: int = 0,
        **changes: Any,  # noqa: ANN401
    ) -> dict[str, Any]:
        """Someone submits; None = with an empty form."""
        self._next += 1
        result = [] if text is None else [area("answer", text)]
        made = f"2026-01-01T00:00:{self._next % 100:02d}.000000Z"
        annotation = {
            "id": self._next,
            "completed_by": person,
            "result": result,
            "was_cancelled": False,
            "created_at": made,
            "updated_at": made,
            "lead_time": 12.5,
            **changes,
        }
        self.task_of(key, nth)["annotations"].append(annotation)
        return annotation


def area(name: str, text: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "q", "type": "textarea", "value": {"text": [text]}}


def choice(name: str, text: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": "q", "type": "choices", "value": {"choices": [text]}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    studio: Studio

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if not self._allowed():
            return
        if url.path != "/api/tasks/" or parse_qs(url.query)["project"] != ["7"]:
            self._send(404, {"detail": "Not found."})
            return
        self.studio.reads += 1
        asked = parse_qs(url.query)
        page, size = int(asked["page"][0]), int(asked["page_size"][0])
        tasks = self.studio.tasks
        part = tasks[(page - 1) * size : page * size]
        self._send(200, {"tasks": part, "total": len(tasks), "total_annotations": 0})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/api/token/refresh/":
            self._refresh(body)
        elif self._allowed() and self.path == "/api/projects/7/import":
            self._import(body)
        elif self.path != "/api/projects/7/import":
            self._send(404, {"detail": "Not found."})

    def do_DELETE(self) -> None:
        if not self._allowed():
            return
        self.studio.deletions += 1
        left = [one for one in self.studio.tasks if self.path != f"/api/tasks/{one['id']}/"]
        found, self.studio.tasks[:] = len(left) < len(self.studio.tasks), left
        self._send(204 if found else 404, None)

    def _refresh(self, body: dict[str, str]) -> None:
        if body["refresh"] != PERSONAL:
            self._send(401, {"detail": "Token is invalid"})
            return
        self.studio.refreshes += 1
        self.studio.access = f"short-{self.studio.refreshes}"
        self._send(200, {"access": self.studio.access})

    def _import(self, rows: list[dict[str, Any]]) -> None:
        self.studio.imports += 1
        for row in rows:
            self.studio.made += 1
            number = self.studio.made
            made = {"id": number, "data": row["data"], "annotations": [], "drafts": []}
            self.studio.tasks.append(made)
        if self.studio.hang_after_import:
            self.studio.hang_after_import = False
            self.studio.closing.wait()
            self.close_connection = True
            return
        self._send(201, {"task_count": len(rows), "annotation_count": 0})

    def _allowed(self) -> bool:
        if self.studio.status is not None:
            self._send(self.studio.status, {"detail": f"token {LEGACY} {PERSONAL}"})
            return False
        good = {f"Token {LEGACY}", f"Bearer {self.studio.access}"}
        if self.headers.get("Authorization") in good:
            return True
        self._send(401, {"detail": "Invalid token."})
        return False

    def _send(self, status: int, body: object) -> None:
        data = b"" if status == 204 else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep the terminal clean."""


@contextmanager
def label_studio() -> Iterator[Studio]:
    """A stand-in on a free port, with project 7."""
    studio = Studio()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"studio": studio}))
    server.daemon_threads = True
    studio.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield studio
    finally:
        studio.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
