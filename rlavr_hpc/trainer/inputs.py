"""Reads and checks the inputs that a config names, before anything slow is imported or loaded."""

from __future__ import annotations

from rlavr_hpc.answers.tasks.registry import check_task, make_tasks
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.data.load_split import Split, load_split
from rlavr_hpc.errors import UserError
from rlavr_hpc.labels.identity import source_identity
from rlavr_hpc.labels.load import load_source
from rlavr_hpc.labels.source import SourceStoppedError
from rlavr_hpc.trainer.model_folder.folder import check_model

AGAINST_LABELS = ("void_labels", "unreadable_labels", "conflicting_labels", "no_answer_column")
"""Findings that say why a row has no label."""


def load_inputs(config: RunConfig) -> Split:
    """Read the data; check that it and the model's folder hold what the run needs.

    Raises:
        UserError: no whole model's folder, no file, no rows, an unknown task or one whose class
            cannot be used, a label that its task cannot take, or no labels although the acquisition
            policy buys some.
    """
    check_model(config.model)
    tasks = make_tasks(config.grading.extract, config=config.task)  # looks at a class of one's own
    split = load_split(config.data, task=config.task_name)
    for data in (split.train, split.held_out):
        for question in data.questions:
            if question.task not in tasks:
                check_task(question.task, config.task)
            if question.id in data.answers and question.task == config.task.named:
                tasks[question.task].accepted(data.answers[question.id], question.text)
    if config.labels.live:
        load_source(config.labels)
        source_identity(config.labels)
        if config.labels.gold and not split.train.answers:
            raise UserError(
                f"labels.gold={config.labels.gold} mixes in questions with known answers, and no "
                f"training row of {config.data.path} has one; add some, or leave labels.gold out"
            )
    elif config.quota and not split.train.answers:
        raise UserError(_no_labels(config, split))
    return split


def check_inline_source(config: RunConfig) -> None:
    """Check that this process, which is to ask the label source, can do so.

    Raises:
        UserError: it surely cannot: there is no such program, or no key.
    """
    if not config.labels.inline:
        return
    try:
        load_source(config.labels).check_here()
    except SourceStoppedError as error:
        raise UserError(f"labels.inline=true: {error}") from error


def _no_labels(config: RunConfig, split: Split) -> str:
    """Why there is nothing to buy."""
    reasons = [
        finding.text.removeprefix(f"{config.data.path}: ")
        for finding in split.train.findings
        if finding.kind in AGAINST_LABELS
    ]
    held_out = len(split.held_out.answers)
    if held_out and config.data.holdout:
        reasons.append(f"all {held_out} labelled prompts are held out (data.holdout)")
    return (
        f"acquisition={config.acquisition.name} buys labels, but no row of {config.data.path} has "
        f"one: {'; '.join(reasons) or 'there is no answer'}. Add answers to the data, name their "
        "column with 'data.columns={answer: COLUMN}', let somebody give them (labels=command, "
        "labels=judge or labels=people), or use acquisition=none"
    )
