"""All verbs with their options, and all config groups, as records for help and docs."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rlavr_hpc.cluster.slurm.settings import SlurmSettings
from rlavr_hpc.config import keys
from rlavr_hpc.config.run import RunConfig

LAUNCHER = "hydra.launcher"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option or positional argument."""

    names: Sequence[str]
    """As typed (`-f`, `--follow`); of a positional argument its placeholder."""
    value: str
    """Placeholder of its value; "" = it takes none."""
    choices: Sequence[str]
    required: bool
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One verb, or one of a verb's own verbs."""

    name: str
    """As typed behind `rlavr`: `ledger show`."""
    summary: str
    usage: str
    description: str
    epilog: str
    options: Sequence[Option]


def commands(parser: argparse.ArgumentParser, name: str = "") -> Iterator[Command]:
    """Every command below a parser, in its order.

    Args:
        parser: of the whole command line.
        name: of the command whose parser it is; "" = the program.
    """
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            continue
        summaries = {pseudo.dest: pseudo.help or "" for pseudo in action._choices_actions}
        for verb, below in action.choices.items():
            full = f"{name} {verb}".strip()
            yield Command(
                name=full,
                summary=summaries.get(verb, ""),
                usage=below.format_usage().removeprefix("usage: ").strip(),
                description=(below.description or "").strip(),
                epilog=(below.epilog or "").strip(),
                options=tuple(_options(below)),
            )
            yield from commands(below, full)


def _options(parser: argparse.ArgumentParser) -> Iterator[Option]:
    formatter = parser._get_formatter()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction | argparse._HelpAction):
            continue
        placeholder = formatter._format_args(action, str(action.metavar or action.dest).upper())
        takes = action.nargs != 0
        yield Option(
            names=tuple(action.option_strings) or (str(action.metavar or action.dest),),
            value=placeholder if takes and action.option_strings else "",
            choices=tuple(map(str, action.choices or ())),
            required=action.required,
            sentence=formatter._expand_help(action) if action.help else "",
        )


def config_groups() -> tuple[keys.KeyGroup, ...]:
    """Every config group of a run, and the Slurm launcher's settings."""
    slurm = keys.KeyGroup(
        name=LAUNCHER,
        sentence="How the jobs of a sweep are submitted; with hydra/launcher=slurm.",
        options=(),
        default_option="",
        keys=tuple(keys.keys_of(SlurmSettings, LAUNCHER, prefix=f"{LAUNCHER}.")),
    )
    return (*keys.groups(), slurm)


def as_text(
    found: Sequence[keys.KeyGroup], values: RunConfig | None, *, width: int
) -> Iterator[str]:
    """Groups and keys for a terminal; with `values`, also what differs from the default."""
    for group in found:
        yield from textwrap.wrap(f"{group.name}: {group.sentence}", width)
        if group.options:
            chosen = f" (default: {group.default_option})" if group.default_option else ""
            listed = f"{group.name}=OPTION: {', '.join(group.options)}{chosen}"
            yield from _indented(listed, width, 2)
        for key in group.keys:
            facts = [key.type, f"default {key.default}" if key.default else "set by the option"]
            if values is not None and (value := keys.value_of(values, key.key)) not in (
                None,
                key.default,
            ):
                facts.append(f"here {value}")
            yield from _indented(f"{key.key} ({'; '.join(facts)})", width, 2)
            yield from _indented(key.sentence, width, 6)
            if key.choices:
                yield from _indented(_told(key.choices), width, 6)
        yield ""


def _told(choices: Mapping[str, str]) -> str:
    if not any(choices.values()):
        return f"One of: {', '.join(choices)}."
    lines = [f"{name}: {said.rstrip('.')}" if said else name for name, said in choices.items()]
    return f"{'; '.join(lines)}."


def _indented(text: str, width: int, by: int) -> list[str]:
    space = " " * by
    return textwrap.wrap(text, width, initial_indent=space, subsequent_indent=f"{space}  ")
