"""What the analysis finds out about one run: verdict, spending, health.

The records hold plain values only (no frames), so that worker processes send them cheaply and
`summary.json` holds all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from analysis.load.run import AnnotatorSpend, Problem
from rlavr_hpc.telemetry.collapse.verdict import FoundFault


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A series for a figure, thinned to few points."""

    steps: tuple[int, ...]
    values: tuple[float, ...]


class CollapseKind(StrEnum):
    """What a collapse looks like."""

    wrong_belief = "wrong_belief"
    """Votes agree more and more on wrong answers, prompt by prompt."""
    entropy = "entropy"
    """The policy's distribution has narrowed to few answers, whatever the prompt."""
    length_hacking = "length_hacking"
    """Responses ran into the length limit, or shrank to next to nothing."""
    format_hacking = "format_hacking"
    """Answers are stated in a form that earns the vote and means nothing."""
    silent = "silent"
    """Nothing parsable is left: no vote, no reward, no advantage."""
    other = "other"
    """Accuracy is lost and no signal says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalChange:
    """How one signal changed over a run."""

    signal: str
    """Name of the metric, or `collapse/risk` for the early warning."""
    label_free: bool
    """Known without any label that was not bought anyway."""
    step: int | None
    """Where its change point lies (retrospective), None without one."""
    detected: int | None
    """First step at which this signal alone, without knowledge of the future, gives an alarm; None
    = never."""
    before: float | None
    """Mean before the change."""
    after: float | None
    text: str
    """One short sentence with the figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollapseVerdict:
    """Whether the run collapsed, since when, how, and when that could be detected."""

    collapsed: bool | None
    """None = cannot be judged."""
    onset: int | None = None
    """First step of the final low stretch: `change_point`, unless the truth is on record and the
    definition says something else by more than its window of ten steps."""
    defined_onset: int | None = None
    """By the definition (`telemetry.collapse.definition`), which needs the truth of every step."""
    change_point: int | None = None
    """By change points in `measured_by` alone."""
    measured_by: str | None = None
    """The metric that decided."""
    kind: CollapseKind | None = None
    loss: float | None = None
    """Share of the best level that was lost, in [0, 1]."""
    signals: tuple[SignalChange, ...] = ()
    """Strongest first."""
    warned: int | None = None
    """First step with an early warning (`collapse/risk` at the run's threshold)."""
    warning: str = ""
    """Its reason."""
    detected: int | None = None
    """First step at which label-free signals alone detect a collapse."""
    lead: int | None = None
    """`onset - detected`: steps in advance; negative = late; None where either is missing."""
    faults: tuple[FoundFault, ...] = ()
    """What else is wrong with the run: accuracy lost short of a collapse, responses that no longer
    end or state an answer; gravest first."""
    nothing_learnt: str = ""
    """What kept every step from teaching anything, as part of a sentence; "" = nothing did. Such a
    run is not judged."""
    text: str = ""
    """The verdict in one or two sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """The labels that the run bought, and what they were worth."""

    labels: int = 0
    """Bought, left branches included."""
    labels_void: int = 0
    cost: float = 0.0
    labels_left_behind: int = 0
    """Bought on branches that were rolled back."""
    accuracy_start: float | None = None
    accuracy_end: float | None = None
    curve: tuple[tuple[float, float], ...] = ()
    """(labels bought so far, held-out accuracy) of every evaluation."""
    area: float | None = None
    """Mean held-out accuracy over the labels spent: area under `curve` by its width; None without
    labels or with fewer than two evaluations."""
    labels_to_target: float | None = None
    """Labels at which the accuracy reaches the target and stays, interpolated; None = never."""
    vote_right: float | None = None
    """Share of bought labels that confirmed a right vote."""
    none_correct: float | None = None
    """Share of bought labels on prompts without any correct response."""
    oracle_recall: float | None = None
    """Share of the bought prompts that are among the largest true gaps; needs the audit."""
    annotators: tuple[AnnotatorSpend, ...] = ()
    """Of a live label source; most answers first."""
    labels_wrong: float | None = None
    """Share of labels from a live source that the data's own contradict; needs the audit."""
    seconds_waited: float = 0.0
    """With all that is loaded, for labels that were ordered."""
    value: Curve | None = None
    """Mean |pseudo - true reward| gap corrected per label bought, over time (10-step means)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the run cost, and what was lost on the way."""

    starts: int = 0
    preemptions: int = 0
    """Starts ended by preemption, requeue or time limit; without Slurm's record, starts - 1."""
    crashes: int = 0
    rollbacks: int = 0
    steps_redone: int = 0
    """Rows written more than once: work done again after a loss."""
    seconds_lost: float = 0.0
    """Of these steps."""
    steps_left_behind: int = 0
    """On branches that were rolled back."""
    seconds_running: float = 0.0
    """Sum over starts, each from its token to its last row."""
    seconds_waiting: float = 0.0
    """Between the last row of a start and the next start's token."""
    seconds_per_step: float | None = None
    """Median."""
    tokens_per_second: float | None = None
    """Median over steps, response tokens."""
    phases: Mapping[str, float] = field(default_factory=dict)
    """Share of the step's time by phase: generate, train ..., summing to 1."""
    device_hours: float = 0.0
    """Hours that devices were held: GPU-hours on GPUs, else rank-hours on CPUs."""
    device: str = "CPU rank"
    """"GPU" or "CPU rank"."""
    memory_gib: float | None = None
    """Largest peak of rank 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFindings:
    """All that is found out about one run."""

    name: str
    folder: str
    condition: str
    """Name of the group of runs that differ only by seed."""
    sweep: str | None
    policy: str
    budget: float | None
    budget_effective: float | None
    seed: int | None
    steps: int
    steps_planned: int | None
    state: str
    uses_oracle: bool
    settings: Mapping[str, str]
    """What distinguishes it from other runs of the study: flat config keys, without the seed."""
    verdict: CollapseVerdict
    spending: Spending
    health: Health
    curves: Mapping[str, Curve]
    """By metric name, for figures; also `accuracy` (held-out, all evaluations)."""
    examples: tuple[Mapping[str, str], ...] = ()
    """A few example responses early and late: step, prompt, response, vote, majority_ratio."""
    problems: tuple[Problem, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether the run has done all that was planned."""
        reached = self.steps_planned is not None and self.steps >= self.steps_planned
        return self.state == "done" or reached
