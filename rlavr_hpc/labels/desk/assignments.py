"""Who is asked what: no key to two people at a time, no question twice to one.

An answer is held back until its annotator sends the next one, or for a minute, so that it can be
undone: one key has one answer, and what is in a mailbox stays. What is held is on disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rlavr_hpc.labels.desk.journal import DeskJournal
from rlavr_hpc.labels.desk.mailboxes import Mailboxes, OpenOrder
from rlavr_hpc.labels.orders import Answer, read_answer
from rlavr_hpc.labels.printable import printable
from rlavr_hpc.labels.served_run import Say

HOLD_SECONDS = 60.0
MEDIANS = 3.0
"""A claim lasts so many times the median answer."""
FEW_ANSWERS = 5
"""Below this many the median says nothing."""
FIRST_CLAIM_SECONDS = 1_800.0
SHORTEST_CLAIM_SECONDS = 300.0


class Kept(StrEnum):
    """What became of an answer that was sent in."""

    kept = "kept"
    closed = "closed"
    """Somebody else's came first, or it is not wanted any more."""
    not_given = "not_given"
    """The key was never given to this annotator."""


@dataclass(slots=True, kw_only=True)
class Claim:
    """A question in somebody's hands."""

    annotator: str
    since: float
    """Unix time at which it was first shown."""
    renewed: float
    """Unix time from which on it runs out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAnswer:
    """An answer that can still be undone."""

    answer: Answer
    at: float


@dataclass(slots=True)
class Assignments:
    """Claims and held answers."""

    journal: DeskJournal
    mail: Mailboxes
    say: Say
    claim_minutes: float | None = None
    """None = three times the median answer."""
    claims: dict[str, Claim] = field(default_factory=dict)
    """By key, the newest."""
    given: dict[tuple[str, str], float] = field(default_factory=dict)
    """(annotator, key) of all claims -> when it was first shown."""
    held: dict[str, HeldAnswer] = field(default_factory=dict)
    """By annotator."""
    taken_back: dict[str, Answer] = field(default_factory=dict)
    """By annotator, the one that was undone last."""
    sent_at: dict[tuple[str, str], float] = field(default_factory=dict)
    """(annotator, key) -> when it was answered; undone ones are out."""

    def __post_init__(self) -> None:
        """Learn from the journal."""
        self.journal.readers.append(self.take_in)

    def take_in(self, row: Mapping[str, Any]) -> None:
        """Learn from a line of the journal."""
        who, at = str(row.get("annotator", "")), float(row["at"])
        if "claim" in row:
            key = str(row["claim"])
            since = self.given.setdefault((who, key), at)
            self.claims[key] = Claim(annotator=who, since=since, renewed=at)
        elif "hold" in row:
            answer = read_answer(row["hold"])
            self.held[answer.annotator] = HeldAnswer(answer=answer, at=at)
            self.sent_at[answer.annotator, answer.key] = at
        elif "undo" in row and (one := self.held.get(who)) and one.answer.key == row["undo"]:
            self.taken_back[who] = self.held.pop(who).answer
            self.sent_at.pop((who, one.answer.key), None)

    def offer(self, annotator: str, now: float) -> OpenOrder | None:
        """The question for an annotator, the one in hand first; None = there is none.

        Raises:
            OSError: the claim could not be written; nothing is given out.
        """
        mine = {key for key, claim in self.claims.items() if claim.annotator == annotator}
        fitting = list(self._fitting(annotator, now))
        if not fitting:
            return None
        in_hand = [key for key in fitting if key in mine]
        key = max(in_hand, key=lambda key: self.claims[key].renewed, default=fitting[0])
        if key not in mine or self._ran_out(self.claims[key], now):
            self.journal.note(claim=key, annotator=annotator)
        return self.mail.open[key]

    def left(self, annotator: str, now: float) -> int:
        """Questions that this annotator could be given now."""
        contents = {self.mail.content(key) for key in self._fitting(annotator, now)}
        return len(contents)

    def keep(self, answer: Answer) -> Kept:
        """Hold an answer back; the annotator's last one goes out.

        Raises:
            OSError: it is not on disk and does not count.
        """
        who, key = answer.annotator, answer.key
        if (who, key) not in self.given:
            return Kept.not_given
        before = self.holding(who)
        if before is None or before.answer.key != key:
            self.release(who)
            if not self._still_wanted(who, key):
                return Kept.closed
        self.journal.note(hold=answer.to_row(), annotator=who)
        return Kept.kept

    def holding(self, annotator: str) -> HeldAnswer | None:
        """The answer that an annotator can still undo."""
        held = self.held.get(annotator)
        return held if held is not None and held.answer.key in self.mail.open else None

    def undo(self, annotator: str) -> Answer | None:
        """Take back the last answer, whose question is then in the annotator's hands again."""
        held = self.holding(annotator)
        if held is None:
            return None
        self.journal.note(undo=held.answer.key, annotator=annotator)
        self.journal.note(claim=held.answer.key, annotator=annotator)
        return held.answer

    def release(self, annotator: str) -> None:
        """The answer that an annotator can undo is final.

        Raises:
            OSError: it could not be written; it stays held.
        """
        held = self.held.get(annotator)
        if held is not None and not self.mail.put(held.answer):
            counted = self.mail.answers.get(held.answer.key)
            if counted is None or counted.annotator != annotator:
                key, who = held.answer.key[:8], printable(annotator)
                self.say(
                    f"{key}: the answer of {who} came too late; it is in {self.journal.folder}"
                )
        self.held.pop(annotator, None)

    def release_due(self, now: float, *, everything: bool = False) -> None:
        """What was held for long enough is final; raises as `release`."""
        for annotator, held in list(self.held.items()):
            known = bool(self.mail.content(held.answer.key))  # its run may not be found yet
            if known and (everything or now - held.at >= HOLD_SECONDS):
                self.release(annotator)

    def next_due(self, now: float) -> float | None:
        """Seconds until an answer was held for long enough; None = none is held."""
        ends = (one.at + HOLD_SECONDS for one in self.held.values())
        return min((end - now for end in ends if end > now), default=None)

    @property
    def claim_seconds(self) -> float:
        """How long a question stays with one annotator."""
        if self.claim_minutes is not None:
            return 60.0 * self.claim_minutes
        middle = self.mail.median_seconds(FEW_ANSWERS)
        if middle is None:
            return FIRST_CLAIM_SECONDS
        return max(SHORTEST_CLAIM_SECONDS, MEDIANS * middle)

    def _fitting(self, annotator: str, now: float) -> Iterator[str]:
        """Keys that this annotator could be given, the most wanted first."""
        answered = self._answered(annotator)
        held = {one.answer.key for one in self.held.values()}
        for key in self.mail.open:
            claim = self.claims.get(key)
            others = claim is not None and claim.annotator != annotator
            if key in held or self.mail.content(key) in answered:
                continue
            if claim is None or not others or self._ran_out(claim, now):
                yield key

    def _ran_out(self, claim: Claim, now: float) -> bool:
        return now - claim.renewed > self.claim_seconds

    def _answered(self, annotator: str) -> set[str]:
        held = self.held.get(annotator)
        seen = self.mail.seen.get(annotator, set())
        return seen if held is None else {*seen, self.mail.content(held.answer.key)}

    def _still_wanted(self, annotator: str, key: str) -> bool:
        """A late answer counts while the order is open and nobody else has answered it."""
        others = (one.answer.key for who, one in self.held.items() if who != annotator)
        wanted = key in self.mail.open and key not in others
        return wanted and self.mail.content(key) not in self._answered(annotator)
