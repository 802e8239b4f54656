"""`python -m benchmarks.alarm`: how the collapse alarm does on simulated votes.

Three tables: false alarms over a whole run where the bounds are exactly met (the worst case) and on
sound runs, delays after a fall, and audits until a share of right votes is certified. One core, a
few minutes; `--quick` takes a tenth of the runs. Exit code 1 when a false-alarm rate is above what
is promised. Nothing is trained: see `docs/collapse-alarm.md` for runs of the product.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.alarm_simulation import LEVEL, Array, Simulation, slow, sudden
from benchmarks.machine import machine

OUT = Path(__file__).parent / "results"
SEED = 20360
SHORT, LONG = 150, 5000
CERTIFIED = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseAlarms:
    """How often sound runs of one kind were called."""

    bound: str
    votes: str
    steps: int
    runs: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """After how many steps a fall was found; None = not by the end of the run."""

    bound: str
    votes: str
    audits: str
    median: float | None
    late: float | None
    """Of 90% of the runs."""
    found: float
    """Share of the runs."""
    early: float
    """Share with an alarm before the fall."""


def main() -> int:
    """Simulate, write the tables, and say whether every rate is as promised."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alarm", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs")
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    scale, seed = 0.1 if arguments.quick else 1.0, arguments.seed
    false = list(tqdm(false_alarms(scale, seed), desc="false alarms", disable=None))
    delays = list(tqdm(fall_delays(scale, seed), desc="delays", disable=None))
    certificates = list(tqdm(certificate_delays(scale, seed), desc="certificates", disable=None))
    text = tables(false, delays, certificates)
    print(text)
    name = "alarm-quick" if arguments.quick else "alarm"
    OUT.joinpath(f"{name}.md").write_text(text)
    record = {
        "machine": machine(),
        "seed": seed,
        "level": LEVEL,
        "false_alarms": [asdict(row) for row in false],
        "delays": [asdict(row) for row in delays],
        "certificates": [asdict(row) for row in certificates],
    }
    OUT.joinpath(f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    return 0 if all(kept_promise(row) for row in false) else 1


def kept_promise(row: FalseAlarms) -> bool:
    """Whether the share is within three standard errors of the promised one, or below it."""
    return bool(row.share <= LEVEL + 3 * (LEVEL * (1 - LEVEL) / row.runs) ** 0.5)


def false_alarms(scale: float, seed: int) -> Iterator[FalseAlarms]:
    """On the null: exactly on the bound, and on sound runs."""
    for steps, many, few in ((SHORT, 20000, 600), (LONG, 4000, 60)):
        for floor in (0.5, 0.8):
            exact = Simulation(chance_T=np.full(steps, floor), runs=int(many * scale), seed=seed)
            found = exact.with_floor(floor, per_step=1)
            yield _false("floor, 1 a step", f"exactly on {floor}", exact, found)
        some = max(20, int(few * scale))
        for votes, chance_T in sound_votes(steps):
            runs = Simulation(chance_T=chance_T, runs=some, seed=seed)
            if steps == SHORT or votes == "constant":
                yield _false("0.9 of the best", votes, runs, runs.against_best(per_step=1))
            for stable in (True, False):
                name = f"{votes}, {'the same' if stable else 'other'} prompts right"
                found = runs.with_pairs(98, stable=stable)
                yield _false("pairs, 98 kept", name, runs, found)


def sound_votes(steps: int) -> Iterator[tuple[str, Array]]:
    """Shares of right votes of runs that lose less than a tenth."""
    yield "constant", np.full(steps, 0.6)
    yield "falls to 0.9", sudden(0.6, 0.54, at=steps // 4, steps=steps)
    if steps == SHORT:
        yield "rising", np.linspace(0.4, 0.8, steps)
        yield "noisy", 0.6 + 0.03 * np.sin(np.arange(steps))


def _false(bound: str, votes: str, runs: Simulation, alarm_R: Array) -> FalseAlarms:
    share = float(np.isfinite(alarm_R).mean())
    return FalseAlarms(bound=bound, votes=votes, steps=runs.steps, runs=runs.runs, share=share)


FALLS: tuple[tuple[str, Array, int, float], ...] = (
    ("0.6 > 0.1 at 40", sudden(0.6, 0.1, at=40, steps=SHORT), 40, 0.5),
    ("0.6 > 0, unparsable, at 75", sudden(0.6, 0.0, at=75, steps=SHORT), 75, 0.5),
    ("0.9 > 0.3 at 60", sudden(0.9, 0.3, at=60, steps=SHORT), 60, 0.8),
    ("0.97 > 0.6 at 60", sudden(0.97, 0.6, at=60, steps=SHORT), 60, 0.8),
    ("0.9 > 0.3 slowly, 30 to 130", slow(0.9, 0.3, begin=30, end=130, steps=SHORT), 30, 0.8),
    ("0.6 > 0.42 at 40", sudden(0.6, 0.42, at=40, steps=SHORT), 40, 0.5),
)
"""Votes, their share by step, the last step before the fall, and a floor that fits."""


def fall_delays(scale: float, seed: int) -> Iterator[Delay]:
    """Of each bound alone at 0.05."""
    for votes, chance_T, at, floor in FALLS:
        many = Simulation(chance_T=chance_T, runs=int(2000 * scale), seed=seed)
        some = Simulation(chance_T=chance_T, runs=int(300 * scale), seed=seed)
        for per_step in (0.5, 1.0, 2.0):
            audits = f"{per_step:g} a step"
            if votes != FALLS[-1][0]:  # it does not fall below a floor that it was above
                found = many.with_floor(floor, per_step=per_step)
                yield _delay(f"floor {floor}", votes, audits, found, at)
            found = some.against_best(per_step=per_step)
            yield _delay("0.9 of the best", votes, f"{audits} + 64", found, at)
        for labels in (49, 98):
            found = some.with_pairs(labels, stable=True)
            yield _delay("pairs", votes, f"{labels} kept", found, at)


def certificate_delays(scale: float, seed: int) -> Iterator[Delay]:
    """Audits until 0.8 is certified; where 0.8 is just not true, how often it is all the same."""
    for chance in (1.0, 0.97, 0.95, 0.9, 0.85, 0.8):
        runs = Simulation(chance_T=np.full(1500, chance), runs=int(2000 * scale), seed=seed)
        votes = f"right on {chance:g}"
        yield _delay("certificate", votes, "1 a step", runs.certified(CERTIFIED), 0)


def _delay(bound: str, votes: str, audits: str, alarm_R: Array, at: int) -> Delay:
    later_R = np.where(alarm_R > at, alarm_R - at, np.inf)
    return Delay(
        bound=bound,
        votes=votes,
        audits=audits,
        median=_finite(np.median(later_R)),
        late=_finite(np.quantile(later_R, 0.9, method="higher")),
        found=float(np.isfinite(later_R).mean()),
        early=float((alarm_R <= at).mean()),
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def tables(false: list[FalseAlarms], delays: list[Delay], certificates: list[Delay]) -> str:
    """All results as Markdown."""
    lines = ["# Collapse alarm, simulated", "", "## False alarms in a whole run", ""]
    lines += ["| bound | votes | steps | runs | share |", "|---|---|---|---|---|"]
    lines += [f"| {r.bound} | {r.votes} | {r.steps} | {r.runs} | {r.share:.4f} |" for r in false]
    lines += ["", "## Steps from the fall to the alarm, each bound alone at 0.05", ""]
    lines += _delay_table(delays, "steps, median", lambda row: f"{row.votes} | {row.bound}")
    lines += ["", f"## Audits until {CERTIFIED} is certified", ""]
    lines += _delay_table(certificates, "audits, median", lambda row: f"{row.votes} | {row.bound}")
    return "\n".join(lines) + "\n"


def _delay_table(rows: list[Delay], unit: str, name: Callable[[Delay], str]) -> list[str]:
    return [
        f"| votes | bound | audited | {unit} | of 90% | found | before |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {name(row)} | {row.audits} | {_cell(row.median)} | {_cell(row.late)} "
            f"| {row.found:.2f} | {row.early:.3f} |"
            for row in rows
        ),
    ]


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


if __name__ == "__main__":
    sys.exit(main())
