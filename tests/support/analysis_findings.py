"""What is found about a run, made by hand."""

from __future__ import annotations

from typing import Any

from analysis.run_findings import CollapseVerdict, Health, RunFindings, Spending


def make_findings(
    condition: str,
    end: float | None,
    *,
    start: float | None = 0.4,
    labels: int = 100,
    collapsed: bool | None = False,
    **facts: Any,  # noqa: ANN401
) -> RunFindings:
    """A finished run of a condition whose held-out accuracy went from `start` to `end`."""
    seed = facts.get("seed", 1)
    known = start is not None and end is not None
    told: dict[str, Any] = {
        "name": f"{condition}-{seed}",
        "folder": f"{condition}-{seed}",
        "sweep": None,
        "policy": condition.split()[0],
        "budget": 0.2,
        "budget_effective": 0.2,
        "seed": seed,
        "steps": 150,
        "steps_planned": 150,
        "state": "done",
        "uses_oracle": False,
        "settings": {},
        "verdict": CollapseVerdict(collapsed=collapsed),
        "health": Health(),
        "curves": {},
        "spending": Spending(
            labels=labels,
            accuracy_start=start if known else None,
            accuracy_end=end,
            curve=((0.0, float(start or 0)), (float(labels), float(end or 0))) if known else (),
        ),
        **facts,
    }
    return RunFindings(condition=condition, **told)


def seeds(condition: str, *ends: float | None, **facts: Any) -> list[RunFindings]:  # noqa: ANN401
    """Runs of one condition with seeds 1, 2, ... and these final accuracies."""
    return [
        make_findings(condition, end, seed=number, **facts) for number, end in enumerate(ends, 1)
    ]
