"""Run folders with purchases in them, made by the writers themselves, without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rlavr_hpc.acquisition.ledger import Ledger
from rlavr_hpc.acquisition.purchase_history import Purchase
from rlavr_hpc.answers.timed_out_answers import TimedOutAnswers, read_timed_out
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.runs.attempts import check_fence
from rlavr_hpc.runs.folder import open_run_folder
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.reduce import Mean
from rlavr_hpc.telemetry.sinks import MetricsFile
from rlavr_hpc.types import StepKey
from tests.support.attempts import begin_attempt


class Worker:
    """One attempt of a run with its three files open."""

    def __init__(self, run_dir: Path) -> None:
        self.attempt = begin_attempt(run_dir, resumed_from=0)
        self.run_dir = run_dir
        self.stalled = False
        """Stopped between fence check and write: it passes its fence whatever happened since."""
        number = self.attempt.number
        self.ledger = Ledger(run_dir, number, fence=self._fence)
        self.metrics = MetricsFile(run_dir, number, fence=self._fence)
        self.timed_out = TimedOutAnswers(
            run_dir, number, fence=self._fence, answer_ids=read_timed_out(run_dir)
        )

    def _fence(self) -> None:
        if not self.stalled:
            check_fence(self.run_dir, self.attempt)

    def buy(self, step: int, *prompts: str, tell: bool = True) -> None:
        """Decide and buy a step's labels; a prompt named void... has none."""
        step_key = StepKey(seed=1, step=step)
        self.ledger.decide(step_key, prompts, quota=len(prompts))
        answers = {p: None if p.startswith("void") else f"is {p}" for p in prompts}
        self.ledger.commit(
            step_key,
            {p: Purchase(answer=a, cost=0.0 if a is None else 1.0) for p, a in answers.items()},
        )
        if tell:
            self.tell(step, sum(a is not None for a in answers.values()))

    def tell(self, step: int, labels: int) -> None:
        """Write the step's row of metrics."""
        self.metrics.write(StepKey(seed=1, step=step), {names.LABELS_BOUGHT: Mean(labels)})


def write_run(
    folder: Path, config: RunConfig, *attempts: Mapping[int, Sequence[str]]
) -> list[Worker]:
    """A run folder in which each attempt bought these prompts, by step."""
    open_run_folder(folder, config)
    workers = []
    for steps in attempts:
        workers.append(Worker(folder))
        for step, prompts in steps.items():
            workers[-1].buy(step, *prompts)
    return workers
