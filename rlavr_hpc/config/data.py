"""Config group `data`: where prompts and labels come from, and how prompts are formatted."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum

from rlavr_hpc.config.checks import at_least
from rlavr_hpc.errors import UserError

PUZZLE_PEOPLE = range(2, 9)
"""How many people a generated puzzle may have."""


class DataKind(StrEnum):
    """How the training prompts are read."""

    testbed = "testbed"
    """Questions made for `model=testbed`, some with known wrong beliefs."""
    parquet = "parquet"
    """A Parquet file."""
    jsonl = "jsonl"
    """A file of JSON lines."""
    csv = "csv"
    """A file of comma-separated values (or tabs, semicolons) with a header."""
    folder = "folder"
    """A folder of such files, or one that `datasets.save_to_disk` wrote."""
    file = "file"
    """Any of these, told by its name and its first bytes."""
    knights = "knights"
    """Generated knights-and-knaves puzzles."""
    reasoning = "reasoning"
    """Puzzles in a made-up language, for `model=reasoning`, some with known wrong beliefs."""


MADE_PUZZLES = (DataKind.knights, DataKind.reasoning)
"""Kinds that make as many puzzles as `data.count` and `data.eval_count` say."""
FILE_KINDS = (DataKind.parquet, DataKind.jsonl, DataKind.csv, DataKind.folder, DataKind.file)
"""Kinds that read `data.path`."""


class ConflictRule(StrEnum):
    """What happens where rows with the same prompt have different labels."""

    drop = "drop"
    """None of the labels counts: the prompt stays, without a label."""
    error = "error"
    """The run ends with an error that names the rows."""


class ChoiceRule(StrEnum):
    """What happens to a row's `choices` that its prompt does not show."""

    render = "render"
    """They are put below the prompt, a line each: `A. ...`."""
    refuse = "refuse"
    """The run ends with an error."""
    ignore = "ignore"
    """They are not looked at, nor used to read the label."""


class ChatTemplate(StrEnum):
    """Whether the tokenizer's chat template is put around a prompt."""

    auto = "auto"
    """If the tokenizer has one and most prompts do not carry one yet."""
    apply = "apply"
    """Always."""
    none = "none"
    """Never."""


class SystemRole(StrEnum):
    """Where a system message is written."""

    keep = "keep"
    """In a turn of its own, before all others."""
    merge = "merge"
    """In front of the user's first turn, for templates that take no system message."""


class Overlong(StrEnum):
    """What happens to a prompt that is longer than `rollout.max_prompt_tokens`."""

    filter = "filter"
    """It is left out."""
    error = "error"
    """The run ends with an error."""


@dataclass(slots=True, kw_only=True)
class ColumnNames:
    """Names of a file's columns where they are not the known ones; a dot leads into a column."""

    prompt: str | None = None
    """Column of the prompts, e.g. instruction; null = prompt, problem or question."""
    answer: str | None = None
    """Column of the answers, e.g. output or extra_info.answer; null =
    reward_model.ground_truth, ground_truth, answer, final_answer, expected_answer or answerKey."""
    id: str | None = None
    """Column of the ids; null = id."""
    data_source: str | None = None
    """Column that says where a row comes from; null = data_source."""
    choices: str | None = None
    """Column of the options of multiple choice; null = choices or options."""

    def given(self) -> dict[str, str]:
        """Role -> column, of those that are set."""
        named = {role: getattr(self, role) for role in COLUMN_ROLES}
        return {role: name for role, name in named.items() if name is not None}


COLUMN_ROLES = tuple(one.name for one in fields(ColumnNames))
"""What `data.columns` may name a column for."""


@dataclass(slots=True, kw_only=True)
class DataConfig:
    """Where prompts and labels come from, and how prompts are formatted."""

    kind: DataKind = DataKind.testbed
    """How the training prompts are read."""
    path: str | None = None
    """Training file or folder; also a data set of the hub, `ORG/NAME` or `hub:ORG/NAME/FOLDER`,
    that `rlavr fetch` has brought."""
    eval_path: str | None = None
    """Held-out file of the same kind; null = `holdout` decides."""
    holdout: float = 0.0
    """Share of the labelled prompts, 0 to 1, kept out of training for evaluation."""
    eval_limit: int = 0
    """Evaluate on at most this many held-out prompts; 0 = all."""
    seed: int = 0
    """Seed of the data set (choice of held-out prompts, testbed, puzzles), not of the run."""
    task: str | None = None
    """Kind of answers of all rows: math, choice, knights or text; null = each row's `data_source`
    says it, by exact names."""
    columns: ColumnNames = field(default_factory=ColumnNames)
    choices: ChoiceRule = ChoiceRule.render
    """What happens to a row's `choices` that its prompt does not show."""
    conflicts: ConflictRule = ConflictRule.drop
    """What happens where rows with the same prompt have different labels."""
    chat_template: ChatTemplate = ChatTemplate.auto
    """Whether the tokenizer's chat template is applied to a prompt."""
    system_prompt: str | None = None
    """System prompt of every chat, before a row's own; null = none."""
    system_role: SystemRole = SystemRole.keep
    """Where system messages are written: `merge` is for chat templates that refuse them."""
    enable_thinking: bool | None = None
    """Passed to chat templates that know it; null = the template's default."""
    stop_at_turn_end: bool = True
    """Under a chat template, end a response at the template's end of turn as well, though the model
    names another token."""
    overlong: Overlong = Overlong.filter
    """What happens to a prompt that is longer than `rollout.max_prompt_tokens`."""
    kinds: str = "HMHHMHXX"
    """Testbed only: one letter per family of questions: H the base model is mostly right, M it
    believes a wrong rule, X it has no idea."""
    wrong_rule: int = 0
    """Testbed only: number of the wrong rule that M families follow."""
    people: list[int] = field(default_factory=lambda: [3])
    """Knights only: numbers of people in training puzzles, each 2 to 8; puzzles take turns."""
    count: int = 1000
    """Puzzles only (knights, reasoning): number of training puzzles."""
    eval_people: list[int] = field(default_factory=list)
    """Knights only: numbers of people in held-out puzzles; empty = as `people`."""
    eval_count: int = 100
    """Puzzles only (knights, reasoning): number of held-out puzzles; 0 = no evaluation."""

    def __post_init__(self) -> None:
        """Check fields against each other."""
        if self.kind in FILE_KINDS and not self.path:
            what = "folder" if self.kind is DataKind.folder else "file"
            raise UserError(
                f"data.path is missing: data={self.kind} needs a {what}, data.path={what.upper()}"
            )
        if not 0 <= self.holdout < 1:
            raise UserError(f"data.holdout={self.holdout} is outside [0, 1)")
        at_least("data.seed", self.seed, 0)
        at_least("data.eval_limit", self.eval_limit, 0)
        at_least("data.wrong_rule", self.wrong_rule, 0)
        self._check_puzzles()

    def _check_puzzles(self) -> None:
        at_least("data.count", self.count, 1)
        at_least("data.eval_count", self.eval_count, 0)
        if not self.people:
            raise UserError("data.people is empty: name a number of people, e.g. data.people=[3]")
        for key, sizes in (("people", self.people), ("eval_people", self.eval_people)):
            for size in sizes:
                if size not in PUZZLE_PEOPLE:
                    raise UserError(f"data.{key}={sizes}: puzzles have 2 to 8 people, not {size}")
        if self.kind not in MADE_PUZZLES:
            return
        if self.path or self.eval_path or self.holdout or self.task not in (None, "knights"):
            raise UserError(
                f"data={self.kind} makes its own puzzles: leave out data.path, data.eval_path, "
                "data.holdout and data.task; data.eval_count says how many are held out"
            )
