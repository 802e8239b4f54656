"""The desk is killed again and again while two people answer; and a socket instead of a port."""

from __future__ import annotations

import random
import signal
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.desk import KEY, answers, place, question
from tests.support.desk_process import RunningDesk, start_desk

QUESTIONS = 12
KILLS = 5
SECONDS = 240


@dataclass
class Person:
    """Answers everything, whatever the desk does meanwhile."""

    name: str
    client: httpx.Client
    shown: list[str] = field(default_factory=list)
    acknowledged: dict[str, str] = field(default_factory=dict)
    """Key -> answer that the desk said it has."""
    idle: bool = False
    """The desk has no question for this one."""

    def answer_all(self, ended: threading.Event) -> None:
        """Until the test ends."""
        while not ended.is_set():
            try:
                key = self._look()
                self.idle = not key
                if key:
                    said = f"{self.name}-{len(self.shown)}"
                    sent = self.client.post("answer", data={"key": key, "answer": said})
                    if sent.headers.get("location") == "./":
                        self.acknowledged[key] = said
                else:
                    time.sleep(0.1)
            except httpx.TransportError:
                time.sleep(0.1)

    def _look(self) -> str:
        found = KEY.search(self.client.get("").text)
        key = found[1] if found else ""
        if key and (not self.shown or self.shown[-1] != key):
            self.shown.append(key)
        return key


def sign_in(desk: RunningDesk, name: str) -> Person:
    address = desk.address
    headers = {"Origin": address.rstrip("/")}
    client = httpx.Client(base_url=address, headers=headers, timeout=30, trust_env=False)
    token = desk.link(name).partition("#")[2]
    assert client.post("in", data={"token": token}).status_code == 303
    return Person(name=name, client=client)


def work(desk: RunningDesk, people: Sequence[Person]) -> RunningDesk:
    """Let them answer while the desk dies; the last desk."""
    ended = threading.Event()
    threads = [threading.Thread(target=one.answer_all, args=(ended,)) for one in people]
    for thread in threads:
        thread.start()
    chance = random.Random(23)
    for _ in range(KILLS):  # an answer may be kept and its acknowledgement lost
        time.sleep(chance.uniform(0.05, 0.4))
        desk.end(signal.SIGKILL)
        desk = start_desk(desk.top)
    give_up = time.monotonic() + SECONDS
    while not all(one.idle for one in people) and time.monotonic() < give_up:
        time.sleep(0.1)
    ended.set()
    for thread in threads:
        thread.join()
    return desk


def test_no_acknowledged_answer_is_lost_and_nobody_is_asked_twice(tmp_path: Path) -> None:
    twins = [question(f"What is {n}?", copy=copy) for n in range(4) for copy in range(2)]
    orders = [*twins, *(question(f"What is {n}?") for n in range(4, 8))]
    place(tmp_path / "run", orders)
    desk = start_desk(tmp_path)
    people = [sign_in(desk, "ada"), sign_in(desk, "bob")]
    desk = work(desk, people)
    desk.end()
    given = answers(tmp_path / "run")
    said = {key: text for one in people for key, text in one.acknowledged.items()}
    assert set(given) == {order.key for order in orders}
    assert {key: given[key].answer for key in said} == said
    assert len(said) >= QUESTIONS - KILLS
    lines = "".join(p.read_text() for p in (tmp_path / "run/labels/answers").iterdir())
    assert lines.count("\n") == QUESTIONS
    contents = {order.key: order.content for order in orders}
    for one in people:
        asked = [contents[key] for key in dict.fromkeys(one.shown)]
        assert len(asked) == len(set(asked))
        one.client.close()


def test_a_form_of_ten_megabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    place(tmp_path / "run", [question("What is 3 + 4?")])
    desk = start_desk(tmp_path)
    host, port = desk.address.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(
            f"POST /in HTTP/1.1\r\nHost: {host}:{port}\r\nOrigin: http://{host}:{port}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            "Content-Length: 10000000\r\n\r\ntoken=".encode()
        )
        assert raw.recv(100).startswith(b"HTTP/1.1 413 ")
    desk.end()
