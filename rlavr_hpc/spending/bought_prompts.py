"""Which prompts a run asked labels for: step, question, and what came of it.

The ledger names prompts by their ids; their questions are read from the run's data again. Texts are
from files of strangers: on one line, and with nothing that a terminal would obey.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rlavr_hpc.acquisition.ledger_state import LedgerState
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import UserError

WIDTH = 88
"""Characters of a question on a terminal."""
OPEN, VOID, BOUGHT = "open", "void", "bought"
"""What came of a decision: no outcome yet, the data has no label, a label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoughtPrompt:
    """One label that was asked for."""

    branch: int
    step: int
    prompt: str
    """Its id."""
    question: str | None
    """Its last turn; None where the data does not hold it any more."""
    outcome: str
    answer: str | None
    """The label; None of what was not bought."""
    cost: float


def bought_prompts(
    run_dir: Path, config: RunConfig, ledger_state: LedgerState
) -> list[BoughtPrompt]:
    """Every label that the run asked for, in the order of (branch, step) and of the decision.

    Args:
        run_dir: the run's folder.
        config: its config, which names the data.
        ledger_state: its ledger.

    Raises:
        UserError: the run's data cannot be read.
    """
    questions = _questions(run_dir, config)
    late = {
        (one.decided, prompt): one
        for seen in ledger_state.purchases.values()
        for prompt, one in seen.items()
        if one.decided is not None
    }
    rows = []
    for (branch, step), prompts in sorted(ledger_state.decisions.items()):
        outcomes = ledger_state.purchases[branch, step]
        for prompt in prompts:
            found = late.get(((branch, step), prompt), outcomes.get(prompt))
            rows.append(
                BoughtPrompt(
                    branch=branch,
                    step=step,
                    prompt=prompt,
                    question=questions.get(prompt),
                    outcome=OPEN if found is None else VOID if found.answer is None else BOUGHT,
                    answer=None if found is None else found.answer,
                    cost=0.0 if found is None else found.cost,
                )
            )
    return rows


def _questions(run_dir: Path, config: RunConfig) -> dict[str, str]:
    from rlavr_hpc.data.load_split import load_split  # noqa: PLC0415  slow, and rarely needed

    try:
        split = load_split(config.data, task=config.task_name)
    except UserError as error:
        raise UserError(
            f"{run_dir}: the questions are in the run's data, which cannot be read ({error}); "
            "without --prompts their ids are shown"
        ) from error
    return {question.id: question.text for question in split.train.questions}


def prompt_lines(rows: list[BoughtPrompt]) -> list[str]:
    """A table for a terminal; branches are told where there are several."""
    several = len({row.branch for row in rows}) > 1
    lines = [f"{'branch  ' if several else ''}step  label                 question"]
    for row in rows:
        branch = f"{row.branch:6d}  " if several else ""
        label = f"[{row.outcome}]" if row.answer is None else one_line(row.answer, 20)
        asked = "[not in the data any more]" if row.question is None else row.question
        lines.append(
            f"{branch}{row.step:4d}  {label:20s}  {one_line(row.prompt, 24)}: "
            f"{one_line(asked, WIDTH)}"
        )
    return lines


def one_line(text: str, width: int) -> str:
    """A text as a terminal may show it: on one line, cut, unprintable characters escaped."""
    flat = " ".join(text.split())
    safe = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in flat)
    return safe if len(safe) <= width else f"{safe[: width - 3]}..."
