"""A desk over made-up runs: in this process for requests, or in one of its own for browsers.

`python -m tests.support.desk DIR [PORT]` serves the runs in DIR with a grader that reads anything
but "nonsense".
"""

from __future__ import annotations

import re
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from rlavr_hpc.config.label_desk import DeskConfig
from rlavr_hpc.config.labels import Ask, LabelsConfig
from rlavr_hpc.labels.desk.access import Person, Role
from rlavr_hpc.labels.desk.desk import Desk
from rlavr_hpc.labels.desk.guard import Addresses, Guard
from rlavr_hpc.labels.desk.reading import Reading
from rlavr_hpc.labels.desk.serve import serve_desk
from rlavr_hpc.labels.desk.site import DeskSite, application
from rlavr_hpc.labels.line_files import start_name
from rlavr_hpc.labels.mailbox import AnswersIn, OrdersOut
from rlavr_hpc.labels.orders import Answer, Order, SourceIdentity, order_key
from rlavr_hpc.labels.served_run import ServedRun
from rlavr_hpc.labels.sources.people import PeopleSource
from rlavr_hpc.types import Message

PEOPLE = SourceIdentity(name="people", version="1")
ADDRESS = "http://127.0.0.1:8123"
KEY = re.compile(r'name="key" value="(\w+)"')


def question(
    text: str,
    *,
    copy: int = 0,
    ask: Ask = Ask.answer,
    vote: str | None = None,
    clusters: tuple[str, ...] | None = None,
    task: str = "math",
) -> Order:
    """An order of a question; `copy` tells those of one question apart."""
    messages = (Message(role="user", content=text),)
    shown = {"vote": vote, "clusters": list(clusters or ())} if vote or clusters else None
    key = order_key(messages, task=task, ask=ask, source=PEOPLE, shown=shown, copy=copy)
    return Order(
        key=key,
        prompt_id=f"p-{text[:12]}",
        messages=messages,
        ask=ask,
        task=task,
        price=0.5,
        vote=vote,
        clusters=clusters,
    )


def place(run_dir: Path, orders: Iterable[Order], attempt: int = 1) -> OrdersOut:
    """Put orders into a run's mailbox."""
    run_dir.mkdir(exist_ok=True)
    out = OrdersOut(run_dir, attempt)
    out.place(orders)
    return out


def read(run: ServedRun, order: Order, text: str) -> Reading:
    """A grader that reads anything but nonsense."""
    if "nonsense" in text:
        return Reading(problem="The grader finds no answer in this.")
    return Reading(shown=text, key=text.replace(" ", ""), math=True)


def answers(run_dir: Path) -> Mapping[str, Answer]:
    """What is in a run's mailbox."""
    found = AnswersIn(run_dir)
    found.look()
    return found.first


def served(run_dir: Path, start: str, **settings: Any) -> ServedRun:  # noqa: ANN401
    """A run with labels from people."""
    return ServedRun(
        run_dir=run_dir,
        config=LabelsConfig(name="people", **settings),
        source=PeopleSource(),
        say=print,
        start=start,
    )


@dataclass
class TriedDesk:
    """A desk in this process, and browsers that talk to it."""

    top: Path
    config: DeskConfig = field(default_factory=DeskConfig)
    addresses: Addresses = field(default_factory=Addresses)
    runs: Sequence[str] = ("run",)
    desk: Desk = field(init=False)
    app: Guard = field(init=False)

    def __post_init__(self) -> None:
        """Start it."""
        self.start()

    def start(self) -> None:
        """Start it, again after a kill: nothing but what is on disk is known."""
        start = start_name()
        self.desk = Desk(
            top=self.top,
            find=lambda: [served(self.top / name, start) for name in self.runs],
            preview=read,
            say=print,
            config=self.config,
            start=start,
        )

        @asynccontextmanager
        async def living() -> AsyncIterator[None]:
            yield

        self.app = application(DeskSite(desk=self.desk), self.addresses, lifespan=living)
        self.desk.look()

    def stranger(self, address: str = ADDRESS) -> TestClient:
        """A browser that is signed in nowhere."""
        return TestClient(
            self.app,
            base_url=address,
            follow_redirects=False,
            headers={"Origin": address},
            raise_server_exceptions=True,
        )

    def browser(self, name: str, role: Role = Role.annotator) -> TestClient:
        """A browser that somebody has signed in with."""
        client = self.stranger()
        token = self.desk.access.make_link(Person(name=name, role=role))
        assert client.post("/in", data={"token": token}).status_code == 303
        return client

    def pass_time(self, seconds: float) -> None:
        """As if every claim and every held answer were so much older."""
        at_desk = self.desk.assignments
        for claim in at_desk.claims.values():
            claim.renewed -= seconds
        for who, held in list(at_desk.held.items()):
            at_desk.held[who] = type(held)(answer=held.answer, at=held.at - seconds)

    def final(self, name: str = "run") -> dict[str, str | None]:
        """Key -> answer in a run's mailbox."""
        return {key: one.answer for key, one in answers(self.top / name).items()}


def key_on(client: TestClient) -> str:
    """The key of the question that a browser is shown; "" = none."""
    found = KEY.search(client.get("/").text)
    return found[1] if found else ""


def main(arguments: Sequence[str]) -> None:
    """Serve until a signal; the run folders are those that have a mailbox."""
    top, start = Path(arguments[0]), start_name()
    port = int(arguments[1]) if len(arguments) > 1 else 0
    names = sorted(path.parent.name for path in top.glob("*/labels"))
    desk = Desk(
        top=top,
        find=lambda: [served(top / name, start) for name in names],
        preview=read,
        say=lambda line: print(line, flush=True),
        config=DeskConfig(port=port),
        start=start,
    )
    serve_desk(desk)


if __name__ == "__main__":
    main(sys.argv[1:])
