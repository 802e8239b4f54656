"""Label Studio's HTTP interface, as far as it is used: list, add and delete a project's tasks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rlavr_hpc.labels.http_call import CallError, Fetched, Request, fetch
from rlavr_hpc.labels.secret import hide, read_key
from rlavr_hpc.labels.source import SourceError, SourceStoppedError

PAGE = 100
MAX_PAGES = 1000
ACCESS_SECONDS = 200.0
"""A bought token is used so long; Label Studio lets it live for five minutes."""


class UnknownEndError(SourceError):
    """A call that may have been worked on."""


@dataclass(kw_only=True)
class Project:
    """One project of one Label Studio."""

    url: str
    number: int
    key_variable: str | None
    seconds: float
    """Of one call."""
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    _access: str = field(init=False, repr=False, default="")
    _until: float = field(init=False, repr=False, default=0.0)

    def tasks(self) -> list[object]:
        """All tasks with their annotations.

        Raises:
            SourceError: they could not be read.
        """
        rows: list[object] = []
        for page in range(1, MAX_PAGES + 1):
            path = f"/api/tasks/?project={self.number}&page={page}&page_size={PAGE}&fields=all"
            body = self._call("GET", f"{path}&resolve_uri=false")
            found, total = body.get("tasks"), body.get("total")
            if not isinstance(found, list) or type(total) is not int:
                raise SourceError(f"labels.base_url={self.url}: no list of tasks came back")
            rows += found
            if not found or len(rows) >= total:
                return rows
        raise SourceError(f"labels.project={self.number} has too many tasks")

    def add(self, data: Sequence[Mapping[str, Any]]) -> None:
        """Make tasks, each time anew.

        Raises:
            UnknownEndError: they may have been made.
            SourceError: they were not.
        """
        tasks = [{"data": one} for one in data]
        body = self._call("POST", f"/api/projects/{self.number}/import", tasks)
        if body.get("task_count") != len(tasks):
            raise UnknownEndError(f"labels.base_url={self.url}: not all tasks were made")

    def delete(self, task: int) -> None:
        """Delete a task; one that is gone already is as good.

        Raises:
            SourceError: it may still be there.
        """
        self._call("DELETE", f"/api/tasks/{task}/")

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        fetched = self._send(method, path, body)
        if fetched.status == 401 and self._access:
            self._access = ""
            fetched = self._send(method, path, body)
        return self._read(fetched, method)

    def _send(self, method: str, path: str, body: object) -> Fetched:
        headers = self._authorization()
        return self._fetch(
            Request(method=method, url=f"{self.url}{path}", headers=headers, body=body)
        )

    def _fetch(self, request: Request) -> Fetched:
        try:
            return fetch(request, seconds=self.seconds)
        except CallError as error:
            kind = UnknownEndError if error.reached else SourceError
            raise kind(f"labels.base_url={self.url}: {error}") from None

    def _authorization(self) -> dict[str, str]:
        """A personal token buys a short one; an old token is sent as it is."""
        key = read_key(self.key_variable)
        if not key:
            return {}
        if key.count(".") != 2:
            return {"Authorization": f"Token {key}"}
        if not self._access or self.clock() >= self._until:
            url = f"{self.url}/api/token/refresh/"
            bought = self._fetch(Request(method="POST", url=url, headers={}, body={"refresh": key}))
            self._access = str(self._read(bought, "GET").get("access") or "")
            self._until = self.clock() + ACCESS_SECONDS
        return {"Authorization": f"Bearer {self._access}"}

    def _read(self, fetched: Fetched, method: str) -> dict[str, Any]:
        status = fetched.status
        where = f"labels.base_url={self.url}: status {status}"
        if status in (401, 403):
            raise SourceStoppedError(f"{where}: the token in {self.key_variable} is refused")
        if method == "DELETE" and status in (204, 404):
            return {}
        if status == 404 or 300 <= status < 400:
            raise SourceStoppedError(f"{where}: labels.project={self.number} is not there")
        unknown = method == "POST" and (status >= 500 or status in (200, 201))
        try:
            body = json.loads(fetched.body) if status in (200, 201) else None
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            words = hide(self._words(fetched), read_key(self.key_variable), self._access)
            raise (UnknownEndError if unknown else SourceError)(f"{where}{words}")
        return body

    @staticmethod
    def _words(fetched: Fetched) -> str:
        text = fetched.body[:1000].decode(errors="replace")
        flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return f": {flat[:160]}" if flat and not flat.startswith("<") else ""
