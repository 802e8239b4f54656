"""Example rollouts on record: what a few prompts of a step were answered, and what that earned.

`examples/N.jsonl` has one line per prompt. The reward of a prompt whose label was paid for tells
the label, and so does its vote beside the row's share of right votes: such a line is marked, and
`shareable` leaves it out. A label that nobody bought stands nowhere here.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from rlavr_hpc.errors import RlavrError
from rlavr_hpc.io import LineWriter, make_folder
from rlavr_hpc.runs.attempts import accepted_lines, segment
from rlavr_hpc.training_types import TrainingGroup
from rlavr_hpc.types import Label, StepKey

VERSION = 1
FOLDER = "examples"
LONGEST = 2000
"""Characters of a text; of a longer one the middle is left out, for the answer stands last."""
HEAD = 1200
"""Characters of a longer text before the gap."""
RESPONSES = 4
"""Of a prompt, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleResponse:
    """One of a prompt's responses."""

    sample: int
    """0..G-1."""
    text: str
    """At most about `LONGEST` characters."""
    tokens: int
    truncated: bool
    """Ended by the length limit."""
    answer: str | None
    """As extracted; None = nothing parsable."""
    agrees: bool
    """With the vote."""
    reward: float | None
    """Trained on; None where it is not finite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One prompt of a step with its first responses."""

    step: int
    branch: int
    attempt: int
    prompt_id: str
    prompt: str
    """At most about `LONGEST` characters."""
    vote: str | None
    """The majority's answer; None without one."""
    majority_ratio: float
    labelled: bool
    """The rewards are by a true label: bought in this step, or remembered."""
    reused: bool
    """The label was remembered: bought in an earlier step."""
    label: str | None
    """The true label where `labelled`; None elsewhere."""
    weight: float
    """Of the prompt's rewards in the loss: 0 = not trained towards them."""
    responses: tuple[ExampleResponse, ...]
    """The first ones of the group."""


def shareable(examples: Iterable[Example]) -> list[Example]:
    """Those that tell nothing of a label that was paid for."""
    return [example for example in examples if not example.labelled]


def is_due(step: int, *, every: int) -> bool:
    """Whether a step's examples go on record: the first step's, then every `every`; 0 = none."""
    return every > 0 and (step == 1 or step % every == 0)


def choose_examples(
    signals: Sequence[TrainingGroup],
    labels: Mapping[str, Label],
    *,
    step_key: StepKey,
    attempt: int,
    prompts: int,
) -> list[Example]:
    """A step's examples: half of them prompts with a label, as far as there are some.

    Which ones is a function of seed, branch, step and prompt alone, so that a step that is done
    again shows the same prompts, and no random state is touched.

    Args:
        signals: of all the step's groups.
        labels: prompt id -> label that was trained on.
        step_key: the step.
        attempt: its number.
        prompts: how many.
    """

    def drawn(signal: TrainingGroup) -> str:
        name = f"{step_key.seed} {step_key.branch} {step_key.step} {signal.group.prompt.id}"
        return hashlib.sha256(name.encode()).hexdigest()

    mixed = sorted(signals, key=drawn)
    bought = [signal for signal in mixed if signal.bought]
    others = [signal for signal in mixed if not signal.bought]
    of_bought = min(len(bought), max(prompts // 2, prompts - len(others)))
    chosen = [*bought[:of_bought], *others[: prompts - of_bought]]
    return [_example(s, labels.get(s.group.prompt.id), step_key, attempt) for s in chosen]


def _example(
    signal: TrainingGroup, label: Label | None, step_key: StepKey, attempt: int
) -> Example:
    group = signal.group
    vote = group.vote
    responses = tuple(
        ExampleResponse(
            sample=rollout.sample,
            text=shorten(rollout.text),
            tokens=len(rollout.token_ids),
            truncated=rollout.truncated,
            answer=None if answer is None else shorten(answer),
            agrees=agrees,
            reward=reward if math.isfinite(reward) else None,
        )
        for rollout, answer, agrees, reward in zip(
            group.rollouts, vote.answers, vote.majority, signal.rewards, strict=True
        )
    )
    return Example(
        step=step_key.step,
        branch=step_key.branch,
        attempt=attempt,
        prompt_id=group.prompt.id,
        prompt=shorten(group.prompt.text),
        vote=None if vote.winner is None else shorten(vote.winner),
        majority_ratio=vote.majority_ratio,
        labelled=signal.bought,
        reused=label is not None and label.reused,
        label=label.answer if label is not None and signal.bought else None,
        weight=signal.weight,
        responses=responses[:RESPONSES],
    )


def shorten(text: str) -> str:
    """`text`, or its beginning and its end with the number of characters between them."""
    if len(text) <= LONGEST:
        return text
    tail = LONGEST - HEAD
    return f"{text[:HEAD]}\n[... {len(text) - LONGEST} characters ...]\n{text[-tail:]}"


class ExamplesFile:
    """The writer of one attempt's segment; the file is made with its first line."""

    def __init__(self, run_dir: Path, attempt: int, *, fence: Callable[[], None]) -> None:
        """`fence` raises when a newer attempt owns the folder."""
        self._path, self._fence = segment(run_dir, FOLDER, attempt), fence
        self._writer: LineWriter | None = None

    def write(self, examples: Iterable[Example]) -> None:
        """Append a step's examples.

        Raises:
            RlavrError: the file cannot be written.
        """
        self._fence()
        try:
            if self._writer is None:
                make_folder(self._path.parent)
                self._writer = LineWriter(self._path)
            self._writer.append([{"v": VERSION, **asdict(example)} for example in examples])
        except OSError as error:
            raise RlavrError(
                f"{self._path}: cannot be written ({error.strerror}); make room and start the same "
                "command again"
            ) from error


def read_examples(run_dir: Path) -> list[Example]:
    """The examples of every (branch, step), from the highest accepted attempt that wrote some.

    Args:
        run_dir: the run's folder; without examples the list is empty.

    Raises:
        RlavrError: a line is damaged, or of a newer version; the message names it.
    """
    found: dict[tuple[int, int], list[Example]] = {}
    try:
        for number, path, line in accepted_lines(run_dir, FOLDER):
            example = _read(line.row, f"{path}:{line.number}")
            key = (example.branch, example.step)
            if found.get(key, [example])[0].attempt < number:
                found[key] = []  # the step was done again
            found.setdefault(key, []).append(replace(example, attempt=number))
    except ValueError as error:
        raise RlavrError(f"the examples are damaged: {error}") from error
    return [example for key in sorted(found) for example in found[key]]


_NAMES = frozenset(field.name for field in fields(Example))
_RESPONSE_NAMES = frozenset(field.name for field in fields(ExampleResponse))


_KINDS: dict[str, type | tuple[type, ...]] = {
    "attempt": int,
    "prompt_id": str,
    "prompt": str,
    "vote": (str, type(None)),
    "labelled": bool,
    "majority_ratio": (int, float),
}


def _read(row: Mapping[str, Any], where: str) -> Example:
    if row.get("v") != VERSION:
        raise RlavrError(f"{where}: version {row.get('v')!r} is not {VERSION}, the one known here")
    try:
        responses = tuple(
            ExampleResponse(**{name: given[name] for name in _RESPONSE_NAMES})
            for given in row["responses"]
        )
        values = {name: row[name] for name in _NAMES}
    except (KeyError, TypeError) as error:
        raise RlavrError(f"{where}: not an example of rollouts: {error!r}") from error
    if type(values["step"]) is not int or type(values["branch"]) is not int:
        raise RlavrError(f"{where}: branch {values['branch']!r}, step {values['step']!r}")
    wrong = [key for key, kinds in _KINDS.items() if not isinstance(values[key], kinds)]
    if wrong or not all(isinstance(response.text, str) for response in responses):
        raise RlavrError(f"{where}: not an example of rollouts: {', '.join(wrong) or 'text'}")
    return Example(**{**values, "responses": responses})
