"""Counts of what was found in rows, and the sentences that tell them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rlavr_hpc.data.columns import Columns
from rlavr_hpc.data.findings import NAMED, DataFinding, FindingLevel
from rlavr_hpc.data.table_row import FileRow

EMPTY = "nothing"
"""What a void label without a word is counted as."""
SHOWN_WORDS = 4
NOTES = {
    "objects_of_one_value": "have an object with one key as answer; the label is its value",
    "worked_solutions": "have a worked solution as answer; the label is what it marks",
    "rendered_choices": "have choices that their prompt does not show; they were put below it "
    "(data.choices=ignore drops them)",
}
UNDECIDED = (
    "name an option by its place, and none of these is 0 or one past the last: they were counted "
    "from 0; if they count from 1, write letters instead"
)


@dataclass(slots=True, kw_only=True)
class _Tally:
    """One kind of finding."""

    count: int = 0
    rows: list[str] = field(default_factory=list)
    details: Counter[str] = field(default_factory=Counter)

    def add(self, where: str, count: int, detail: str) -> None:
        self.count += count
        if len(self.rows) < NAMED:
            self.rows.append(where)
        if detail in self.details or len(self.details) < 100:  # it is for examples
            self.details[detail] += count


@dataclass(slots=True, kw_only=True)
class RowCounts:
    """What was found in the rows of a data set."""

    rows: int = 0
    repeated: int = 0
    conflicts: int = 0
    """Prompts."""
    _tallies: dict[str, _Tally] = field(default_factory=dict)

    def note(self, kind: str, row: FileRow, *, detail: str = "") -> None:
        """Count a row, with all that are equal to it."""
        self.note_at(kind, row.where, row.count, detail=detail)

    def note_at(self, kind: str, where: str, count: int, *, detail: str = "") -> None:
        """Count `count` rows of which the first is at `where`."""
        self._tallies.setdefault(kind, _Tally()).add(where, count, detail)

    def conflict(self, places: Sequence[str], count: int, *, example: str) -> None:
        """Count a prompt of whose `count` labelled rows some have different labels."""
        self.conflicts += 1
        for place in places:
            self.note_at("conflicting_labels", place, 0, detail=example)
        self._tallies["conflicting_labels"].count += count

    def without_answers(self, columns: Columns) -> None:
        """Say that the file has no column for an answer, instead of naming every row."""
        self._tallies.pop("void_labels", None)
        asked = f"no column for the answer; the columns are {columns.listed}"
        detail = f"{asked}; name it with {columns.proposal('prompt', 'answer')}"
        self._tallies["no_answer_column"] = _Tally(count=self.rows, details=Counter([detail]))

    def findings(self, path: Path, *, labelled: int) -> tuple[DataFinding, ...]:
        """What a user should know, in a fixed order.

        Args:
            path: the file or folder, for the sentences.
            labelled: prompts that have a label in the end.
        """
        return tuple(self._findings(path, labelled))

    def _findings(self, path: Path, labelled: int) -> Iterator[DataFinding]:
        if self.repeated:
            yield DataFinding(
                kind="repeated_prompt",
                level=FindingLevel.note,
                text=f"{path}: {self.repeated} rows repeat an earlier prompt and were merged "
                "with it",
                count=self.repeated,
            )
        for kind, tally in sorted(self._tallies.items(), key=lambda one: ORDER.index(one[0])):
            level, text = self._told(kind, tally, labelled)
            if not tally.rows:
                yield DataFinding(kind=kind, level=level, text=f"{path}: {text}", count=tally.count)
                continue
            named = ", ".join(row.rpartition(", ")[2] for row in tally.rows)
            more = ", ..." if tally.count > len(tally.rows) else ""
            yield DataFinding(
                kind=kind,
                level=level,
                text=f"{path}: {text} ({named}{more})",
                count=tally.count,
                rows=tuple(tally.rows),
            )

    def _told(self, kind: str, tally: _Tally, labelled: int) -> tuple[FindingLevel, str]:
        """How loud, and what."""
        of = f"{tally.count} of {self.rows} rows"
        example = next(iter(tally.details), "")
        match kind:
            case "unusable_rows":
                reason = example.partition(": ")[2] or example
                return FindingLevel.warning, f"{of} are left out, the first because {reason}"
            case "void_labels":
                words = Counter({word or EMPTY: n for word, n in tally.details.items()})
                listed = ", ".join(
                    f"{count} x {word if word == EMPTY else repr(word)}"
                    for word, count in words.most_common(SHOWN_WORDS)
                )
                only_empty = set(words) == {EMPTY}
                level = FindingLevel.note if only_empty and labelled else FindingLevel.warning
                return level, f"{of} have no label: {listed}"
            case "unreadable_labels":
                return (
                    FindingLevel.warning,
                    f"{of} have an answer that cannot be read and count as without a label: "
                    f"{example}",
                )
            case "conflicting_labels":
                return (
                    FindingLevel.warning,
                    f"{self.conflicts} prompts ({of}) have labels that differ; none of them "
                    f"counts (data.conflicts=error would end the run): {example}",
                )
            case "undecided_places":
                return FindingLevel.warning, f"{of} {UNDECIDED}"
            case "no_answer_column":
                return FindingLevel.note, example
            case _:
                return FindingLevel.note, f"{of} {NOTES[kind]}"


ORDER = (
    "unusable_rows",
    "no_answer_column",
    "void_labels",
    "unreadable_labels",
    "conflicting_labels",
    "undecided_places",
    "objects_of_one_value",
    "worked_solutions",
    "rendered_choices",
)
