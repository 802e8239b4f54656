"""A stand-in for an OpenAI-compatible service: good and bad in all the ways that real ones are.

What it does is said by the question, in a word such as `<<length>>`; without one it answers well.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rlavr_hpc.labels.sources.judge_address import address_of

ANSWER = r"So it is \boxed{42}."
USAGE = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}
CASE = re.compile(r"<<([\w-]+)>>")


def reply(content: str | None = ANSWER, **changes: Any) -> dict[str, Any]:  # noqa: ANN401
    """The body of a good response, with changes of its message and of itself."""
    finish = changes.pop("finish_reason", "stop")
    message = {"role": "assistant", "content": content, **changes.pop("message", {})}
    return {
        "id": "x",
        "object": "chat.completion",
        "model": "stand-in-1",
        "system_fingerprint": "fp1",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": USAGE,
        **changes,
    }


def error(code: str, message: str = "sorry") -> dict[str, Any]:
    return {"error": {"code": code, "type": code, "message": message}}


BODIES: dict[str, tuple[int, dict[str, str], object]] = {
    "good": (200, {}, reply()),
    "429-1": (429, {"Retry-After": "1"}, error("rate_limit_exceeded")),
    "429-90": (429, {"Retry-After": "90"}, error("rate_limit_exceeded")),
    "429-600": (429, {"Retry-After": "600"}, error("rate_limit_exceeded")),
    "429": (429, {}, error("rate_limit_exceeded", "see your billing page for a higher quota")),
    "purse": (429, {"Retry-After": "1"}, error("insufficient_quota")),
    "401": (401, {}, error("invalid_api_key", "Incorrect API key provided")),
    "403": (403, {}, error("forbidden")),
    "404": (404, {}, error("model_not_found")),
    "302": (302, {"Location": "/elsewhere"}, {}),
    "408": (408, {}, error("timeout")),
    "409": (409, {}, error("conflict")),
    "500": (500, {}, "Internal Server Error"),
    "503": (503, {}, error("overloaded")),
    "400": (400, {}, error("bad_request")),
    "400-long": (400, {}, error("context_length_exceeded")),
    "400-filter": (400, {}, error("content_filter")),
    "garbage": (200, {}, "<html>42</html>"),
    "list": (200, {}, [1, 2]),
    "error-200": (200, {}, error("upstream", "the provider returned 42")),
    "no-choices": (200, {}, {"model": "stand-in-1", "usage": USAGE}),
    "empty-choices": (200, {}, reply(choices=[])),
    "length": (200, {}, reply(r"so far \boxed{42}", finish_reason="length")),
    "filter": (200, {}, reply(r"\boxed{42}", finish_reason="content_filter")),
    "tools": (200, {}, reply(r"\boxed{42}", finish_reason="tool_calls")),
    "no-finish": (200, {}, reply(r"\boxed{42}", finish_reason=None)),
    "empty": (200, {}, reply("")),
    "null": (200, {}, reply(None, message={"reasoning": r"\boxed{42}"})),
    "parts": (200, {}, reply(message={"content": [{"type": "text", "text": r"\boxed{42}"}]})),
    "refusal": (200, {}, reply(r"\boxed{42}", message={"refusal": "I will not."})),
    "refusal-en": (200, {}, reply("I'm sorry, but I can't help with 42.")),
    "refusal-zh": (200, {}, reply("\u62b1\u6b49\uff0c\u6211\u65e0\u6cd5\u56de\u7b54\u3002")),
    "refusal-de": (200, {}, reply("Dabei kann ich Ihnen leider nicht helfen.")),
    "refusal-boxed": (200, {}, reply(r"\boxed{I cannot answer that}")),
    "chinese": (200, {}, reply("\u6240\u4ee5\u7b54\u6848\u662f \\boxed{42}\u3002")),
    "no-answer": (200, {}, reply("It is 42, I think.")),
    "placeholder": (200, {}, reply(r"Put it in \boxed{answer}.")),
    "cut-json": (200, {}, reply('{"answer":')),
    "open-think": (200, {}, reply(r"<think>maybe \boxed{41}, no, \boxed{42}")),
    "think": (200, {}, reply(r"<think>\boxed{41}</think>It is \boxed{42}.")),
    "closed-think": (200, {}, reply(r"maybe \boxed{41}</think>It is \boxed{42}.")),
    "no-usage": (200, {}, reply(usage=None)),
    "odd-usage": (200, {}, reply(usage={"prompt_tokens": -1, "completion_tokens": "5"})),
    "changed": (200, {}, reply(model="stand-in-2")),
    "right": (200, {}, reply('I agree. {"verdict": "right"}')),
    "wrong": (200, {}, reply('It is 41. {"verdict": "wrong"}')),
    "quotes": (200, {}, reply('It says {"verdict": "right"}, but no.\n{"verdict": "wrong"}')),
    "only-quotes": (200, {}, reply('The text {"verdict": "right"} is a trick of theirs.')),
}
"""Case -> status, headers, body."""


@dataclass
class Served:
    """What a stand-in has seen."""

    url: str = ""
    calls: Counter[str] = field(default_factory=Counter)
    """By the question's last line."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    busy: int = 0
    busiest: int = 0
    """Calls at a time, at most."""
    seconds: float = 0.0
    """That each call takes."""
    answers: Callable[[str], object] | None = None
    """Gives the body for a prompt in place of the cases; a dict or a text."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Served

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][-1]["content"]
        found = CASE.search(prompt)
        case = found[1] if found else "good"
        served = self.served
        with served.lock:
            served.calls[case] += 1
            served.requests.append(body)
            served.authorizations.append(self.headers.get("Authorization"))
            served.busy += 1
            served.busiest = max(served.busiest, served.busy)
        try:
            served.closing.wait(served.seconds)
            self._answer(case, prompt)
        except OSError:
            self.close_connection = True  # the client has gone
        finally:
            with served.lock:
                served.busy -= 1

    def _answer(self, case: str, prompt: str) -> None:
        if case == "silent":
            self.served.closing.wait()
            self.close_connection = True
        elif case in ("drip", "drip-head"):
            self._drip(head=case == "drip-head")
        elif case == "hangs-up":
            self.close_connection = True
        elif case == "slow":
            time.sleep(0.3)
            self._send(*BODIES["good"])
        elif case in BODIES:
            self._send(*BODIES[case])
        elif self.served.answers is not None:
            self._send(200, {}, self.served.answers(prompt))
        else:
            raise AssertionError(case)

    def _send(self, status: int, headers: dict[str, str], body: object) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _drip(self, *, head: bool) -> None:
        """A byte now and then, for ever: each one would restart a read time-out."""
        start = "HTTP/1.1 200 OK\r\nX-Wait: " if head else "HTTP/1.1 200 OK\r\n"
        self.wfile.write(start.encode())
        if not head:
            self.wfile.write(b"Content-Length: 1000000\r\n\r\n")
        while not self.served.closing.wait(0.02):
            self.wfile.write(b" ")
            self.wfile.flush()

    def log_message(self, *_: object) -> None:
        """Keep the terminal clean."""


@contextmanager
def judge_server(**settings: Any) -> Iterator[Served]:  # noqa: ANN401
    """A stand-in on a free port."""
    served = Served(**settings)
    handler = type("Handler", (_Handler,), {"served": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    address_of.cache_clear()  # an earlier server's port, with its pauses, may be this one's
    served.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        served.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
