"""Answers requests by a task's own class.

Runs in a grader's process, and in the trainer's own for a class that comes with the program.
"""

from __future__ import annotations

import hashlib
import json
import math
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from rlavr_hpc.answers.sandbox.protocol import FAILED, GAVE_UP, READ, SAME
from rlavr_hpc.answers.tasks.protocol import Task
from rlavr_hpc.plugins import load_plugin

MAX_TASK_ANSWER_CHARS = 5000
"""A longer answer is no answer; escaped it fits into a reply."""
MAX_WORDS = 300


def load_reader(target: str, settings: str) -> Callable[[Sequence[str]], object]:
    """What answers requests, by a class and its settings (JSON)."""
    task = load_plugin(target, json.loads(settings), where="task")
    return lambda request: serve(task, request)


def serve(task: Task, request: Sequence[str]) -> object:
    """The reply to `[read, mode, response]`, `[same, mode, one, other]` or `[matches, ...]`.

    `[answer, key]` or None; whether they are equal; what the answer earns. The key is None where
    answers have to be compared one by one. `GAVE_UP` without memory, `[FAILED, words]` where the
    class raises an error.
    """
    kind, _, *texts = request
    try:
        if kind == READ:
            return _read(task, *json.loads(texts[0]))
        if kind == SAME:
            return bool(task.equal(*texts))
        label, question = json.loads(texts[0])
        return _earned(task.grade(texts[1], label, question))
    except MemoryError:
        return GAVE_UP
    except Exception as error:  # noqa: BLE001 - somebody else's code, on hostile text
        quoted = kind in (READ, SAME) or isinstance(error, _WrongKindError)
        return [FAILED, _words(error, quoted=quoted)]


class _WrongKindError(TypeError):
    """A method gave something else than it has to; says of what type, and quotes nothing."""


def _read(task: Task, response: str, question: str) -> list[object] | None:
    answer = task.extract(response, question)
    if answer is None:
        return None
    if not isinstance(answer, str):
        raise _WrongKindError(
            f"extract gave a {type(answer).__name__}; a text or None was expected"
        )
    answer = answer.strip()
    if not 0 < len(answer) <= MAX_TASK_ANSWER_CHARS:
        return None
    if type(task).equal is not Task.equal:
        return [answer, None]
    normal = task.normalize(answer).encode(errors="surrogatepass")
    return [answer, hashlib.blake2b(normal, digest_size=16).hexdigest()]


def _earned(reward: object) -> float:
    try:
        earned = math.nan if isinstance(reward, str) else float(reward)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        earned = math.nan
    if not math.isfinite(earned):
        kind = type(reward).__name__
        raise _WrongKindError(f"grade gave a {kind}; a finite number, True or False was expected")
    return earned


def _words(error: Exception, *, quoted: bool) -> str:
    """The error and its place in one line.

    Args:
        error: what the class raised.
        quoted: whether to say what it says, escaped: it may quote a response, but no hidden label.
    """
    place = traceback.extract_tb(error.__traceback__)[-1]
    kind = TypeError if isinstance(error, _WrongKindError) else type(error)
    said = f": {ascii(str(error))[1:-1][:MAX_WORDS]}" if quoted else ""
    return f"{kind.__name__}{said} ({Path(place.filename).name}, line {place.lineno})"
