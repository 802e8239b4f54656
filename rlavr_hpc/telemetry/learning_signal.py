"""Whether a step can teach anything: what is true of all its responses at once, and what mends it.

A step whose responses cannot be read, or that all earn the same, moves no weight. It looks like
any other step: labels are bought, time passes, nothing collapses. So it is told, after the first
step and wherever a run is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from rlavr_hpc.telemetry import names

EVERYWHERE = ("auto", "any")
"""Values of `grading.extract` with which every known place is read."""
ENDINGS = 3
"""Responses whose ends are shown."""
ENDING_CHARACTERS = 100
"""Of a response, from its end: the answer stands there."""


class SignalLoss(StrEnum):
    """What all responses of a step have in common, so that little or nothing can be learnt."""

    unparsable = "unparsable"
    """No answer could be read."""
    truncated = "truncated"
    """The limit on the length ended all of them."""
    unanimous = "unanimous"
    """In every group all answers are equal."""
    all_right = "all_right"
    """All earn the full reward."""
    all_wrong = "all_wrong"
    """None earns anything."""
    equal_rewards = "equal_rewards"
    """In every group all rewards are equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradingKeys:
    """Values of the settings that a loss of the signal depends on; None = not known."""

    extract: str | None = None
    """`grading.extract`."""
    max_response_tokens: int | None = None
    """`rollout.max_response_tokens`."""
    mathematics: bool = True
    """Whether some prompts may be mathematics: `grading.extract` is about these alone."""
    chooses_task: bool = True
    """Whether another task can be chosen for the prompts."""
    reads: tuple[str, ...] = ()
    """Forms that the task of all prompts reads, as a sentence names them; empty = not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LostSignal:
    """Steps of a run that taught nothing, or whose responses were all cut off."""

    losses: tuple[SignalLoss, ...]
    """What holds for all of these steps."""
    first_step: int
    steps: int
    """How many."""
    of: int
    """Steps of the run so far."""

    @property
    def throughout(self) -> bool:
        """Whether it holds for all steps of the run."""
        return self.steps == self.of

    @property
    def nothing_learnt(self) -> bool:
        """Whether all steps taught nothing; answers that are cut off alone may teach something."""
        return self.throughout and any(loss is not SignalLoss.truncated for loss in self.losses)


WORDS = {
    SignalLoss.unparsable: "no response could be read",
    SignalLoss.truncated: "all responses were cut off at their limit",
    SignalLoss.unanimous: "in every group all answers are equal",
    SignalLoss.all_right: "every response earned the full reward",
    SignalLoss.all_wrong: "no response earned anything",
    SignalLoss.equal_rewards: "in every group all rewards are equal",
}


def losses_of(row: Mapping[str, float]) -> tuple[SignalLoss, ...]:
    """What is true of all responses of a step, by its row of metrics; mostly nothing."""
    found = []
    if row.get(names.COLLAPSE_UNPARSABLE) == 1.0:
        found.append(SignalLoss.unparsable)
    elif row.get(names.COLLAPSE_ZERO_ADVANTAGE) == 1.0 and not row.get(names.TRAIN_NEGATIVE_GROUPS):
        found.append(_why_equal(row))
    if row.get(names.COLLAPSE_TRUNCATED) == 1.0:
        found.append(SignalLoss.truncated)
    return tuple(found)


def _why_equal(row: Mapping[str, float]) -> SignalLoss:
    if row.get(names.COLLAPSE_UNANIMOUS) == 1.0:
        return SignalLoss.unanimous
    if row.get(names.TRAIN_ALL_RIGHT) == 1.0:
        return SignalLoss.all_right
    if row.get(names.TRAIN_ALL_WRONG) == 1.0:
        return SignalLoss.all_wrong
    return SignalLoss.equal_rewards


def lost_signal(rows: Iterable[Mapping[str, float]]) -> LostSignal | None:
    """What held throughout a run; else what held in its first step; None where neither did.

    Args:
        rows: of a run's line, oldest first; those before step 1 are passed over.
    """
    steps = [(int(row["step"]), losses_of(row)) for row in rows if row["step"] > 0]
    if not steps:
        return None
    first, at_first = steps[0]
    always = tuple(loss for loss in at_first if all(loss in losses for _, losses in steps))
    if always:
        return LostSignal(losses=always, first_step=first, steps=len(steps), of=len(steps))
    if first != 1 or not at_first:
        return None
    lasted = next(
        (n for n, (_, losses) in enumerate(steps) if not set(at_first) & set(losses)), len(steps)
    )
    return LostSignal(losses=at_first, first_step=first, steps=lasted, of=len(steps))


def describe_losses(losses: Sequence[SignalLoss]) -> str:
    """`no response could be read, and all responses were cut off at their limit`."""
    return ", and ".join(WORDS[loss] for loss in losses)


def describe_lost(lost: LostSignal) -> str:
    """One sentence on a run, without a full stop."""
    some = f"in steps {lost.first_step} to {lost.first_step + lost.steps - 1} of {lost.of}"
    one = f"in step {lost.first_step} of {lost.of}" if lost.of > 1 else "in its only step"
    every = f"in any of its {lost.of} steps" if "no " in WORDS[lost.losses[0]] else "in every step"
    when = one if lost.steps == 1 else every if lost.throughout else some
    return f"{describe_losses(lost.losses)} {when}"


def mend(losses: Sequence[SignalLoss], keys: GradingKeys) -> str:
    """What to type, as a sentence without a full stop."""
    limit = "" if keys.max_response_tokens is None else f" (now {keys.max_response_tokens})"
    if SignalLoss.truncated in losses:
        return (
            f"raise rollout.max_response_tokens{limit}; if the responses go on behind their answer,"
            " name the token that ends the model's turn, rollout.stop_token_ids=[ID], or have the "
            "questions put into its chat template, data.chat_template=apply"
        )
    if SignalLoss.unparsable in losses:
        return _mend_unread(keys)
    if SignalLoss.all_wrong in losses:
        return _mend_wrong(keys)
    return "raise rollout.temperature or algorithm.group_size, or choose harder prompts"


def _mend_unread(keys: GradingKeys) -> str:
    template = "a model that does not see its own template needs data.chat_template=apply"
    if keys.mathematics and keys.extract not in EVERYWHERE:
        return (
            f"set grading.extract{_now(keys)} to where the answers stand, or ask for another form "
            f"in the prompts or with data.system_prompt; {template}"
        )
    known = "a box or a line `Answer: ...` (`rlavr check` shows all)"
    return (
        f"ask for the answer in a form that is read, {' or '.join(keys.reads) or known}, in the "
        f"prompts or with data.system_prompt; {template}"
    )


def _mend_wrong(keys: GradingKeys) -> str:
    shown = (
        "compare answers with their labels: `rlavr ledger show RUN --prompts` shows those "
        "that were bought, `rlavr grade` how a response is read"
    )
    deciding = ["the task"] if keys.chooses_task else []
    deciding += [f"grading.extract{_now(keys)}"] if keys.mathematics else []
    decide = "decide" if len(deciding) > 1 else "decides"
    return f"{shown}; {' and '.join(deciding)} {decide} that" if deciding else shown


def _now(keys: GradingKeys) -> str:
    return "" if keys.extract is None else f" (now {keys.extract})"


def visible_ending(text: str) -> str:
    """The end of a response on one line, safe for a terminal; "" for none."""
    end = text[-ENDING_CHARACTERS:].encode("utf-8", "replace").decode()
    shown = "".join(c if c.isprintable() else "\\n" if c == "\n" else "?" for c in end)
    return ("…" if len(text) > ENDING_CHARACTERS else "") + shown


def choose_endings(
    responses: Iterable[tuple[str, bool]], losses: Sequence[SignalLoss]
) -> list[str]:
    """Ends of some responses, as `visible_ending` shows them.

    What is said of the rewards of all responses would tell the label of one that is shown. So
    responses to labelled prompts are shown only where none of them could be read.

    Args:
        responses: text, and whether its prompt has a label; in the order of preference.
        losses: what is said of the responses.
    """
    unread = SignalLoss.unparsable in losses
    shown = (visible_ending(text) for text, labelled in responses if unread or not labelled)
    return [ending for ending, _ in zip(shown, range(ENDINGS), strict=False)]


def as_record(lost: LostSignal, keys: GradingKeys, endings: Sequence[str]) -> dict[str, Any]:
    """For summary.json."""
    values = asdict(lost) | {"nothing_learnt": lost.nothing_learnt, "text": describe_lost(lost)}
    return values | {"mend": mend(lost.losses, keys), "endings": list(endings)}
