"""A real Label Studio, in an environment of its own, with SQLite and without a network.

It is installed once, below this project's cache folder; the first time takes minutes.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from filelock import FileLock

from rlavr_hpc.testbed.model_cache import cache_root

VERSION = "1.23.0"
DATABASE = "label_studio.sqlite3"
DISK_GIB = 3
START_SECONDS = 300.0
PASSWORD = "only-on-this-host-8123"
OWNER = "owner@example.org"
INTERFACE = """
<View>
  <Text name="question" value="$question"/>
  <TextArea name="answer" toName="question" maxSubmissions="1" rows="1"/>
  <Choices name="cannot" toName="question" choice="single">
    <Choice value="cannot answer"/>
  </Choices>
</View>
"""
"""As docs/labels-labelstudio.md says."""
SETTINGS = {
    "COLLECT_ANALYTICS": "false",
    "LATEST_VERSION_CHECK": "false",
    "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "HTTP_PROXY": "http://127.0.0.1:9",  # nobody listens there: what wants out stays in
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
}


def installed() -> tuple[Path, Path]:
    """Its environment, and an empty database; skips, with the reason, where it cannot be had."""
    python = shutil.which("python3.11")
    if python is None:
        pytest.skip("no python3.11, which Label Studio 1.23 needs")
    folder = cache_root(os.environ) / "label-studio"
    venv, done, tables = (folder / f"{VERSION}{end}" for end in ("", ".installed", ".sqlite3"))
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{VERSION}.lock"):
        if not done.exists():
            if shutil.disk_usage(folder).free < DISK_GIB * 2**30:
                pytest.skip(f"Label Studio takes {DISK_GIB} GiB of disk")
            subprocess.run([python, "-m", "venv", "--clear", venv], check=True)
            pip = [str(venv / "bin/python"), "-m", "pip", "install", "--quiet"]
            subprocess.run([*pip, "--upgrade", "pip"], capture_output=True, check=False)
            wanted = f"label-studio=={VERSION}"
            got = subprocess.run([*pip, wanted], capture_output=True, text=True, check=False)
            if got.returncode:
                pytest.skip(f"Label Studio cannot be installed: {got.stderr[-400:]}")
            done.touch()
        if not tables.exists():  # making them takes longer than all tests
            with TemporaryDirectory(dir=folder) as made:
                command = [*_program(venv), "version", "--data-dir", made]
                subprocess.run(command, env=_environment(made), check=True, capture_output=True)
                Path(made, DATABASE).rename(tables)
    return venv, tables


def _program(venv: Path) -> list[str]:
    return [str(venv / "bin/python"), "-m", "label_studio.server"]


def _environment(home: Path | str) -> dict[str, str]:
    return {**os.environ, **SETTINGS, "PYTHONPATH": "", "HOME": str(home)}


@dataclass
class Person:
    """Somebody who has signed in, as a browser does."""

    client: httpx.Client

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401
        """A request of the page's own."""
        token = self.client.cookies.get("csrftoken") or ""
        reply = self.client.request(
            method, path, json=body, headers={"X-CSRFToken": token, "Referer": path}
        )
        assert reply.is_success, f"{method} {path}: {reply.status_code} {reply.text[:300]}"
        return reply.json() if reply.content else None

    def answer(self, task: int, text: str | None, **changes: Any) -> int:  # noqa: ANN401
        """Submit; None = skip. The annotation's number."""
        body = {
            "result": [] if text is None else written(text),
            "was_cancelled": text is None,
            "lead_time": 2.5,
            **changes,
        }
        return int(self.call("POST", f"/api/tasks/{task}/annotations/", body)["id"])


def written(text: str) -> list[dict[str, Any]]:
    """What the page sends for a typed answer."""
    value = {"text": [text]}
    return [
        {
            "id": "r1",
            "from_name": "answer",
            "to_name": "question",
            "type": "textarea",
            "value": value,
        }
    ]


@dataclass
class RealStudio:
    """The server, its owner, and a project as the docs page says."""

    url: str
    owner: Person = field(init=False)
    token: str = field(init=False)
    """A personal token of the owner."""
    number: int = 0
    """Of the project."""

    def __post_init__(self) -> None:
        self.owner = self.sign_in("login", OWNER)
        self.token = self.owner.call("POST", "/api/token/")["token"]

    def new_project(self) -> None:
        body = {"title": "questions", "label_config": INTERFACE}
        self.number = self.owner.call("POST", "/api/projects/", body)["id"]

    def sign_in(self, how: str, email: str) -> Person:
        """`login` or `signup`."""
        client = httpx.Client(base_url=self.url, timeout=60.0, trust_env=False)
        page = f"/user/{how}/"
        client.get(page)
        form = {"email": email, "password": PASSWORD, "allow_newsletters": "false"}
        form["csrfmiddlewaretoken"] = client.cookies["csrftoken"]
        reply = client.post(page, data=form, headers={"Referer": self.url + page})
        assert reply.status_code == 302, reply.text[:300]
        return Person(client)

    def tasks(self) -> list[dict[str, Any]]:
        """All of the project's, as they are there."""
        path = f"/api/tasks/?project={self.number}&fields=all&page_size=100"
        return list(self.owner.call("GET", path)["tasks"])

    def task_of(self, key: str) -> int:
        (found,) = [task["id"] for task in self.tasks() if task["data"]["key"] == key]
        return int(found)


@contextmanager
def real_label_studio(folder: Path) -> Iterator[RealStudio]:
    """One on a free port, with its data in a folder."""
    venv, tables = installed()
    shutil.copyfile(tables, folder / DATABASE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*_program(venv), "start", "--no-browser", "--port", str(port)]
    command += ["--data-dir", str(folder), "--username", OWNER, "--password", PASSWORD]
    command += ["--internal-host", "127.0.0.1", "--log-level", "WARNING"]
    log = folder / "server.log"
    with log.open("w") as out:
        server = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(server, url, log)
        yield RealStudio(url)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()[-2000:]
        with suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", timeout=5.0, trust_env=False).status_code == 200:
                return
        time.sleep(1.0)
    raise AssertionError(f"no Label Studio after {START_SECONDS:g} s: {log.read_text()[-2000:]}")


@dataclass
class LosingProxy:
    """Stands between; keeps the next reply to an import to itself."""

    upstream: str
    url: str = ""
    lose: bool = False
    _listener: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        host, _, port = self.upstream.rpartition("/")[2].partition(":")
        with near, socket.create_connection((host, int(port))) as far, suppress(OSError):
            request = near.recv(1 << 16)
            lost = self.lose and b"/import" in request.split(b"\r\n", 1)[0]
            self.lose = self.lose and not lost
            far.sendall(request)
            threading.Thread(target=self._pump, args=(near, far), daemon=True).start()
            while data := far.recv(1 << 16):
                if not lost:
                    near.sendall(data)

    @staticmethod
    def _pump(near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(1 << 16):
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)
