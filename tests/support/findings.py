"""A made-up report: nine conditions of three to five seeds, healthy, collapsed and unfinished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.load.run import Problem
from analysis.run_findings import (
    CollapseKind,
    CollapseVerdict,
    Curve,
    Health,
    RunFindings,
    SignalChange,
    Spending,
)
from analysis.study_findings import Advice, Comparison, Condition, Contrast, Findings, Interval

Floats = npt.NDArray[Any]
BATCH = 64
STEPS = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the runs of a condition go."""

    policy: str
    budget: float | None
    end: float
    """Accuracy at the end of a healthy run."""
    kinds: tuple[CollapseKind | None, ...]
    """By seed; None = healthy."""
    state: str = "done"
    oracle: bool = False

    @property
    def name(self) -> str:
        """As the analysis names conditions."""
        return self.policy if self.budget in (0.0, 1.0) else f"{self.policy} budget={self.budget}"


BELIEF, ENTROPY, LENGTH, SILENT = (
    CollapseKind.wrong_belief,
    CollapseKind.entropy,
    CollapseKind.length_hacking,
    CollapseKind.silent,
)
PLANS = (
    Plan(policy="full", budget=1.0, end=0.76, kinds=(None,) * 5),
    Plan(policy="anchored", budget=0.2, end=0.72, kinds=(None,) * 5),
    Plan(policy="anchored", budget=0.05, end=0.64, kinds=(None,) * 4),
    Plan(policy="cag_oracle", budget=0.2, end=0.59, kinds=(None,) * 3, oracle=True),
    Plan(policy="care", budget=0.2, end=0.52, kinds=(None, BELIEF, None, None, None)),
    Plan(policy="random", budget=0.2, end=0.47, kinds=(BELIEF, None, LENGTH, BELIEF, None)),
    Plan(policy="entropy", budget=0.2, end=0.4, kinds=(BELIEF, ENTROPY, BELIEF, SILENT, ENTROPY)),
    Plan(policy="none", budget=0.0, end=0.4, kinds=(BELIEF,) * 5),
)
WAITING = Plan(policy="care", budget=0.1, end=0.5, kinds=(None, None, None))


def sigmoid(x: Floats) -> Floats:
    """The logistic function."""
    return np.asarray(1.0 / (1.0 + np.exp(-x)))


def curve(steps: npt.NDArray[Any], values: Floats) -> Curve:
    """As the analysis stores it."""
    return Curve(
        steps=tuple(int(s) for s in steps), values=tuple(round(float(v), 4) for v in values)
    )


def curves(
    plan: Plan, kind: CollapseKind | None, onset: int, last: int, seed: int
) -> dict[str, Curve]:
    """Signals that drift for good or turn at the onset."""
    random = np.random.default_rng(seed)
    x = np.arange(1.0, last + 1)
    collapsed = sigmoid((x - onset) / 4.0) if kind else 0.0 * x
    learnt = 0.42 + (plan.end - 0.42) * (1 - np.exp(-x / 40))

    def noisy(values: Floats, size: float) -> Curve:
        return curve(x, values + size * random.standard_normal(len(x)))

    truth = learnt * (1 - 0.85 * collapsed)
    agreement = 0.46 + 0.0018 * x + (0.9 - 0.46 - 0.0018 * x) * 0.8 * collapsed
    length = 38 + (120 * collapsed if kind is LENGTH else 0 * x)
    lost = 0.9 * collapsed if kind is SILENT else 0.02 * x / STEPS
    tested = np.arange(0, last + 1, 10)
    accuracy = np.concatenate([[0.42], truth[9::10]]) + 0.012 * random.standard_normal(len(tested))
    return {
        "accuracy": curve(tested, np.clip(accuracy, 0.0, 1.0)),
        "oracle/true_reward": noisy(truth, 0.03),
        "collapse/majority_ratio": noisy(agreement, 0.02),
        "collapse/distinct_answers": noisy(5.0 - 0.01 * x - 3.2 * collapsed, 0.15),
        "collapse/length_tokens": noisy(length, 1.5),
        "collapse/unparsable": noisy(lost, 0.005),
        "collapse/risk": curve(x, np.clip(collapsed * 1.02 + 0.02, 0, 1)),
        "train/entropy": noisy(1.1 - 0.002 * x - 0.6 * collapsed, 0.03),
    }


WORDS = {
    BELIEF: "Votes agree more and more on wrong answers",
    ENTROPY: "The policy's distribution has narrowed to few answers",
    LENGTH: "Responses ran into the length limit",
    SILENT: "Nothing parsable is left",
}
SIGNALS = {
    "collapse/majority_ratio": ("Majority ratio", True),
    "collapse/distinct_answers": ("Distinct answers", True),
    "collapse/risk": ("The early warning", True),
    "train/entropy": ("Entropy", True),
    "oracle/true_reward": ("True reward", False),
}


def signals(found: Mapping[str, Curve], onset: int) -> tuple[SignalChange, ...]:
    """Means of the steps before and after the onset."""
    made = []
    for number, (name, (title, free)) in enumerate(SIGNALS.items()):
        values = np.array(found[name].values)
        before, after = float(values[: onset - 6].mean()), float(values[onset + 6 :].mean())
        made.append(
            SignalChange(
                signal=name,
                label_free=free,
                step=onset + number - 2,
                detected=onset + 4 * number - 6,
                before=before,
                after=after,
                text=f"{title}: {before:.2f} to {after:.2f} at step {onset + number - 2}.",
            )
        )
    return tuple(made)


def verdict(kind: CollapseKind | None, onset: int, found: Mapping[str, Curve]) -> CollapseVerdict:
    """Of a finished run."""
    if kind is None:
        return CollapseVerdict(
            collapsed=False,
            measured_by="oracle/true_reward",
            loss=0.03,
            text="Healthy: accuracy is within 3% of its best level.",
        )
    return CollapseVerdict(
        collapsed=True,
        onset=onset,
        defined_onset=onset + 1,
        measured_by="oracle/true_reward",
        kind=kind,
        loss=0.85,
        signals=signals(found, onset),
        warned=onset + 5,
        detected=onset - 4,
        lead=4,
        warning="collapse/risk 0.51: answers agree more (majority ratio 0.46 -> 0.54), and hardly "
        "any label says whether they are right",
        text=f"Collapsed from step {onset}: 85% of the best accuracy is lost. {WORDS[kind]}.",
    )


def spending(plan: Plan, found: Mapping[str, Curve], last: int) -> Spending:
    """A quota of labels every step."""
    quota = int(np.ceil((plan.budget or 0.0) * BATCH))
    tested = found["accuracy"]
    steps = np.arange(10, last + 1, 10)
    bought = tuple((float(quota * s), v) for s, v in zip(tested.steps, tested.values, strict=True))
    return Spending(
        labels=quota * last,
        cost=float(quota * last),
        curve=bought,
        accuracy_start=tested.values[0],
        accuracy_end=tested.values[-1],
        area=float(np.mean(tested.values)) if quota else None,
        labels_to_target=quota * 60.0 if plan.end > 0.7 else None,
        vote_right=0.45 if quota else None,
        none_correct=0.25 if quota else None,
        oracle_recall=0.9 if plan.oracle else 0.35 if quota else None,
        value=curve(steps, 0.4 * plan.end + 0.1 * np.exp(-steps / 50)) if quota else None,
    )


def health(last: int, seed: int) -> Health:
    """Every third seed was preempted."""
    hit = 2 if seed % 3 == 1 else 0
    return Health(
        starts=1 + hit,
        preemptions=hit,
        steps_redone=3 * hit,
        seconds_lost=1.2 * hit,
        seconds_running=0.4 * last,
        seconds_waiting=45.0 * hit,
        seconds_per_step=0.38,
        tokens_per_second=5400.0,
        device_hours=0.4 * last / 3600,
        memory_gib=1.7,
        phases={
            "generate": 0.5,
            "score": 0.16,
            "train": 0.12,
            "sync": 0.03,
            "learn": 0.06,
            "grade": 0.05,
            "select": 0.01,
            "buy": 0.01,
            "other": 0.06,
        },
    )


EXAMPLES = (
    {"step": "1", "prompt": "7 + 5 =", "response": "\\boxed{12}", "vote": "12", "bought": ""},
    {"step": "150", "prompt": "7 + 5 =", "response": "\\boxed{21}", "vote": "21", "bought": "12"},
)


def run(plan: Plan, seed: int, *, last: int = STEPS, state: str | None = None) -> RunFindings:
    """One run of a condition; `last` 0 = nothing on disk yet."""
    kind = plan.kinds[seed - 1]
    onset = 18 + 9 * seed
    found = curves(plan, kind, onset, last, seed + len(plan.name)) if last else {}
    name = f"study/{plan.name.replace(' budget=', '-')}-{seed}"
    settings = {"acquisition.name": plan.policy, "budget": str(plan.budget)}
    torn = Problem(path="metrics/2.jsonl", text="line 88 is torn and was left out")
    judged = last == STEPS
    return RunFindings(
        name=name,
        folder=f"runs/{name}",
        condition=plan.name,
        sweep="study",
        policy=plan.policy,
        budget=plan.budget,
        budget_effective=plan.budget,
        seed=seed,
        steps=last,
        steps_planned=STEPS,
        state=state or plan.state,
        uses_oracle=plan.oracle,
        settings=settings,
        verdict=verdict(kind, onset, found)
        if judged
        else CollapseVerdict(
            collapsed=None, text="Too few steps to tell." if last else "Has not started."
        ),
        spending=spending(plan, found, last) if last else Spending(),
        health=health(last, seed) if last else Health(),
        curves=found,
        examples=EXAMPLES if last else (),
        problems=(torn,) if plan.policy == "random" and seed == 2 else (),
    )


def interval(values: list[float], spread: float = 0.04) -> Interval | None:
    """Mean with a made-up spread."""
    if not values:
        return None
    mean = float(np.mean(values))
    return Interval(mean=mean, low=mean - spread, high=mean + spread, count=len(values))


def condition(plan: Plan, runs: list[RunFindings]) -> Condition:
    """Of the runs that carry its name."""
    mine = [r for r in runs if r.condition == plan.name]
    ends = [r.spending.accuracy_end for r in mine if r.spending.accuracy_end is not None]
    starts = [r.spending.accuracy_start for r in mine if r.spending.accuracy_start is not None]
    areas = [r.spending.area for r in mine if r.spending.area is not None]
    return Condition(
        name=plan.name,
        policy=plan.policy,
        budget=plan.budget,
        settings=mine[0].settings,
        runs=tuple(r.name for r in mine),
        seeds=tuple(r.seed for r in mine),
        finished=sum(r.state == "done" for r in mine),
        collapsed=sum(bool(r.verdict.collapsed) for r in mine),
        judged=sum(r.verdict.collapsed is not None for r in mine),
        labels=interval([float(r.spending.labels) for r in mine if r.steps], 0.0),
        accuracy=interval(ends),
        area=interval(areas),
        uses_oracle=plan.oracle,
        on_frontier=plan.policy in ("full", "anchored", "none"),
        start=interval(starts),
    )


def comparison(runs: list[RunFindings]) -> Comparison:
    """Conditions best first, three contrasts, a recommendation."""
    conditions = tuple(
        condition(plan, runs)
        for plan in (*PLANS, WAITING)
        if any(r.condition == plan.name for r in runs)
    )
    contrasts = tuple(
        Contrast(
            better=better,
            worse=worse,
            paired=True,
            p_value=p,
            p_adjusted=min(1.0, 3 * p),
            difference=Interval(mean=d, low=d - 0.06, high=d + 0.06, count=5),
            significant=3 * p < 0.05,
        )
        for better, worse, d, p in (
            ("full", "anchored budget=0.2", 0.04, 0.31),
            ("anchored budget=0.2", "care budget=0.2", 0.25, 0.0156),
            ("care budget=0.2", "none", 0.38, 0.0156),
        )
    )
    return Comparison(
        conditions=conditions,
        contrasts=contrasts,
        target=0.6,
        advice=(
            Advice(rank=1, condition="anchored budget=0.2", text="Nearly as good as all labels."),
            Advice(
                rank=2,
                condition="anchored budget=0.05",
                text="The fewest labels without a collapse.",
            ),
            Advice(rank=3, condition="none", text="Do not use: every run collapsed."),
        ),
        recommendation="Use anchored budget=0.2: 0.72 held-out accuracy for 1,950 labels, "
        "and no run of 5 collapsed.",
        cautions=("care budget=0.1 has no finished run.", "Five seeds cannot give p below 0.0156."),
    )


def findings(**changes: object) -> Findings:
    """The whole made-up report; fields can be replaced."""
    runs = [run(plan, seed) for plan in PLANS for seed in range(1, len(plan.kinds) + 1)]
    runs += [
        run(WAITING, 1, last=40, state="running"),
        run(WAITING, 2, last=0, state="planned"),
        run(WAITING, 3, last=60, state="failed"),
    ]
    whole = Findings(
        title="study",
        sources=("runs/study",),
        runs=tuple(runs),
        comparison=comparison(runs),
        problems=(Problem(path="runs/study/old", text="no metrics: not a run folder"),),
        made="2026-01-05T10:00:00+00:00",
        version="0.1.0",
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def many(count: int) -> Findings:
    """As many runs, in conditions of five seeds."""
    base = findings()
    runs, conditions = [], []
    for group in range(count // 5):
        plan = PLANS[group % len(PLANS)]
        name = f"{plan.name} temperature={0.5 + group / 100:.2f}"
        kinds = (*plan.kinds, *plan.kinds)[:5]
        long = replace(plan, kinds=kinds)
        mine = [
            replace(run(long, seed), name=f"{name}/{seed}", condition=name) for seed in range(1, 6)
        ]
        runs += mine
        conditions.append(
            replace(
                condition(plan, [replace(r, condition=plan.name) for r in mine]),
                name=name,
                runs=tuple(r.name for r in mine),
            )
        )
    conditions.sort(key=lambda a: -(a.accuracy.mean if a.accuracy else 0.0))
    return replace(
        base,
        runs=tuple(runs),
        comparison=replace(base.comparison, conditions=tuple(conditions), contrasts=()),
    )


ATTACK = '<b></script><img src=x onerror="alert(1)"><script>alert(2)</script>{{7*7}}'
"""What a stranger's folder or a model may call itself."""


def hostile() -> Findings:
    """The whole report with hostile texts in every place that takes foreign ones."""
    base = findings()
    bad = ATTACK
    example = {"step": bad, "prompt": bad, "response": bad, "vote": bad, bad: bad}
    runs = tuple(
        replace(
            run,
            name=f"{bad}{step_key}",
            folder=bad,
            condition=f"{bad}{run.condition}",
            state=bad,
            settings={bad: bad},
            examples=(example,),
            problems=(Problem(path=bad, text=bad),),
            verdict=replace(run.verdict, text=bad, warning=bad, measured_by=bad),
            curves={**run.curves, bad: run.curves["accuracy"]} if run.curves else {},
            health=replace(run.health, phases={bad: 1.0} if run.steps else {}, device=bad),
        )
        for step_key, run in enumerate(base.runs)
    )
    told = base.comparison
    conditions = tuple(
        replace(condition, name=f"{bad}{condition.name}", policy=bad)
        for condition in told.conditions
    )
    return replace(
        base,
        title=bad,
        sources=(bad,),
        runs=runs,
        version=bad,
        made=bad,
        problems=(Problem(path=bad, text=bad),),
        comparison=replace(
            told,
            conditions=conditions,
            recommendation=bad,
            cautions=(bad,),
            advice=(Advice(rank=1, condition=bad, text=bad),),
            contrasts=tuple(replace(c, better=bad, worse=bad) for c in told.contrasts),
        ),
    )
