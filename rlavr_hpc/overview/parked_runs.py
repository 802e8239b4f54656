"""What parked runs wait for, as a bridge or a desk follows it until they can go on.

A label may need several answers (`labels.redundancy`), and questions with a known answer
(`labels.gold`) give none. So labels are counted, by the run's ledger: it stands still while the run
is parked, and is read once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.config.labels import Resolve
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.labels.mailbox import AnswersIn
from rlavr_hpc.labels.orders import Answer
from rlavr_hpc.labels.served_run import ServedRun
from rlavr_hpc.overview.release_parked import is_released, release_enough, spared_labels
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.runs.heartbeat import LastHeartbeat, read_heartbeat


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitedLabels:
    """The labels that one parking waits for."""

    attempt: int
    """That parked."""
    orders: list[list[str]]
    """Per label the keys of its orders."""
    whole: bool
    """False: the ledger does not say what the heartbeat says, maybe because not all that another
    host wrote is seen yet; then each question of the mailbox counts as a label."""
    answers: int
    """That were there when this was found out."""


@dataclass(slots=True)
class ParkedRuns:
    """All parked runs that are served by one process."""

    _awaited: dict[Path, AwaitedLabels] = field(default_factory=dict)
    _too_few: dict[Path, tuple[int, int]] = field(default_factory=dict)
    """Run -> attempt and answers with which it could not go on: nothing has to be counted again."""

    def release(self, run: ServedRun) -> None:
        """Let a parked run go on when enough of its labels are there.

        Raises:
            OSError: the run's folder cannot be written.
        """
        beat = read_heartbeat(run.run_dir).heartbeat
        if beat is None or not beat.parked:
            return
        seen = (beat.attempt, len(run.answers.first))
        if self._too_few.get(run.run_dir) == seen or is_released(run.run_dir, beat):
            return
        still_open = len(self._lacking(run, beat))
        if still_open > spared_labels(beat, run.config):
            self._too_few[run.run_dir] = seen
            return
        release_enough(run.run_dir, still_open, run.config, run.say)

    def answers_lacking(self, run: ServedRun) -> int:
        """The fewest answers that let a run go on; of one that is not parked, all open ones."""
        beat = read_heartbeat(run.run_dir).heartbeat
        if beat is None or not beat.parked:
            return len(run.open)
        lacking = sorted(self._lacking(run, beat))
        return sum(lacking[: max(0, len(lacking) - spared_labels(beat, run.config))])

    def _lacking(self, run: ServedRun, beat: LastHeartbeat) -> list[int]:
        """Of each label that lacks answers: how many.

        One whose answers are all there is settled or void, or the run itself will order another
        answer when it goes on.
        """
        counts = (
            _to_come(keys, run.answers.first, run.config.resolve)
            for keys in self._labels(run, beat).orders
        )
        return [count for count in counts if count]

    def _labels(self, run: ServedRun, beat: LastHeartbeat) -> AwaitedLabels:
        known, answers = self._awaited.get(run.run_dir), len(run.answers.first)
        if known is None or known.attempt != beat.attempt:
            known = None
        if known is not None and (known.whole or known.answers == answers):
            return known
        orders = orders_of_labels(run.run_dir)
        whole = len(orders) == beat.pending
        known = AwaitedLabels(
            attempt=beat.attempt,
            orders=orders if whole else _by_question(run),
            whole=whole,
            answers=answers,
        )
        self._awaited[run.run_dir] = known
        return known


def orders_of_labels(run_dir: Path) -> list[list[str]]:
    """Keys of the orders of each label that a run's newest step waits for, by its ledger."""
    try:
        history = read_ledger(run_dir).orders
    except RlavrError:
        return []  # damaged, which the run's next start tells
    newest = max((step for step, _ in history.unsettled), default=None)
    return [
        [order.key for order in history.of_intent[intent]]
        for intent in history.unsettled
        if intent[0] == newest
    ]


def labels_lacking(run_dir: Path) -> int | None:
    """How many labels a parked run still lacks, by its ledger and mailbox; None = not known."""
    try:
        rule = read_config(run_dir).labels.resolve
        answers = AnswersIn(run_dir)
        answers.look()
    except (RlavrError, OSError):
        return None
    orders = orders_of_labels(run_dir)
    return sum(_to_come(keys, answers.first, rule) > 0 for keys in orders) if orders else None


def _by_question(run: ServedRun) -> list[list[str]]:
    found: dict[str, list[str]] = {}
    for key, order in run.orders.orders.items():
        found.setdefault(order.prompt_id, []).append(key)
    return list(found.values())


def _to_come(keys: Sequence[str], answers: Mapping[str, Answer], rule: Resolve) -> int:
    """Answers that a label lacks before the run can settle it."""
    given = [answers[key] for key in keys if key in answers]
    if rule is Resolve.first and any(one.void is None for one in given):
        return 0
    missing = len(keys) - len(given)
    return min(1, missing) if rule is Resolve.first else missing
