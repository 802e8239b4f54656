"""`python -m rlavr_hpc.ledger show|verify RUN_DIR`: what was bought, and the proof of it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rlavr_hpc.acquisition.ledger import Book, read_book, rules_of
from rlavr_hpc.attempts import read_attempts
from rlavr_hpc.config import RunConfig
from rlavr_hpc.errors import ExitCode, LedgerError, RlavrError, UserError
from rlavr_hpc.run_folder import read_config


def main() -> int:
    """Run one verb; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m rlavr_hpc.ledger", description="Read a run's ledger of bought labels."
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, text in (
        ("show", "print the spend, per step"),
        ("verify", "check every line and every total; exit 1 when something is wrong"),
    ):
        command = verbs.add_parser(verb, help=text, description=text)
        command.add_argument("run_dir", type=Path)
        command.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    try:
        lines = VERBS[arguments.verb](arguments.run_dir, as_json=arguments.json)
    except RlavrError as error:
        print(f"rlavr_hpc: {error}", file=sys.stderr)
        return error.exit_code
    print("\n".join(lines))
    return ExitCode.DONE


def show(run_dir: Path, *, as_json: bool) -> list[str]:
    """The spend of a run, and of each of its steps."""
    config, book = _open(run_dir)
    if as_json:
        return [json.dumps({**totals(config, book), "steps": _steps(book)})]
    lines = [*_headline(config, book), "", "step  bought  void  prompts"]
    lines += [
        f"{row['step']:4d}  {row['bought']:6d}  {row['void']:4d}  {' '.join(row['prompts'][:6])}"
        + (" ..." if len(row["prompts"]) > 6 else "")
        for row in _steps(book)
    ]
    return lines


def verify(run_dir: Path, *, as_json: bool) -> list[str]:
    """Check the chain, the seals, the rules of the config, and the summary's total.

    Raises:
        LedgerError: something does not hold.
    """
    config, book = _open(run_dir)
    book.check(rules_of(config))
    summary = run_dir / "summary.json"
    if summary.exists():
        told = json.loads(summary.read_text())["labels_bought"]
        if (run_dir / "DONE.json").exists() and told != book.bought:
            raise LedgerError(f"{summary} says {told} labels, the ledger holds {book.bought}")
    if as_json:
        return [json.dumps({"valid": True, **totals(config, book)})]
    return [
        *_headline(config, book),
        *_other_quotas(config, book),
        f"valid: {book.lines} lines, chain ends in {book.head}",
    ]


VERBS = {"show": show, "verify": verify}


def _open(run_dir: Path) -> tuple[RunConfig, Book]:
    if not (run_dir / "config.yaml").is_file():
        raise UserError(f"{run_dir} is not a run's folder: it has no config.yaml")
    config = read_config(run_dir)
    if not read_attempts(run_dir):
        return config, Book()
    return config, read_book(run_dir)


def totals(config: RunConfig, book: Book) -> dict[str, Any]:
    """The figures of a whole run."""
    return {
        "acquisition": config.acquisition.name,
        "budget": config.budget,
        "budget_effective": config.budget_effective,
        "budget_total": config.budget_total,
        "quota_per_step": config.quota,
        "labels_bought": book.bought,
        "labels_void": book.void,
        "cost": book.cost,
        "open_intents": book.open_intents,
        "lines": book.lines,
    }


def _headline(config: RunConfig, book: Book) -> list[str]:
    cap = "" if config.budget_total is None else f", at most {config.budget_total} in all"
    lines = [
        f"acquisition={config.acquisition.name}: {book.bought} labels bought for {book.cost:g}, "
        f"{book.void} void; {config.quota} a step allowed{cap}"
    ]
    if book.open_intents:
        lines.append(
            f"{book.open_intents} intents are open: the run died between decision and label; "
            "starting it again completes them"
        )
    return lines


def _other_quotas(config: RunConfig, book: Book) -> list[str]:
    """Steps decided under another quota than the config has now (`allow_change`)."""
    other = [step for (_, step), quota in book.allowed.items() if quota > config.quota]
    if not other:
        return []
    return [f"{len(other)} steps, {other[0]} to {other[-1]}, were bought under a larger quota"]


def _steps(book: Book) -> list[dict[str, Any]]:
    rows = []
    for (branch, step), prompts in sorted(book.decisions.items()):
        outcomes = book.purchases[branch, step].values()
        rows.append(
            {
                "branch": branch,
                "step": step,
                "prompts": list(prompts),
                "bought": sum(p.answer is not None for p in outcomes),
                "void": sum(p.answer is None for p in outcomes),
            }
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
