"""The pages, as HTML; every text is escaped, and unseen characters in it are named."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from rlavr_hpc.config.labels import Ask
from rlavr_hpc.labels.desk.assignments import HeldAnswer
from rlavr_hpc.labels.desk.forms import MAX_ANSWER, MAX_REMARK, AnswerForm, options, shuffled
from rlavr_hpc.labels.desk.mailboxes import OpenOrder
from rlavr_hpc.labels.desk.progress import DeskProgress
from rlavr_hpc.labels.desk.reading import Reading, visible
from rlavr_hpc.labels.orders import Answer

PAGE = Path(__file__).parent / "page"
STATIC = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".woff2": "font/woff2",
}
"""Kinds of files that pages ask for."""
ONE_LINE = ("math", "choice")
"""Tasks whose answers have one line."""
HINTS = {
    "math": "A number or a formula. LaTeX is understood: \\frac{1}{2}, \\sqrt{3}, (0, 1].",
    "choice": "The letter of the right option, or the letters of all right ones: A, C.",
    "knights": "The role of everyone named: (1) Ann is a knight (2) Bob is a knave.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotatorView:
    """What an annotator's page says beside the question."""

    name: str
    answered: int
    void: int
    left: int
    held: HeldAnswer | None = None
    notice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionView:
    """A question, and what was filled in so far."""

    given: OpenOrder
    form: AnswerForm = field(default_factory=AnswerForm)
    problem: str = ""
    reading: Reading | None = None


class Pages:
    """Renders the templates in `page/`."""

    def __init__(self) -> None:
        """Templates are read once."""
        self._templates = Environment(
            loader=FileSystemLoader(PAGE),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["visible"] = visible
        self._templates.filters["duration"] = duration

    def sign_in(self, problem: str = "") -> str:
        """Where a link's token is traded."""
        return self._templates.get_template("sign_in.html.j2").render(problem=problem)

    def question(self, me: AnnotatorView, view: QuestionView) -> str:
        """One question and the form for its answer."""
        order = view.given.order
        seen = options(order)
        return self._templates.get_template("question.html.j2").render(
            me=me,
            saved=_in_words(me.held.answer) if me.held else "",
            order=order,
            verdict=order.ask is Ask.verdict,
            options=[(number, seen[number]) for number in shuffled(order, me.name)],
            form=view.form,
            problem=view.problem,
            reading=view.reading,
            one_line=order.task in ONE_LINE,
            hint=HINTS.get(order.task, ""),
            max_answer=MAX_ANSWER,
            max_remark=MAX_REMARK,
        )

    def nothing(self, me: AnnotatorView) -> str:
        """There is no question for this annotator now."""
        saved = _in_words(me.held.answer) if me.held else ""
        return self._templates.get_template("nothing.html.j2").render(me=me, saved=saved)

    def owner(self, progress: DeskProgress) -> str:
        """The owner's page."""
        return self._templates.get_template("owner.html.j2").render(desk=progress)


def static_files() -> dict[str, tuple[bytes, str]]:
    """What pages ask for, by its path below `static/`: content and type."""
    return {
        str(path.relative_to(PAGE)): (path.read_bytes(), STATIC[path.suffix])
        for path in PAGE.rglob("*")
        if path.suffix in STATIC
    }


def duration(seconds: float) -> str:
    """For people: `40 s`, `12 min`, `3 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"


def _in_words(answer: Answer) -> str:
    if answer.void is not None:
        return "cannot answer"
    return answer.verdict or answer.answer or ""
