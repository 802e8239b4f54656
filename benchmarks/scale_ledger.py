"""`python -m benchmarks.scale_ledger make|append|open|step FOLDER RECORDS`: only purchases.

`append` buys through the product's own `Ledger`, durable at every step. `make` yields the same
lines (the product's own chain of hashes, in segments that the next attempt's token seals) without
a flush to the disk at every step, for ledgers that no benchmark could wait for. `open` is what a
resumed run does first, `step` what rank 0 does in one more step behind it. Each prints its figures
as one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from tqdm import tqdm

from rlavr_hpc.acquisition.buy import find_candidates
from rlavr_hpc.acquisition.ledger import FOLDER, Ledger, read_ledger
from rlavr_hpc.acquisition.ledger_lines import GENESIS, chain_line
from rlavr_hpc.acquisition.ledger_state import budget_rules
from rlavr_hpc.acquisition.market import DatasetMarket
from rlavr_hpc.acquisition.purchase_history import Purchase
from rlavr_hpc.config.run import RunConfig, resolve
from rlavr_hpc.config.shipped import CONF
from rlavr_hpc.io import canonical_json, make_folder
from rlavr_hpc.labels.dataset import DatasetLabels
from rlavr_hpc.runs.attempts import Attempt, check_fence, publish_attempt, read_attempts, segment
from rlavr_hpc.runs.folder import open_run_folder, read_config
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.sinks import FOLDER as METRICS
from rlavr_hpc.telemetry.sinks import VERSION
from rlavr_hpc.types import StepKey

MARKET = DatasetMarket(labels=DatasetLabels())
BATCH, LABELS = 64, 13
"""Prompts and labels of a step: a fifth is bought."""
LINES = 1 + LABELS
"""Of a step: the decision, and a label each."""
ATTEMPTS = 5
"""Into whose segments a ledger that was made is split."""
STEPS = 20
"""Of which `step` tells the median."""


def main() -> int:
    """Do one of them and print what it took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_ledger", description=__doc__)
    parser.add_argument("verb", choices=sorted(VERBS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("records", type=int)
    given = parser.parse_args()
    print(json.dumps(VERBS[given.verb](given.folder, given.records)))
    return 0


def make(run_dir: Path, records: int) -> dict[str, Any]:
    """A run folder with so many lines or up to `LINES - 1` more, in sealed segments."""
    open_run_folder(run_dir, config_for(records))
    steps = _steps(records)
    head, number = GENESIS, 0
    share = -(-steps // ATTEMPTS)
    for first in range(1, steps + 1, share):
        attempt = _begin(run_dir, first - 1)
        some = range(first, min(steps, first + share - 1) + 1)
        head, number = _make_segment(run_dir, attempt, some, head=head, number=number)
    return {"records": number}


def _make_segment(
    run_dir: Path, attempt: Attempt, steps: range, *, head: str, number: int
) -> tuple[str, int]:
    """One attempt's ledger and metrics; the last line's hash and how many lines there are now."""
    ledger, metrics = (
        segment(make_folder(run_dir / name).parent, name, attempt.number)
        for name in (FOLDER, METRICS)
    )
    with ledger.open("x") as lines, metrics.open("x") as rows:
        for step in tqdm(steps, desc=f"segment {attempt.number}", unit="step", disable=None):
            chained = chain_line(_rows(step), StepKey(seed=1, step=step), head=head, number=number)
            lines.writelines(canonical_json(row) + "\n" for row in chained)
            head, number = chained[-1]["hash"], number + len(chained)
            told = {
                "v": VERSION,
                "step": step,
                "branch": 0,
                "attempt": attempt.number,
                "time": time.time(),
                names.LABELS_BOUGHT: float(LABELS),
            }
            rows.write(canonical_json(told) + "\n")
    return head, number


def append(run_dir: Path, records: int) -> dict[str, Any]:
    """Buy so many lines, or up to `LINES - 1` more, as a run does."""
    open_run_folder(run_dir, config_for(records))
    attempt = _begin(run_dir, 0)
    fence = partial(check_fence, run_dir, attempt)
    ledger = Ledger(run_dir, attempt.number, fence=fence)
    begun = time.perf_counter()
    for step in tqdm(range(1, _steps(records) + 1), unit="step", disable=None):
        step_key = StepKey(seed=1, step=step)
        prompts = ledger.decide(step_key, _prompts(step), quota=LABELS)
        ledger.commit(step_key, {p: Purchase(answer=_answer(p), cost=1.0) for p in prompts})
    took = time.perf_counter() - begun
    size = segment(run_dir, FOLDER, attempt.number).stat().st_size
    return {
        "records": ledger.state.lines,
        "bytes_per_record": size / ledger.state.lines,
        "milliseconds_per_step": 1000 * took / _steps(records),
    }


def open_again(run_dir: Path, _: int) -> dict[str, Any]:
    """What an attempt does with the purchases behind it before it owns the folder, and after."""
    ledger_state = read_ledger(run_dir)
    ledger_state.check(budget_rules(read_config(run_dir)))
    attempt = _begin(run_dir, 0)
    ledger = Ledger(run_dir, attempt.number, fence=partial(check_fence, run_dir, attempt))
    return {"records": ledger.state.lines}


def one_step(run_dir: Path, records: int) -> dict[str, Any]:
    """The ledger's part of a step behind so many records."""
    attempt, rules = _begin(run_dir, 0), budget_rules(read_config(run_dir))
    ledger = Ledger(run_dir, attempt.number, fence=partial(check_fence, run_dir, attempt))
    took = []
    for step in range(_steps(records) + 1, _steps(records) + 1 + STEPS):
        step_key, begun = StepKey(seed=1, step=step), time.perf_counter()
        find_candidates(
            (), step_key=step_key, ledger=ledger, rules=rules, quota=LABELS, market=MARKET
        )
        prompts = ledger.decide(step_key, _prompts(step), quota=LABELS)
        ledger.commit(step_key, {p: Purchase(answer=_answer(p), cost=1.0) for p in prompts})
        _ = ledger.state.bought_until(step_key), ledger.state.asked_until(step_key)
        took.append(time.perf_counter() - begun)
    return {"records": ledger.state.lines, "milliseconds_per_step": 1000 * median(took[1:])}


def config_for(records: int) -> RunConfig:
    """Of a run long enough to buy them."""
    ConfigStore.instance().store(name="schema", node=RunConfig)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        wanted = [f"steps={_steps(records)}", f"algorithm.batch={BATCH}", "budget=0.2"]
        return resolve(compose("config", ["acquisition=random", *wanted]))


def _begin(run_dir: Path, step: int) -> Attempt:
    attempt = publish_attempt(run_dir, resumed_from=step, after=len(read_attempts(run_dir)))
    assert attempt is not None
    return attempt


def _steps(records: int) -> int:
    return -(-records // LINES)


def _rows(step: int) -> Iterator[dict[str, Any]]:
    prompts = _prompts(step)
    yield {"kind": "intent", "prompts": prompts, "quota": LABELS}
    for prompt in prompts:
        yield {"kind": "commit", "prompt": prompt, "label": _answer(prompt), "cost": 1.0}


def _prompts(step: int) -> list[str]:
    """Every one is new: with `reuse_labels`, the default, none is bought twice."""
    return [f"{step * LABELS + i:016x}" for i in range(LABELS)]


def _answer(prompt: str) -> str:
    return str(int(prompt, 16) * 7919 % 1000)


VERBS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "make": make,
    "append": append,
    "open": open_again,
    "step": one_step,
}

if __name__ == "__main__":
    sys.exit(main())
