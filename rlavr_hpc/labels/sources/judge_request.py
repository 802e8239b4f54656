"""What a judge is asked: the order in a Jinja template, a vote with all its marks escaped."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from rlavr_hpc.config.labels import Ask, JudgeMode
from rlavr_hpc.labels.orders import Order
from rlavr_hpc.labels.source import SourceStoppedError

OVERHEAD_TOKENS = 1024
"""Of a chat template, and of what it adds by itself."""
MAX_VOTE = 2000
"""Characters of a vote that is shown."""
MARKS = str.maketrans({sign: f"\\u{ord(sign):04x}" for sign in "<>[]`|#&"})
LEADERS = re.compile(
    r"(?:the |final |my )*(?:answer|solution|result|thought process|explanation|reasoning|output"
    r"|let'?s (?:think|solve)[^.]*|\u89e3|\u7b54\u6848|\u304b\u3044\u3068\u3046|respuesta"
    r"|soluci\u00f3n|r\u00e9ponse|l\u00f6sung|antwort)\W*",
    re.IGNORECASE,
)
"""Words that open an answer, alone: judges that compare are known to pass them."""
ORDERS_ABOUT = re.compile(
    r"verdict|(?:ignore|disregard|forget)\b.{0,40}\b(?:above|previous|prior|instruction|prompt)"
    r"|<\|[^|]{0,40}\|>|\[/?INST\]|\byou are (?:a|the) (?:judge|grader)",
    re.IGNORECASE | re.DOTALL,
)
"""Text that speaks to the judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Makes requests from orders."""

    mode: JudgeMode
    template: str | None
    """Path of a Jinja file; None = the program's own for the mode."""
    model: str
    temperature: float
    max_tokens: int
    length_field: str
    body: dict[str, Any] = field(default_factory=dict)
    """More fields of every request."""

    def request(self, order: Order, *, reverse: bool = False) -> dict[str, Any]:
        """The body of a call.

        Args:
            order: what is asked.
            reverse: show competing answers in the other order.

        Raises:
            SourceStoppedError: the template cannot be rendered.
        """
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": self.text(order, reverse=reverse)}],
            "temperature": self.temperature,
            self.length_field: self.max_tokens,
            "stream": False,
            **self.body,
        }

    def text(self, order: Order, *, reverse: bool = False) -> str:
        """What the judge reads."""
        values: dict[str, Any] = {
            "messages": [{"role": m.role, "content": m.content} for m in order.messages],
            "question": order.question,
            "task": order.task,
        }
        verifies = self.verifies(order)
        if verifies:
            clusters = others(order)
            values["vote"] = escaped(order.vote or "")
            values["others"] = [escaped(c) for c in (clusters[::-1] if reverse else clusters)]
        mode = JudgeMode.verify if verifies else JudgeMode.solve
        try:
            found = load_template(mode, self.template if mode is self.mode else None)
            return found.render(values).strip()
        except (jinja2.TemplateError, ArithmeticError, TypeError, ValueError) as error:
            raise SourceStoppedError(
                f"labels.template={self.template}: it cannot be rendered: {error}"
            ) from None

    def verifies(self, order: Order) -> bool:
        """Whether the order is judged; a judge that verifies solves what has no vote."""
        return self.mode is JudgeMode.verify and order.ask is Ask.verdict and order.vote is not None

    def most_tokens(self, order: Order) -> int:
        """Tokens of a request, at most: a token is a byte at least."""
        return len(self.text(order).encode("utf-8", "replace")) + OVERHEAD_TOKENS


def others(order: Order) -> list[str]:
    """The answers that are shown beside the vote."""
    return [text for text in order.clusters or () if text != order.vote]


@cache
def load_template(mode: JudgeMode, path: str | None) -> jinja2.Template:
    """The template of the requests, which may run no code.

    Raises:
        SourceStoppedError: there is none, or it cannot be read.
    """
    file = Path(path) if path is not None else Path(__file__).parent / f"judge_{mode}.txt.j2"
    environment = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # the request is no HTML; votes are escaped
        trim_blocks=True,
        lstrip_blocks=True,
    )
    try:
        return environment.from_string(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, jinja2.TemplateError) as error:
        raise SourceStoppedError(f"labels.template={path}: it cannot be read: {error}") from None


def escaped(text: str) -> str:
    r"""A stranger's text as a JSON string on one line.

    Marks of chats, reasoning, HTML and Markdown stand as `\u003c` and so on, as do line breaks and
    all that does not print. Braces stay, for LaTeX; quotes get a backslash, so that the text holds
    no JSON object.
    """
    quoted = json.dumps(text, ensure_ascii=False).translate(MARKS)
    return "".join(c if c.isprintable() else _code(c) for c in quoted)


def _code(sign: str) -> str:
    return json.dumps(sign)[1:-1]


def not_to_be_judged(vote: str) -> str:
    """Why a vote gets no verdict, however a judge would decide; "" where it may be shown."""
    if not any(sign.isalnum() for sign in vote):
        return "the vote has neither a letter nor a digit"
    if len(vote) > MAX_VOTE:
        return f"the vote has {len(vote)} characters"
    if LEADERS.fullmatch(vote.strip("#*_:. \n")):
        return "the vote only announces an answer"
    return "the vote speaks to the judge" if ORDERS_ABOUT.search(vote) else ""
