"""Which runs differ only by seed, and the shortest names that tell such groups apart."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from analysis.load.run import RunData, readable
from rlavr_hpc.runs.identity import NOT_IDENTITY

SAME_RESULTS = (*NOT_IDENTITY, "version", "name", "seed", "save_every", "eval_every", "hydra")
"""Keys (with all below them) in which the runs of a condition may differ."""
POLICY, BUDGET, UNLABELLED = "acquisition.name", "budget", "unlabelled"
UNKNOWN = '"unknown"'
TASK = "data.kind"
LEADERS = {
    "acquisition": POLICY,
    "reward": "reward.name",
    "algorithm.loss": "algorithm.loss.name",
    "labels": "labels.name",
    "data": TASK,
    "model": "model.source",
    "rollout": "rollout.engine",
}
"""Of a group of keys, the one that is chosen by name: the others follow from it as a rule."""
WORDS = {
    POLICY: "acquisition",
    "reward.name": "reward",
    TASK: "data",
    "model.source": "model",
    "rollout.engine": "rollout",
    "labels.name": "labels",
}
"""Keys that have a shorter word on the command line."""
OF_THE_TASK = ("data", "model", "eval", "grading")
"""Groups of settings between which accuracies cannot be compared."""
OF_THE_CHOICE = ("acquisition", BUDGET, "budget_total", UNLABELLED)
"""Those that a comparison of policies and budgets is about."""
Values = dict[str, str]
"""Flat config key -> canonical JSON; without what is null, as if the key were not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionName:
    """The condition that a run belongs to."""

    name: str
    """`care budget=0.1`: equal for the runs of a condition, and for no others."""
    settings: Mapping[str, str]
    """Flat config key -> value, of the keys in the name and of policy and budget."""


def name_conditions(runs: Sequence[RunData]) -> dict[str, ConditionName]:
    """Put every run into a condition, and give conditions names as short as the study allows.

    The policy comes first, then the budget if budgets differ, then what else differs. A setting is
    left out of a name where most conditions have the same value, and where it follows from others:
    what the conditions of one policy share of `acquisition.*` (likewise of other groups chosen by
    name), what those of one task and model share, a policy's own default of `unlabelled`, and a
    fixed budget. A run without a config joins the condition of the runs of its sweep with the same
    overrides; where there are none, its overrides name it.

    Returns:
        Name of the run -> its condition.
    """
    configured = {run.name: _values(run.config) for run in runs if run.config}
    planned = _known_overrides(runs, configured)
    for run in runs:
        if run.name not in configured:
            asked = planned.get((run.sweep, _asked(run.overrides)))
            configured[run.name] = asked if asked is not None else _from_overrides(run)
    keyed = {name: json.dumps(values, sort_keys=True) for name, values in configured.items()}
    conditions = {keyed[name]: values for name, values in sorted(configured.items())}
    named = _named(conditions)
    return {run.name: named[keyed[run.name]] for run in runs}


def _values(config: Mapping[str, Any]) -> Values:
    return {
        key: json.dumps(value, sort_keys=True, default=str)
        for key, value in config.items()
        if value is not None and not _below(key, SAME_RESULTS)
    }


def without(settings: Mapping[str, str], groups: Iterable[str]) -> dict[str, str]:
    """The settings that are in none of the groups."""
    excluded = tuple(groups)
    return {key: value for key, value in settings.items() if not _below(key, excluded)}


def _below(key: str, groups: Iterable[str]) -> bool:
    return any(key == group or key.startswith(f"{group}.") for group in groups)


def _asked(overrides: Sequence[str]) -> frozenset[str]:
    return frozenset(part for part in overrides if not _below(_key_of(part), SAME_RESULTS))


def _key_of(override: str) -> str:
    return override.partition("=")[0].lstrip("+").replace("/", ".")


def _known_overrides(
    runs: Sequence[RunData], configured: Mapping[str, Values]
) -> dict[tuple[str | None, frozenset[str]], Values]:
    """The settings that overrides came to, in each sweep."""
    return {
        (run.sweep, _asked(run.overrides)): configured[run.name]
        for run in runs
        if run.name in configured and run.sweep is not None
    }


def _from_overrides(run: RunData) -> Values:
    """What a run without a config is known by."""
    words = {word: key for key, word in WORDS.items()}
    found: Values = {POLICY: json.dumps(run.policy)}
    for part in sorted(_asked(run.overrides)):
        key, value = words.get(_key_of(part), _key_of(part)), part.partition("=")[2]
        try:
            found[key] = json.dumps(json.loads(value))
        except ValueError:
            found[key] = json.dumps(value)
    return found


def _named(conditions: Mapping[str, Values]) -> dict[str, ConditionName]:
    """A name of its own for every condition."""
    shown = _distinguishing(list(conditions.values()))
    usual = _usual(list(conditions.values()), shown)
    names = {key: _name(values, shown, usual) for key, values in conditions.items()}
    for alike in _same_name(names):  # their values differ, but not as they are written
        for number, key in enumerate(alike[1:], start=2):
            names[key] += f" ({number})"
    return {
        key: ConditionName(name=name, settings=_settings(conditions[key], shown))
        for key, name in names.items()
    }


def _same_name(names: Mapping[str, str]) -> list[list[str]]:
    by_name: dict[str, list[str]] = {}
    for key, name in names.items():
        by_name.setdefault(name, []).append(key)
    return [keys for keys in by_name.values() if len(keys) > 1]


def _differing(conditions: Sequence[Values]) -> set[str]:
    """Keys that have not the same value everywhere; missing is a value."""
    keys = {key for values in conditions for key in values}
    return {key for key in keys if len({values.get(key) for values in conditions}) > 1}


def _distinguishing(conditions: Sequence[Values]) -> list[str]:
    """The keys that names show, in the order of names."""
    differing = _differing(conditions) - {POLICY}
    if BUDGET not in _differing([values for values in conditions if not _is_fixed(values)]):
        differing -= {BUDGET}
    shown = {key for key in differing if not _follows(key, conditions)}
    first = [BUDGET, UNLABELLED, *LEADERS.values()]
    return [*(key for key in first if key in shown), *sorted(shown - set(first))]


def _follows(key: str, conditions: Sequence[Values]) -> bool:
    """Whether conditions with the same task, model and choice in the key's group agree on it."""
    if key in (BUDGET, UNLABELLED, TASK):
        return False
    group = max((group for group in LEADERS if _below(key, [group])), key=len, default=None)
    leaders = {TASK, LEADERS["model"], LEADERS.get(group or "", TASK)} - {key}
    alike: dict[tuple[str | None, ...], set[str | None]] = {}
    for values in conditions:
        chosen = tuple(values.get(leader) for leader in sorted(leaders))
        alike.setdefault(chosen, set()).add(values.get(key))
    return all(len(found) == 1 for found in alike.values())


def _usual(conditions: Sequence[Values], shown: Sequence[str]) -> Values:
    """By key the value that most conditions share; names leave it out, but for budget and task."""
    usual: Values = {}
    for key in shown:
        value, count = Counter(values.get(key) for values in conditions).most_common(1)[0]
        always = key == BUDGET or _below(key, OF_THE_TASK)
        if not always and value is not None and 2 * count > len(conditions):
            usual[key] = value
    return usual


def _name(values: Values, shown: Sequence[str], usual: Values) -> str:
    named = [
        key
        for key in shown
        if not _goes_without_saying(key, values) and values[key] != usual.get(key)
    ]
    settings = [f"{WORDS.get(key, key)}={_text(values[key])}" for key in named]
    return " ".join([_text(values.get(POLICY, UNKNOWN)), *settings])


def _goes_without_saying(key: str, values: Values) -> bool:
    """Nothing is set, or it is what the policy does anyway."""
    if key not in values or (key == BUDGET and _is_fixed(values)):
        return True
    return key == UNLABELLED and values[key] == values.get("acquisition.default_unlabelled")


def _is_fixed(values: Values) -> bool:
    return values.get("acquisition.fixed_budget") == "true"


def _settings(values: Values, shown: Sequence[str]) -> dict[str, str]:
    return {
        key: _text(values[key]) for key in dict.fromkeys([POLICY, BUDGET, *shown]) if key in values
    }


def _text(value: str) -> str:
    """As it is written on the command line; of a path the last part."""
    plain = json.loads(value)
    if isinstance(plain, str):
        return readable(plain if "://" in plain else PurePath(plain).name or plain)
    if isinstance(plain, list):
        return "[" + ",".join(_text(json.dumps(item)) for item in plain) + "]"
    return f"{plain:g}" if isinstance(plain, float) else value
