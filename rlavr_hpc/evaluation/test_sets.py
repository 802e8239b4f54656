"""Test sets: the shipped ones by name (conf/eval), any data file, or a run's own held-out set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml
from omegaconf import MISSING, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlavr_hpc.answers.tasks.registry import check_task
from rlavr_hpc.config.checks import at_least
from rlavr_hpc.config.data import FILE_KINDS, DataKind
from rlavr_hpc.config.shipped import CONF
from rlavr_hpc.config.task import TaskConfig
from rlavr_hpc.data.dataset import Dataset
from rlavr_hpc.data.findings import DataFinding
from rlavr_hpc.data.load_split import load_split
from rlavr_hpc.data.tables import read_dataset
from rlavr_hpc.errors import UserError
from rlavr_hpc.evaluation.evaluated_model import RunSubject, Subject
from rlavr_hpc.evaluation.options import EvaluationOptions
from rlavr_hpc.types import Question

FOLDER = CONF / "eval"
HELD_OUT = "held_out"
RESPONSE_TOKENS = 4000
"""The paper's limit; for models that no run trained."""
KINDS = {
    ".json": DataKind.jsonl,
    ".jsonl": DataKind.jsonl,
    ".parquet": DataKind.parquet,
    ".csv": DataKind.csv,
    ".tsv": DataKind.csv,
}
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(slots=True, kw_only=True)
class EvalSetConfig:
    """One file of conf/eval: where a test set lies and how it is sampled."""

    name: str = MISSING
    path: str = MISSING
    """Relative to the data folder."""
    kind: DataKind = MISSING
    task: str | None = None
    """How answers are read (math, choice, knights, text); null = by each row's `data_source`."""
    samples: int = 8
    temperature: float = 0.6
    """0 = always the likeliest token."""
    top_p: float = 0.95
    max_response_tokens: int | None = None
    """null = the run's own, or 4000 for a model that no run trained."""

    def __post_init__(self) -> None:
        """Check ranges."""
        at_least(f"{self.name}: samples", self.samples, 1)
        if self.max_response_tokens is not None:
            at_least(f"{self.name}: max_response_tokens", self.max_response_tokens, 1)
        if not (self.temperature >= 0 and 0 < self.top_p <= 1):
            raise UserError(
                f"{self.name}: temperature={self.temperature} must not be negative and top_p="
                f"{self.top_p} must be in (0, 1]"
            )
        if self.kind not in FILE_KINDS:
            raise UserError(f"{self.name}: kind={self.kind} is no file")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemSet:
    """A test set that has been read: every question has its answer."""

    name: str
    settings: EvalSetConfig
    questions: tuple[Question, ...]
    answers: Mapping[str, str] = field(repr=False)
    siblings: tuple[Question, ...] = ()
    """For a run's held-out set: training questions, whose template decision it shares."""
    findings: tuple[DataFinding, ...] = ()


def shipped_names() -> list[str]:
    """The names that conf/eval knows."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_settings(path: Path) -> EvalSetConfig:
    """Read one file of conf/eval.

    Raises:
        UserError: an unknown key, a missing or an impossible value.
    """
    try:
        given = OmegaConf.create(yaml.safe_load(path.read_text()))
        settings = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(EvalSetConfig), given))
    except (OSError, ValueError, yaml.YAMLError, OmegaConfBaseException) as error:
        key = getattr(error, "full_key", None) or ""
        raise UserError(f"{path}: {key} {str(error).splitlines()[0]}") from error
    assert isinstance(settings, EvalSetConfig)
    return settings


def load_sets(options: EvaluationOptions, subject: Subject) -> list[ProblemSet]:
    """Read all test sets that the command line names, in its order.

    Raises:
        UserError: one does not exist, is damaged, or holds a problem without an answer.
    """
    sets = [_load(wanted, options, subject) for wanted in options.on]
    names = [problems.name for problems in sets]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise UserError(f"--on names two test sets {double!r}; results are kept by name")
    return sets


def _load(wanted: str, options: EvaluationOptions, subject: Subject) -> ProblemSet:
    own = subject.config.task if isinstance(subject, RunSubject) else None
    if wanted == HELD_OUT:
        found = _held_out(subject)
    elif wanted in shipped_names():
        found = _from_file(read_settings(FOLDER / f"{wanted}.yaml"), options.data_dir)
    else:
        found = _from_file(_guessed(wanted, own), Path())
    settings = _adjusted(found.settings, options, subject)
    questions = found.questions[: options.limit]
    for task in {question.task for question in questions}:
        check_task(task, own)
    answers = {question.id: found.answers[question.id] for question in questions}
    return replace(found, settings=settings, questions=questions, answers=answers)


def _guessed(wanted: str, own: TaskConfig | None) -> EvalSetConfig:
    """How a file is read that nobody described: with the run's own task, if it has one."""
    path = Path(wanted).expanduser()
    if path.suffix not in KINDS:
        raise UserError(
            f"--on {wanted}: no such test set; there are {', '.join(shipped_names())}, {HELD_OUT} "
            "for a run's own, and any {', '.join(KINDS)} file"
        )
    if not path.is_file():
        raise UserError(f"--on {wanted}: there is no such file")
    if not NAME.fullmatch(path.stem) or path.stem == HELD_OUT:
        raise UserError(
            f"--on {wanted}: results are named after the file, and {path.stem!r} will not do; use "
            "letters, digits, '.', '_' and '-'"
        )
    task = own.named if own else None
    return EvalSetConfig(name=path.stem, path=str(path), kind=KINDS[path.suffix], task=task)


def _from_file(settings: EvalSetConfig, data_dir: Path) -> ProblemSet:
    path = data_dir / settings.path
    if not path.is_file():
        raise UserError(
            f"{settings.name}: {path} does not exist; put the test set there ("
            f"{FOLDER / settings.name}.yaml says where it comes from), or name the folder of test "
            "sets with --data-dir or RLAVR_DATA"
        )
    data = read_dataset(path, settings.kind, task=settings.task)
    without = next((q.id for q in data.questions if q.id not in data.answers), None)
    if without is not None:
        raise UserError(f"{path}: problem {without!r} has no answer; a test set needs them all")
    return _problems(settings, data)


def _held_out(subject: Subject) -> ProblemSet:
    """The set that the run itself is evaluated on."""
    if not isinstance(subject, RunSubject):
        raise UserError(f"--on {HELD_OUT} needs a run's folder or one of its checkpoints")
    config = subject.config
    split = load_split(config.data, task=config.task_name)
    labelled = frozenset(split.held_out.answers)
    if not labelled:
        raise UserError(f"{subject.run_dir} holds out no prompts; name a test set instead")
    settings = EvalSetConfig(
        name=HELD_OUT,
        path=HELD_OUT,
        kind=DataKind.jsonl,
        samples=config.eval.samples,
        temperature=config.eval.temperature,
        top_p=config.eval.top_p,
    )
    problems = _problems(settings, split.held_out.only(labelled))
    return replace(problems, siblings=split.train.questions)


def _problems(settings: EvalSetConfig, data: Dataset) -> ProblemSet:
    return ProblemSet(
        name=settings.name,
        settings=settings,
        questions=data.questions,
        answers=data.answers,
        findings=data.findings,
    )


def _adjusted(
    settings: EvalSetConfig, options: EvaluationOptions, subject: Subject
) -> EvalSetConfig:
    """With what the command line says, and the token limit of the run."""
    own = (
        subject.config.rollout.max_response_tokens
        if isinstance(subject, RunSubject)
        else RESPONSE_TOKENS
    )
    given = {
        name: value
        for name in ("samples", "temperature", "top_p", "max_response_tokens")
        if (value := getattr(options, name)) is not None
    }
    return replace(
        settings, **{"max_response_tokens": settings.max_response_tokens or own, **given}
    )
