"""Folders of parked runs with orders that nobody answers, and services that have no answer."""

from __future__ import annotations

import json
import shlex
import sys
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore

from rlavr_hpc.acquisition.ledger import Ledger
from rlavr_hpc.acquisition.order_lines import ordered_line
from rlavr_hpc.config.labels import Ask
from rlavr_hpc.config.run import RunConfig, resolve
from rlavr_hpc.config.shipped import CONF
from rlavr_hpc.errors import ExitCode
from rlavr_hpc.labels.identity import source_identity
from rlavr_hpc.labels.mailbox import OrdersOut
from rlavr_hpc.labels.orders import Order, order_key
from rlavr_hpc.runs.attempts import publish_attempt
from rlavr_hpc.runs.folder import open_run_folder
from rlavr_hpc.runs.heartbeat import Heartbeat
from rlavr_hpc.types import Message, StepKey

LATER = shlex.join([sys.executable, "-S", "-c", "import sys; sys.stdin.read()"])
"""A program that answers nothing yet."""
SOURCES: dict[str, tuple[str, ...]] = {
    "command": (f"labels.command={LATER!r}", "labels.inline=false"),
    "judge": ("labels.base_url={url}/v1", "labels.model=limited", "labels.price=1"),
    "labelstudio": (
        "labels.base_url={url}",
        "labels.project={runs}",
        "labels.key_variable=null",
    ),
    "people": (),
}
"""Source -> its settings."""


def make_runs(folder: Path, source: str, runs: int, *, orders: int, url: str) -> None:
    """Parked runs in a folder, each with so many pending orders of its own."""
    settings = [setting.format(url=url, runs=runs) for setting in SOURCES[source]]
    config = _composed(f"labels={source}", "acquisition=random", "budget=0.2", *settings)
    folder.mkdir(parents=True)
    for number in range(runs):
        _make_run(folder / f"run-{number:03d}", config, number, orders)


def _composed(*overrides: str) -> RunConfig:
    ConfigStore.instance().store(name="schema", node=RunConfig)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return resolve(compose("config", list(overrides)))


def _make_run(run_dir: Path, config: RunConfig, number: int, orders: int) -> None:
    open_run_folder(run_dir, config)
    attempt = publish_attempt(run_dir, resumed_from=0, after=0)
    assert attempt is not None
    ledger = Ledger(run_dir, attempt.number, fence=lambda: None)
    placed = [_order(config, f"{number}-{n}") for n in range(orders)]
    step_key = StepKey(seed=1, step=1)
    ledger.decide(step_key, [order.prompt_id for order in placed], quota=orders)
    ledger.record(step_key, [ordered_line(order, (0, 1)) for order in placed])
    OrdersOut(run_dir, attempt.number).place(placed)
    heartbeat = Heartbeat(run_dir, attempt.number, config.steps)
    heartbeat.wait(step=0, pending=orders, source=config.labels.name)
    heartbeat.beat("parked", step=0, exit_code=ExitCode.WAITING_FOR_LABELS)


def _order(config: RunConfig, name: str) -> Order:
    messages = (Message(role="user", content=f"What is the answer to question {name}?"),)
    identity = source_identity(config.labels)
    key = order_key(messages, task="math", ask=Ask.answer, source=identity)
    return Order(
        key=key, prompt_id=f"p{name}", messages=messages, ask=Ask.answer, task="math", price=1.0
    )


class _Quiet(BaseHTTPRequestHandler):
    """A Label Studio in which nobody works, and a judge that is at its limit."""

    protocol_version = "HTTP/1.1"
    projects: defaultdict[str, list[dict[str, Any]]]
    """The tasks of each."""

    def do_GET(self) -> None:
        """A page of a project's tasks."""
        asked = parse_qs(urlsplit(self.path).query)
        tasks, size = self.projects[asked["project"][0]], int(asked["page_size"][0])
        first = size * (int(asked["page"][0]) - 1)
        self._send(200, {"tasks": tasks[first : first + size], "total": len(tasks)})

    def do_POST(self) -> None:
        """Take tasks, or refuse to judge for ten minutes."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if isinstance(body, dict):
            self._send(429, {"error": {"code": "rate_limit_exceeded"}})
            return
        tasks = self.projects[self.path.split("/")[-2]]
        for row in body:
            tasks.append({"id": len(tasks) + 1, "annotations": [], "drafts": [], **row})
        self._send(201, {"task_count": len(body)})

    def _send(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Retry-After", "600")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep the terminal clean."""


@contextmanager
def quiet_services() -> Iterator[str]:
    """The services, on a free port of this host."""
    handler = type("Handler", (_Quiet,), {"projects": defaultdict(list)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
