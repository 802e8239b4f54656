"""Config group `labels`: who gives the true labels, and what a run does while it waits for them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.config.label_desk import DeskConfig
from rlavr_hpc.config.plugin import PluginConfig
from rlavr_hpc.errors import UserError

DATASET = "dataset"


class Pending(StrEnum):
    """What a run does while labels that it ordered are not there."""

    wait = "wait"
    """Stands still, at most `labels.patience` seconds."""
    park = "park"
    """Ends with a checkpoint and exit code 76; the same command goes on."""
    go_on = "go_on"
    """Trains without them; a label counts from the step at which it was first seen."""


class Ask(StrEnum):
    """What a label source is asked."""

    answer = "answer"
    """The answer of the question."""
    verdict = "verdict"
    """Whether the model's majority vote is right."""


class OnWrong(StrEnum):
    """What a prompt whose vote is wrong by a verdict is trained on in the step that asked."""

    drop = "drop"
    """Nothing."""
    negative = "negative"
    """Away from the vote: advantage -x/G of the x responses that gave it, 0 of the others."""


class Show(StrEnum):
    """What a label source sees besides the question."""

    nothing = "nothing"
    """The question alone."""
    votes = "votes"
    """The answers that the model gave, without their counts: this biases people and judges."""


class Resolve(StrEnum):
    """Which of several answers to one question becomes the label."""

    first = "first"
    """The first that can be a label."""
    majority = "majority"
    """The one that more than half of `redundancy` gave; none where they disagree."""


class JudgeMode(StrEnum):
    """What a judge does."""

    solve = "solve"
    """Answers the question without seeing any response; the run's own grader compares."""
    verify = "verify"
    """Sees the vote and says whether it is right."""


@dataclass(slots=True, kw_only=True)
class LabelsConfig(PluginConfig):
    """Who gives the true labels, what may be asked, and what happens while they are pending."""

    name: str = DATASET
    """Registered name of the source: `dataset`, `command`, `judge`, `people`, `labelstudio`."""
    target: str = "rlavr_hpc.labels.dataset:DatasetLabels"
    """Import path of the source's class, `package.module:Class`; not part of the run's identity."""
    version: str = "1"
    """Of the source, by you: another one is another source, and its answers are bought anew."""
    price: float = 1.0
    """Of one answer, in money of your choice."""
    ask: Ask = Ask.answer
    """Whether the answer is asked for, or whether the vote is right."""
    on_wrong: OnWrong = OnWrong.drop
    """ask=verdict: what a prompt is trained on whose vote is wrong."""
    show: Show = Show.nothing
    """What is shown besides the question; it is on record."""
    pending: Pending = Pending.wait
    """What the run does while labels are pending."""
    patience: float = 600.0
    """wait: seconds; then as `then`."""
    then: Pending = Pending.park
    """wait: what follows when patience ends."""
    enough: float = 1.0
    """park: share of the pending labels, 0 to 1, at which the bridge lets the job start again."""
    poll: float = 10.0
    """Seconds between two looks at the answers."""
    inline: bool = False
    """Whether the run's own first process asks the source, without `rlavr labels serve`."""
    deadline: float = 3600.0
    """Seconds of failures after which an order is void."""
    max_failures: int = 20
    """Failures in a row after which the source is not asked any more."""
    redundancy: int = 1
    """Answers asked for per label."""
    max_redundancy: int | None = None
    """Answers asked for at most where they disagree; null = redundancy + 2, or 1 for one."""
    resolve: Resolve = Resolve.majority
    """Which of several answers becomes the label."""
    gold: float = 0.0
    """Orders of known answers mixed in, as a share of all orders, 0 to below 1; they need
    labelled rows."""
    gold_first: int = 0
    """Questions with a known answer that are asked before all others, to tell how many come right;
    only where rows have answers."""
    bank: str | None = None
    """Folder of the study's label bank: what one run bought, no other run pays for again."""
    command: str | None = None
    """command: the program and its arguments; it reads orders and writes answers, a line each."""
    batch: int = 64
    """command: orders per call."""
    timeout: float = 600.0
    """command, judge: seconds of one call."""
    memory_mib: int = 4096
    """command: memory of one call."""
    base_url: str | None = None
    """judge, labelstudio: address of the service, e.g. http://127.0.0.1:8000/v1."""
    model: str | None = None
    """judge: name of the model."""
    mode: JudgeMode = JudgeMode.solve
    """judge: whether it solves the question or judges the vote."""
    template: str | None = None
    """judge: Jinja file of the request; null = the one for its mode that comes with the
    program."""
    samples: int = 1
    """judge: answers drawn per order."""
    agreement: float = 1.0
    """judge: share of the samples that must agree, else the order is void."""
    temperature: float = 0.0
    """judge: of the sampling."""
    max_tokens: int = 8192
    """judge: length of a reply."""
    prompt_price: float = 0.0
    """judge: money per million tokens of a request."""
    reply_price: float = 0.0
    """judge: money per million tokens of a reply."""
    concurrency: int = 8
    """judge: calls at a time to one address."""
    key_variable: str | None = None
    """judge, labelstudio: environment variable of the bridge that holds the key; null = none."""
    project: int | None = None
    """labelstudio: number of the project that holds the tasks."""
    desk: DeskConfig = field(default_factory=DeskConfig)

    def __post_init__(self) -> None:
        """Check the ranges, and make paths absolute: the bridge runs in another folder."""
        self._check_numbers()
        self._check_judge()
        self._check_waiting()
        for key in ("bank", "template"):
            if (path := getattr(self, key)) is not None:
                setattr(self, key, os.path.abspath(path))  # noqa: PTH100 - links stay as named

    def _check_numbers(self) -> None:
        for key in ("price", "patience", "deadline", "prompt_price", "reply_price", "temperature"):
            at_least(f"labels.{key}", getattr(self, key), 0)
        for key in ("redundancy", "samples", "batch", "max_failures", "concurrency", "max_tokens"):
            at_least(f"labels.{key}", getattr(self, key), 1)
        at_least("labels.gold_first", self.gold_first, 0)
        for key in ("poll", "timeout"):
            if getattr(self, key) <= 0:
                raise UserError(f"labels.{key}={getattr(self, key)} must be above 0")
        for key in ("enough", "gold", "agreement"):
            if not 0 <= getattr(self, key) <= 1:
                raise UserError(f"labels.{key}={getattr(self, key)} is outside [0, 1]")
        if self.gold == 1:
            raise UserError("labels.gold=1 would ask known answers alone; set it below 1")

    def _check_judge(self) -> None:
        if self.name != "judge":
            return
        if self.mode is JudgeMode.verify:
            self.ask = Ask.verdict
        elif self.ask is Ask.verdict:
            raise UserError(
                "labels.ask=verdict asks a judge about the vote: that is labels.mode=verify"
            )

    def _check_waiting(self) -> None:
        if self.then is Pending.wait:
            raise UserError("labels.then says what follows on waiting: park or go_on")
        if self.most_answers < self.redundancy:
            raise UserError(
                f"labels.max_redundancy={self.max_redundancy} is below labels.redundancy="
                f"{self.redundancy}"
            )

    @property
    def live(self) -> bool:
        """Whether labels come from outside of the data set."""
        return self.name != DATASET

    @property
    def most_answers(self) -> int:
        """Answers that one label may be asked from, 1 at least."""
        if self.max_redundancy is not None:
            return self.max_redundancy
        return 1 if self.redundancy == 1 else self.redundancy + 2


OF_SOURCES: dict[str, tuple[str, ...]] = {
    "command": ("command", "batch", "timeout", "memory_mib"),
    "judge": (
        "base_url",
        "model",
        "mode",
        "template",
        "samples",
        "agreement",
        "temperature",
        "max_tokens",
        "prompt_price",
        "reply_price",
        "concurrency",
        "timeout",
        "key_variable",
    ),
    "labelstudio": ("base_url", "key_variable", "project", "timeout"),
    "people": (),
}
"""Which keys are settings of which of the program's own sources."""


def source_settings(config: LabelsConfig) -> dict[str, Any]:
    """The arguments of the source's class."""
    own = {key: getattr(config, key) for key in OF_SOURCES.get(config.name, ())}
    return {**own, **config.settings}
