"""The records that flow through a step, in the order in which they are made.

Shape legend, used in field texts and variable names everywhere: B prompts of a step, G rollouts of
a prompt, N sequences, T tokens, V vocabulary. No torch here, and no label outside `Label`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepKey:
    """Where in a run we are; every random choice depends on this and on nothing else."""

    seed: int
    """Of the run."""
    step: int
    """Counted from 1; 0 is the evaluation before the first step."""
    branch: int = 0
    """Raised by a roll-back, so that the same collapse does not repeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a chat."""

    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A prompt as the data set has it, before templates and tokens; it holds no label."""

    id: str
    """Unique in its data set; the ledger and all seeds use it."""
    messages: tuple[Message, ...]
    """Empty when the data gives finished text."""
    text: str
    """Finished text; for chat data the content of the last message."""
    task: str
    """Which answers are expected: a name in `rlavr_hpc.answers.tasks.registry`."""
    where: str = field(default="", compare=False)
    """Its place in the data, `FILE, row N`, for messages; it is no part of what the question is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt ready to be generated from."""

    id: str
    text: str
    """What the model reads."""
    token_ids: tuple[int, ...]
    task: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One sampled response."""

    prompt_id: str
    sample: int
    """0..G-1."""
    token_ids: tuple[int, ...]
    """The response's tokens, the stop token included."""
    logprobs: tuple[float, ...]
    """The sampler's log-probability of each token, natural log."""
    text: str
    truncated: bool
    """True when the length limit, not a stop token, ended it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What a group believes: its answers, clustered by mathematical equality."""

    answers: tuple[str | None, ...]
    """(G,) extracted answers; None = nothing parsable."""
    clusters: tuple[tuple[int, ...], ...]
    """Rollout indices per cluster: larger first, then the one whose first member came first."""
    ungradable: tuple[int, ...] = ()
    """Rollouts whose answer the graders gave up on: they are in no cluster and earn nothing."""

    @property
    def winner(self) -> str | None:
        """The majority's answer as its first member wrote it; None without a parsable answer."""
        return self.answers[self.clusters[0][0]] if self.clusters else None

    @property
    def majority_ratio(self) -> float:
        """Size of the winning cluster over G: unparsable answers count in G."""
        return len(self.clusters[0]) / len(self.answers) if self.clusters else 0.0

    @property
    def majority(self) -> tuple[bool, ...]:
        """(G,) True where a rollout agrees with the vote."""
        members = set(self.clusters[0]) if self.clusters else set()
        return tuple(i in members for i in range(len(self.answers)))

    def cluster_of(self, answer: str) -> tuple[int, ...]:
        """The cluster in which this very text stands; empty where it stands in none."""
        return next((c for c in self.clusters if any(self.answers[i] == answer for i in c)), ())

    def is_right(self, correct: Sequence[bool]) -> bool:
        """Whether the winning cluster is a correct one by (G,) `correct`; False without a vote."""
        return bool(self.clusters) and correct[self.clusters[0][0]]

    def correct_elsewhere(self, correct: Sequence[bool]) -> int:
        """How many rollouts outside the winning cluster are correct; 0 where the vote is right."""
        if self.is_right(correct):
            return 0
        return sum(right and not ours for right, ours in zip(correct, self.majority, strict=True))

    @property
    def entropy(self) -> float:
        """Entropy, in nats, of the cluster distribution of the parsable answers; 0 without any."""
        sizes = [len(members) for members in self.clusters]
        return sum(size / sum(sizes) * math.log(sum(sizes) / size) for size in sizes)

    @property
    def unparsable(self) -> int:
        """How many rollouts gave no answer; those nobody could grade are counted apart."""
        lost = set(self.ungradable)
        return sum(a is None and i not in lost for i, a in enumerate(self.answers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The G rollouts of one prompt and their vote."""

    prompt: Prompt
    rollouts: tuple[Rollout, ...]
    vote: Vote

    @property
    def tokens(self) -> int:
        """Response tokens of all rollouts."""
        return sum(len(rollout.token_ids) for rollout in self.rollouts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseScore:
    """How the policy itself sees one of its responses; means are over the response's tokens."""

    logp_sum: float
    """Log-probability of the whole response, natural log."""
    logp_mean: float
    prob_mean: float
    entropy_mean: float
    """Of the next-token distributions, in nats."""
    certainty_mean: float
    """Of KL(uniform || next-token distribution), in nats."""


ResponseScores = Mapping[str, Sequence[ResponseScore]]
"""Prompt id -> (G,); empty when nobody needs them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfRewardInputs:
    """What the policy itself makes of one group's responses, as far as its reward asks for it."""

    scores: Sequence[ResponseScore] = ()
    """(G,)"""
    verdicts: Sequence[bool] = ()
    """(G,) whether it calls its response correct."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenStates:
    """What the policy makes of one group: its last layer after the final norm, as float32."""

    prompt_D: FloatArray
    """(D,) at the prompt's last token."""
    responses_GD: FloatArray
    """(G, D) at each response's last token, the stop token included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What an acquisition policy may know besides the candidates."""

    step_key: StepKey
    quota: int
    """At most this many labels."""
    responses: ResponseScores = field(default_factory=dict)
    """Of all candidates, for policies with `needs_scores`."""
    hidden: Mapping[str, HiddenStates] = field(default_factory=dict)
    """Prompt id -> states, of all candidates, for policies with `needs_hidden`."""
    max_response_tokens: int = 0
    """The limit on a response's length."""
    oracle: Mapping[str, Sequence[bool]] = field(default_factory=dict)
    """Prompt id -> (G,) true correctness; empty but for policies marked as research only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What an acquisition policy wants to buy."""

    selected: tuple[str, ...]
    """Prompt ids, most wanted first, no more than the quota."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Acquisition score of each candidate, where the policy has one; none is below 0."""
    gate: tuple[str, ...] = ()
    """The candidates whose vote the policy believes most, most believed first."""
    trusted: tuple[str, ...] = ()
    """Those of the gate that it trusts already: never bought, and trained on their vote."""
    pseudo: Mapping[str, str] = field(default_factory=dict)
    """Prompt id -> answer to train on instead of the present vote, should nobody buy the label."""
    skip_update: bool = False
    """Leave the model as it is in this step: the acquisition policy is looking around first."""
    correct_elsewhere: Mapping[str, int] = field(default_factory=dict)
    """Its guess how many rollouts outside the vote are right, where it makes one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledGroup:
    """What a label, or the verdict that the vote is wrong, just bought, says about its group."""

    group: Group
    correct: tuple[bool, ...]
    """(G,) by the label."""
    unknown: tuple[int, ...] = ()
    """Rollouts of which a verdict says nothing: not known to be `correct`, nor to be wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A true answer, as the ledger recorded it. The only record that holds one."""

    prompt_id: str
    answer: str
    cost: float
    """0 for a remembered label."""
    reused: bool = False
