"""Which keys have an effect with what a run has chosen, and what is said of one that has none.

A key counts only where the user gave it. A key that has no effect is refused: whoever typed it
believes that it does something. The table is in `effect_table`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlavr_hpc.config.run import RunConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When some keys have an effect."""

    keys: tuple[str, ...]
    """With all below them."""
    works: Callable[[RunConfig], bool]
    """Whether they have an effect."""
    because: Callable[[RunConfig], str]
    """Why not, where they have none."""
    instead: str
    """What to type for them to have one."""
    by: tuple[str, ...]
    """Groups and keys that decide this."""
    idle: tuple[Any, ...] = ()
    """Values that say no more than is so anyhow, and are let pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Keys and values that a user gave a run."""

    typed: Mapping[str, Any] = field(default_factory=dict)
    """On the command line; a chosen option is a key without a dot: `lora`: `default`."""
    experiment: Mapping[str, Any] = field(default_factory=dict)
    """In the file of the chosen experiment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """A key that was given and does nothing."""

    key: str
    value: Any
    rule: Rule

    def sentence(self, config: RunConfig) -> str:
        """What is wrong, and what to type."""
        value = str(self.value).lower() if isinstance(self.value, bool) else self.value
        return (
            f"{self.key}={value} has no effect: {self.rule.because(config)}; leave it out, or "
            f"{self.rule.instead}"
        )


def idle_keys(config: RunConfig, given: Given, rules: Sequence[Rule]) -> list[Idle]:
    """The given keys without an effect.

    A key of an experiment's file counts only where nothing that was typed decides about it:
    `experiment=math acquisition=none` changes what the file was written for.
    """
    found = list(_idle(config, given.typed, rules))
    for idle in _idle(config, given.experiment, rules):
        if idle.key not in given.typed and not _any_below(given.typed, idle.rule.by):
            found.append(idle)
    return found


def _idle(config: RunConfig, keys: Mapping[str, Any], rules: Sequence[Rule]) -> Iterator[Idle]:
    for key, value in keys.items():
        rule = rule_of(key, rules)
        if rule is None or value is None or value in rule.idle or rule.works(config):
            continue
        yield Idle(key=key, value=value, rule=rule)


def rule_of(key: str, rules: Sequence[Rule]) -> Rule | None:
    """The rule of a key; None = it always has an effect."""
    return next((rule for rule in rules if any(_below(key, known) for known in rule.keys)), None)


def _below(key: str, known: str) -> bool:
    return key == known or key.startswith(f"{known}.")


def _any_below(typed: Mapping[str, Any], deciders: Sequence[str]) -> bool:
    return any(_below(key, decider) for key in typed for decider in deciders)
