"""An annotator's requests: the next question, an answer, a preview, an undo."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from rlavr_hpc.labels.desk.assignments import HOLD_SECONDS, Kept
from rlavr_hpc.labels.desk.desk import Desk
from rlavr_hpc.labels.desk.forms import (
    OTHER,
    AnswerForm,
    Filled,
    as_answer,
    fill,
    options,
    read_form,
)
from rlavr_hpc.labels.desk.mailboxes import OpenOrder
from rlavr_hpc.labels.desk.pages import AnnotatorView, Pages, QuestionView
from rlavr_hpc.labels.desk.reading import Reading
from rlavr_hpc.labels.orders import Answer, Order
from rlavr_hpc.labels.printable import printable

LATE = (
    "Your last answer was not counted: the question had an answer already, or is not asked any "
    "more."
)
NOT_SAVED = "The answer could not be saved. It is still here: try again in a moment."


@dataclass(slots=True, kw_only=True)
class Answering:
    """Answers annotators who have signed in."""

    desk: Desk
    pages: Pages

    def page(self, name: str, *, late: bool = False) -> Response:
        """The annotator's question, or that there is none."""
        with self.desk.lock:
            now = time.time()
            try:
                given = self.desk.assignments.offer(name, now)
            except OSError as error:
                self.desk.say(f"no question can be given out: {error}")
                return HTMLResponse(self.pages.nothing(self._view(name, "The disk is full.")), 503)
            me = self._view(name, LATE if late else "")
            back = self.desk.assignments.taken_back.get(name)
        if given is None:
            return HTMLResponse(self.pages.nothing(me))
        form = _form_again(back, given.order) if back is not None else AnswerForm()
        return HTMLResponse(self.pages.question(me, QuestionView(given=given, form=form)))

    def take(self, name: str, fields: Mapping[str, str]) -> Response:
        """Keep an answer, or say what is wrong with it."""
        form = read_form(fields)
        with self.desk.lock:
            was_given = (name, form.key) in self.desk.assignments.given
            given = self.desk.mail.open.get(form.key)
        if not was_given:
            return Response("This question was not given to you.\n", 403, media_type="text/plain")
        if given is None:
            return self._late(name, form.key)
        filled = fill(given.order, form, name)
        reading = self._read(given, filled)
        problem = filled.problem or (reading.problem if reading else "")
        if problem or form.check:
            view = QuestionView(given=given, form=form, problem=problem, reading=reading)
            return self._again(name, view, 422 if problem else 200)
        return self._keep(name, given, filled, form)

    def undo(self, name: str) -> Response:
        """Take back the last answer, where it is not final."""
        with self.desk.lock:
            self.desk.assignments.undo(name)
        return RedirectResponse("./", 303)

    def preview(self, name: str, fields: Mapping[str, str]) -> Response:
        """What the grader reads."""
        form = read_form(fields)
        with self.desk.lock:
            was_given = (name, form.key) in self.desk.assignments.given
            given = self.desk.mail.open.get(form.key)
        if not was_given or given is None:
            return JSONResponse({"problem": "This question is not open any more."}, 403)
        filled = fill(given.order, form, name)
        reading = self._read(given, filled) or Reading(problem=filled.problem)
        return JSONResponse(
            {
                "shown": reading.shown,
                "problem": reading.problem,
                "note": reading.note,
                "math": reading.math,
            }
        )

    def _read(self, given: OpenOrder, filled: Filled) -> Reading | None:
        return self.desk.preview(given.runs[0], given.order, filled.text) if filled.text else None

    def _keep(self, name: str, given: OpenOrder, filled: Filled, form: AnswerForm) -> Response:
        with self.desk.lock:
            now, at_desk = time.time(), self.desk.assignments
            seconds = now - at_desk.given[name, form.key]
            answer = as_answer(given.order, filled, name, seconds=seconds, remark=form.remark)
            try:
                kept = at_desk.keep(answer)
            except OSError as error:
                self.desk.say(f"an answer of {printable(name)} could not be saved: {error}")
                view = QuestionView(given=given, form=form, problem=NOT_SAVED)
                return self._again(name, view, 503)
        if kept is not Kept.kept:
            return self._late(name, form.key)
        self.desk.say(
            f"{form.key[:8]}: {printable(name)} has answered; it is sent with their next answer, "
            f"or in {HOLD_SECONDS:.0f} s, and may be undone until then"
        )
        return RedirectResponse("./", 303)

    def _late(self, name: str, key: str) -> Response:
        """Say that an answer does not count: to its annotator, and in the log."""
        with self.desk.lock:
            counted = self.desk.mail.answers.get(key)
        if counted is None or counted.annotator != name:  # else a form that was sent twice
            self.desk.say(f"{key[:8]}: an answer of {printable(name)} came too late")
        return RedirectResponse("./?late=1", 303)

    def _again(self, name: str, view: QuestionView, status: int) -> Response:
        with self.desk.lock:
            me = self._view(name)
        return HTMLResponse(self.pages.question(me, view), status)

    def _view(self, name: str, notice: str = "") -> AnnotatorView:
        at_desk = self.desk.assignments
        held = at_desk.holding(name)
        mine = [one for one in self.desk.mail.answers.values() if one.annotator == name]
        if held is not None:
            mine.append(held.answer)
        return AnnotatorView(
            name=name,
            answered=sum(one.void is None for one in mine),
            void=sum(one.void is not None for one in mine),
            left=at_desk.left(name, time.time()),
            held=held,
            notice=notice,
        )


def _form_again(answer: Answer, order: Order) -> AnswerForm:
    """The form as it was before an answer to this order was undone."""
    if answer.key != order.key:
        return AnswerForm()
    seen, text = options(order), answer.answer or ""
    choice = str(seen.index(text)) if text in seen else OTHER if seen and text else ""
    return AnswerForm(
        key=order.key,
        answer="" if text in seen else text,
        choice=choice,
        verdict=answer.verdict or "",
    )
