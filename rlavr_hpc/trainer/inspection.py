"""What a run's data, prompts and grader are to each other, before a model is loaded.

`rlavr run` refuses what is wrong for all rows and tells the rest; `rlavr check` shows all of it.
No torch here.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from rlavr_hpc.answers.readable_forms import choices_that_read, forms_read, is_answer
from rlavr_hpc.config.grading import Extract
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.data.asked_form import SHOWN, AskedForm, asked_forms
from rlavr_hpc.data.dataset import Dataset
from rlavr_hpc.data.findings import NAMED, DataFinding, FindingLevel
from rlavr_hpc.data.load_split import Split
from rlavr_hpc.data.prompt_findings import name_of
from rlavr_hpc.errors import UserError
from rlavr_hpc.types import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRows:
    """The training prompts of one task."""

    task: str
    prompts: int
    labelled: int
    answers: int
    """Labels that are an answer for the task."""
    reads: tuple[str, ...]
    """Forms of an answer that its grader reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataInspection:
    """What was found in the data of a run."""

    tasks: tuple[TaskRows, ...]
    asked: dict[str, int]
    """Form of an answer -> training prompts that ask for it."""
    findings: tuple[DataFinding, ...]

    @property
    def errors(self) -> tuple[DataFinding, ...]:
        """What is wrong for all rows."""
        return tuple(f for f in self.findings if f.level is FindingLevel.error)

    def facts(self) -> dict[str, Any]:
        """For the record."""
        return {
            "tasks": [asdict(task) for task in self.tasks],
            "asked": self.asked,
            "findings": [asdict(finding) for finding in self.findings],
        }


def inspect_data(
    config: RunConfig, split: Split, *, also: Sequence[DataFinding] = ()
) -> DataInspection:
    """Compare labels and prompts with what the graders read.

    Args:
        config: the run's.
        split: its data.
        also: what was found elsewhere, for instance in the templated prompts.
    """
    train = split.train
    tasks = dict.fromkeys(question.task for question in train.questions)
    asked = {q.id: asked_forms(q, config.data.system_prompt) for q in train.questions}
    counts = Counter(form for forms in asked.values() for form in forms)
    good = _with_answers(train)
    findings = [
        *(_not_asked_for(finding, config) for finding in train.findings),
        *also,
        *_bad_labels(config, train, good),
        *_held_out_findings(config, split.held_out),
        *_asked_and_read(config, train, asked),
    ]
    return DataInspection(
        tasks=tuple(_rows_of(config, train, task, good) for task in tasks),
        asked={form.value: counts[form] for form in AskedForm if counts[form]},
        findings=tuple(dict.fromkeys(findings)),
    )


def _not_asked_for(finding: DataFinding, config: RunConfig) -> DataFinding:
    """A missing column is nothing to mend where somebody else gives the labels."""
    if finding.kind != "no_answer_column" or not config.labels.live:
        return finding
    text = finding.text.partition("; ")[0]
    asked = f"{text}; labels={config.labels.name} gives the labels"
    return replace(finding, level=FindingLevel.note, text=asked)


def refuse_or_tell(inspection: DataInspection, log: logging.Logger, *, quiet: bool) -> None:
    """Log what was found, a line each, unless `quiet`.

    Raises:
        UserError: something is wrong for all rows.
    """
    if inspection.errors:
        raise UserError("\n  ".join(in_line(finding) for finding in inspection.errors))
    for finding in () if quiet else inspection.findings:
        if finding.level is FindingLevel.warning:
            log.warning("warning: %s", in_line(finding))
        else:
            log.info("%s", finding.text)


def in_line(finding: DataFinding) -> str:
    """A finding with the first of its rows."""
    more = ", ..." if finding.count > len(finding.rows) else ""
    return f"{finding.text} ({', '.join(finding.rows)}{more})" if finding.rows else finding.text


def _rows_of(config: RunConfig, train: Dataset, task: str, good: set[str]) -> TaskRows:
    ids = [question.id for question in train.questions if question.task == task]
    return TaskRows(
        task=task,
        prompts=len(ids),
        labelled=sum(name in train.answers for name in ids),
        answers=sum(name in good for name in ids),
        reads=tuple(sorted(forms_read(task, config.grading.extract))),
    )


def _bad_labels(config: RunConfig, train: Dataset, good: set[str]) -> Iterable[DataFinding]:
    """Labels that no response can give; none is quoted, for nobody has bought it."""
    labelled = [q for q in train.questions if q.id in train.answers]
    bad = [q for q in labelled if q.id not in good]
    if not bad:
        return
    every = len(bad) == len(labelled)
    named = " and ".join(dict.fromkeys(question.task for question in bad))
    yield DataFinding(
        kind="label_is_no_answer",
        level=FindingLevel.error if every and config.quota else FindingLevel.warning,
        text=f"{len(bad)} of {len(labelled)} labels are no answer for their task ({named}): no "
        "response can be right; name the task with data.task=, or take these labels out",
        count=len(bad),
        rows=tuple(map(name_of, bad[:NAMED])),
    )


def _with_answers(data: Dataset) -> set[str]:
    """Ids of the questions whose label is an answer for their task."""
    labelled = (q for q in data.questions if q.id in data.answers)
    return {q.id for q in labelled if is_answer(q.task, data.answers[q.id], q.text)}


def _held_out_findings(config: RunConfig, held_out: Dataset) -> Iterable[DataFinding]:
    """What was found in the held-out prompts; without a label among them nothing is evaluated."""
    yield from held_out.findings
    path = config.data.eval_path
    if not held_out.answers and config.labels.live and (path or config.data.holdout):
        where = (
            f"{path}: none of its rows has an answer"
            if path
            else (
                f"data.holdout={config.data.holdout:g} keeps labelled prompts out of training, and "
                f"no row of {config.data.path} has an answer"
            )
        )
        yield DataFinding(
            kind="nothing_to_evaluate",
            level=FindingLevel.warning,
            text=f"{where}, so nothing is evaluated: held-out answers are not asked for",
            count=len(held_out.questions),
        )
    if path and not held_out.answers and not config.labels.live:
        yield DataFinding(
            kind="held_out_without_labels",
            level=FindingLevel.error,
            text=f"{path}: none of its {len(held_out.questions)} prompts has a label, so nothing "
            "can be evaluated; leave data.eval_path out, or name the column with data.columns",
            count=len(held_out.questions),
        )
    labelled = [q for q in held_out.questions if q.id in held_out.answers]
    good = _with_answers(held_out)
    bad = [q for q in labelled if q.id not in good]
    if bad:
        every = len(bad) == len(labelled) and path
        named = " and ".join(dict.fromkeys(question.task for question in bad))
        yield DataFinding(
            kind="held_out_label_is_no_answer",
            level=FindingLevel.error if every else FindingLevel.warning,
            text=f"{len(bad)} of {len(labelled)} held-out labels are no answer for their task "
            f"({named}): no response can be right",
            count=len(bad),
            rows=tuple(map(name_of, bad[:NAMED])),
        )


def _asked_and_read(
    config: RunConfig, train: Dataset, asked: dict[str, frozenset[AskedForm]]
) -> Iterable[DataFinding]:
    """Prompts that ask for a form that their task's grader does not read."""
    unread: dict[tuple[str, AskedForm], list[Question]] = {}
    for question in train.questions:
        forms = asked[question.id] - {AskedForm.nothing}
        if forms and not forms & forms_read(question.task, config.grading.extract):
            unread.setdefault((question.task, min(forms)), []).append(question)
    every = sum(map(len, unread.values())) == len(train.questions)
    for (task, form), those in unread.items():
        yield DataFinding(
            kind="asked_form_not_read",
            level=FindingLevel.error if every else FindingLevel.warning,
            text=f"{len(those)} of {len(train.questions)} prompts ask for {SHOWN[form]}, and the "
            f"grader of task {task} does not read that{_now(config, task)}; {_way_out(task, form)}",
            count=len(those),
            rows=tuple(map(name_of, those[:NAMED])),
        )


def _now(config: RunConfig, task: str) -> str:
    return f" (grading.extract={config.grading.extract})" if task == "math" else ""


def _way_out(task: str, form: AskedForm) -> str:
    choices = choices_that_read(task, form) if task == "math" else []
    if choices:
        return "set " + " or ".join(f"grading.extract={choice}" for choice in choices)
    read = forms_read(task, Extract.boxed)  # which one is chosen matters to mathematics alone
    return f"ask for {' or '.join(SHOWN[AskedForm(name)] for name in sorted(read))}"
