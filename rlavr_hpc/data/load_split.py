"""From `DataConfig` to a training set and a held-out set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from rlavr_hpc.config.data import FILE_KINDS, DataConfig, DataKind
from rlavr_hpc.data.dataset import Dataset
from rlavr_hpc.data.findings import DataFinding, FindingLevel
from rlavr_hpc.data.located import located
from rlavr_hpc.data.puzzles import make_dataset
from rlavr_hpc.data.table_row import rules_of
from rlavr_hpc.data.tables import read_together
from rlavr_hpc.errors import UserError
from rlavr_hpc.testbed.questions import World, make_world, split_names
from rlavr_hpc.testbed.reasoning.dataset import ReasoningPuzzle, make_puzzles
from rlavr_hpc.testbed.reasoning.language import make_language
from rlavr_hpc.types import Question

HOLDOUT_STREAM = 7
"""Keeps the hold-out draw apart from every other use of the data seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The two data sets of a run."""

    train: Dataset
    held_out: Dataset
    """May be empty: then the run is not evaluated."""


def load_split(config: DataConfig, *, task: str | None = None) -> Split:
    """Read the data set and hold out what evaluation needs.

    Args:
        config: where it lies.
        task: of all prompts; None = as the config or each row says.

    Raises:
        UserError: a file is missing, empty or broken, a setting does not fit the data, or there are
            not so many puzzles.
    """
    named = task or config.task
    if config.kind in FILE_KINDS:
        config = replace(config, task=named)
    split = SPLITS[config.kind](config)
    if named:  # also of prompts that are made here
        split = Split(train=split.train.of_task(named), held_out=split.held_out.of_task(named))
    if not config.eval_limit:
        return split
    kept = frozenset(q.id for q in split.held_out.questions[: config.eval_limit])
    held_out = replace(split.held_out.only(kept), findings=split.held_out.findings)
    return replace(split, held_out=held_out)


def _knights_split(config: DataConfig) -> Split:
    held_out = config.eval_people or config.people
    return Split(
        train=make_dataset(config.people, count=config.count, seed=config.seed, held_out=False),
        held_out=make_dataset(held_out, count=config.eval_count, seed=config.seed, held_out=True),
    )


def _testbed_split(config: DataConfig) -> Split:
    try:
        world = make_world(config.kinds, wrong_rule=config.wrong_rule)
    except ValueError as error:
        raise UserError(f"data.{error}") from error
    everything = _world_dataset(world)
    held_out = split_names(world, share=config.holdout, seed=config.seed)
    hopeful = frozenset(q.name for q in world.hopeful)
    return Split(
        train=everything.only(everything.ids() - held_out),
        held_out=everything.only(held_out & hopeful),
    )


def _world_dataset(world: World) -> Dataset:
    return Dataset(
        questions=tuple(
            Question(id=q.name, messages=(), text=q.text, task="math") for q in world.questions
        ),
        answers={q.name: str(q.truth) for q in world.questions},
    )


def _reasoning_split(config: DataConfig) -> Split:
    language = make_language(config.seed)
    train = make_puzzles(language, count=config.count, seed=config.seed, held_out=False)
    held_out = make_puzzles(language, count=config.eval_count, seed=config.seed, held_out=True)
    return Split(train=_puzzle_dataset(train), held_out=_puzzle_dataset(held_out))


def _puzzle_dataset(puzzles: tuple[ReasoningPuzzle, ...]) -> Dataset:
    return Dataset(
        questions=tuple(
            Question(id=p.id, messages=(), text=p.text, task="knights") for p in puzzles
        ),
        answers={p.id: p.label for p in puzzles},
    )


def _file_split(config: DataConfig) -> Split:
    """The hold-out is a share of the prompts that have a label: others cannot be graded."""
    assert config.path is not None
    rules = rules_of(config)
    paths = [located(path) for path in (config.path, config.eval_path) if path]
    everything, *others = read_together(paths, config.kind, rules=rules)
    for held_out in others:
        return Split(train=_told(everything, everything.findings), held_out=held_out)
    rng = np.random.default_rng(np.random.SeedSequence([config.seed, HOLDOUT_STREAM]))
    labelled = [q.id for q in everything.questions if q.id in everything.answers]
    order = rng.permutation(len(labelled))
    chosen = order[: round(config.holdout * len(order))]
    names = frozenset(labelled[int(i)] for i in chosen)
    train = everything.only(everything.ids() - names)
    return Split(train=_told(train, everything.findings), held_out=everything.only(names))


def _told(train: Dataset, findings: tuple[DataFinding, ...]) -> Dataset:
    """The training set with what was found, and how many of its prompts have a label."""
    count, total = len(train.answers), len(train.questions)
    labelled = DataFinding(
        kind="labelled",
        level=FindingLevel.note,
        text=f"labelled: {count} of {total} training prompts",
        count=count,
    )
    return replace(train, findings=(*findings, labelled))


SPLITS: dict[DataKind, Callable[[DataConfig], Split]] = {
    DataKind.testbed: _testbed_split,
    DataKind.knights: _knights_split,
    DataKind.reasoning: _reasoning_split,
    **dict.fromkeys(FILE_KINDS, _file_split),
}
