"""What a process must have in common with the run that it continues: ranks, threads, prompts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rlavr_hpc.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSetup:
    """What a process must have in common with the one it continues."""

    world_size: int
    threads: int
    prompts_fingerprint: str
    """Of the texts of the training prompts."""
    prompts: Mapping[str, str] = field(default_factory=dict)
    """Of what the model reads: `tokens` of the training prompts, `held_out` tokens, `template`,
    `questions` before any was left out for its length, their `tasks`; and `date`, where the
    template writes one.
    Empty in runs that an older version began, which only kept the texts."""


def check_fits(before: ProcessSetup, now: ProcessSetup, *, allowed: frozenset[str]) -> None:
    """Refuse to continue a run that this process cannot continue exactly.

    Args:
        before: of the run so far.
        now: of this process.
        allowed: config keys that may differ (`allow_change`).

    Raises:
        UserError: other ranks, other threads or other prompts.
    """
    resized = before.world_size != now.world_size
    if resized and "cluster.ranks" not in allowed:
        raise UserError(
            f"the run used {before.world_size} ranks, this start has {now.world_size}; start with "
            f"{before.world_size}, or allow_change=[cluster.ranks]: its state is then split "
            "differently, and results differ in their last bits"
        )
    if before.threads != now.threads and not resized and "cluster.threads" not in allowed:
        raise UserError(
            f"the run used {before.threads} threads a rank, this start would use {now.threads}, "
            f"and results would differ in their last bits; set cluster.threads={before.threads}, "
            "or allow_change=[cluster.threads]"
        )
    changed = _changed_prompts(before, now)
    if changed and "data" not in allowed:
        raise UserError(f"{changed}, or allow_change=[data]")


def _changed_prompts(before: ProcessSetup, now: ProcessSetup) -> str:
    """What made the prompts others, and the way out; empty where the model reads the same."""
    old, new = before.prompts, now.prompts
    same = bool(old) and old.get("questions") == new.get("questions")
    if before.prompts_fingerprint != now.prompts_fingerprint and not same:
        return (
            "the training prompts are not those this run began with (another file, or another "
            "filter); restore them"
        )
    if "tasks" in old and old["tasks"] != new.get("tasks"):
        return (
            "the training prompts do not have the tasks that they had when this run began (their "
            "data_source, or the names that this version knows); restore them"
        )
    if not old or all(old.get(part) == new.get(part) for part in ("tokens", "held_out")):
        return ""
    if old.get("template") != new.get("template"):
        return (
            "the model's chat template is not the one this run began with, and the same questions "
            "now read differently; restore the template"
        )
    if old.get("tokens") == new.get("tokens"):
        return "the held-out prompts are not those this run began with; restore their file"
    return (
        "the model's tokenizer is not the one this run began with (its files, or the version of "
        "transformers), and the same questions now give other tokens; restore the tokenizer"
    )
