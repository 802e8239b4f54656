"""`rlavr ledger show|verify DIR`: show or verify the labels that were bought.

DIR is a run, a sweep, or any folder with runs below it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.acquisition.ledger_state import LedgerState
from rlavr_hpc.acquisition.money_limit import labels_unaffordable, money_notes
from rlavr_hpc.cluster.slurm.commands import ask_queue
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import ExitCode, UserError
from rlavr_hpc.runs.find import find_runs, is_run
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.runs.states import RunState, StateReader, run_state
from rlavr_hpc.spending import report
from rlavr_hpc.spending.bought_prompts import bought_prompts, prompt_lines
from rlavr_hpc.spending.live_spend import live_spend, live_values
from rlavr_hpc.spending.totals import SpendEntry, read_entry
from rlavr_hpc.spending.verify_ledger import prove, readable

FEW = 4
"""Runs that are read without a progress bar."""
DESCRIPTION = """\
Read the ledger, the record of every label that a run bought.
"""
SHOW = (
    "Print what was spent: of one run per step, or per prompt with its question; of many runs per "
    "run, policy and step."
)
VERIFY = "Check every line and every total of the ledger against the run's budget."
SHOW_EPILOG = """\
Examples:
  rlavr ledger show runs/study
  rlavr ledger show runs/study-0a1b2c3d --prompts

Exit codes: 0 shown, 1 the ledger cannot be read, 2 no run found.
"""
VERIFY_EPILOG = """\
Examples:
  rlavr ledger verify runs

Exit codes: 0 everything is correct, 1 something is wrong, 2 no run found.
"""
EPILOG = """\
Examples:
  rlavr ledger show runs/study
  rlavr ledger verify runs

Exit codes: 0 shown or correct, 1 something is wrong, 2 no run found.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr ledger`."""
    verbs = parser.add_subparsers(dest="action", metavar="show|verify", required=True)
    for verb, text, epilog in (("show", SHOW, SHOW_EPILOG), ("verify", VERIFY, VERIFY_EPILOG)):
        command = verbs.add_parser(
            verb,
            help=text,
            description=text,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_argument(
            "folder", type=Path, metavar="DIR", help="a run, a sweep, or a folder with runs below"
        )
        command.add_argument("--json", action="store_true", help="print JSON")
        if verb == "show":
            command.add_argument(
                "--prompts",
                action="store_true",
                help="of one run: each prompt with its question, its label and the step",
            )


def run(given: argparse.Namespace) -> int:
    """Show or verify; returns the exit code."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a prompt's id may be any text
    if given.action == "show" and given.prompts:
        lines, code = show_prompts(given.folder, as_json=given.json), ExitCode.DONE
    else:
        lines, code = _answer(given.folder, given.action, as_json=given.json)
    print("\n".join(lines))
    return code


def _answer(folder: Path, verb: str, *, as_json: bool) -> tuple[list[str], ExitCode]:
    with readable(folder):
        if is_run(folder):
            verbs = {"show": show, "verify": verify}
            return verbs[verb](folder, as_json=as_json), ExitCode.DONE
        return _answer_many(folder, verb, as_json=as_json)


def _answer_many(folder: Path, verb: str, *, as_json: bool) -> tuple[list[str], ExitCode]:
    proving = verb == "verify"
    entries = list(_entries(folder, proving=proving))
    values, text = (
        (report.proof_values, report.proof_text) if proving else (report.as_values, report.as_text)
    )
    failed = proving and any(entry.error for entry in entries)
    lines = [json.dumps({"folder": str(folder), **values(entries)})] if as_json else text(entries)
    return lines, ExitCode.FAILED if failed else ExitCode.DONE


def _entries(folder: Path, *, proving: bool) -> Iterator[SpendEntry]:
    found = find_runs(folder) if folder.is_dir() else []
    if all(one.foreign for one in found):
        raise UserError(f"{folder} is not a run's folder, and no run lies below it")
    quiet = len(found) <= FEW or not sys.stderr.isatty()
    states = StateReader(ask_queue()[0])
    for one in tqdm(found, unit="run", disable=quiet):
        if one.foreign:
            yield SpendEntry(found=one)
        else:
            yield read_entry(one, states.read(one), proving=proving)


def show(run_dir: Path, *, as_json: bool) -> list[str]:
    """The spend of a run, and of each of its steps."""
    config = read_config(run_dir)
    ledger_state = read_ledger(run_dir)
    state = run_state(run_dir, queue=ask_queue()[0])
    if as_json:
        values = totals(run_dir, config, ledger_state) | {"steps": _steps(ledger_state)}
        return [json.dumps({"status": state.state, **values})]
    return [
        _state_line(state),
        *_headline(run_dir, config, ledger_state),
        "",
        *_step_lines(_steps(ledger_state)),
    ]


def _step_lines(rows: list[dict[str, Any]]) -> list[str]:
    """A line a step; with its branch where there are several, since steps repeat then."""
    several = len({row["branch"] for row in rows}) > 1
    lines = [f"{'branch  ' if several else ''}step  bought  void  prompts"]
    for row in rows:
        branch = f"{row['branch']:6d}  " if several else ""
        few, more = " ".join(row["prompts"][:6]), " ..." if len(row["prompts"]) > 6 else ""
        figures = f"{row['step']:4d}  {row['bought']:6d}  {row['void']:4d}"
        lines.append(f"{branch}{figures}  {few}{more}")
    return lines


def show_prompts(run_dir: Path, *, as_json: bool) -> list[str]:
    """Every label that a run asked for, with its question.

    Raises:
        UserError: it is no run's folder, or the run's data cannot be read.
    """
    if not is_run(run_dir):
        raise UserError(f"--prompts shows one run, and {run_dir} is no run's folder")
    with readable(run_dir):
        config = read_config(run_dir)
        rows = bought_prompts(run_dir, config, read_ledger(run_dir))
    if as_json:
        return [json.dumps({"prompts": [asdict(row) for row in rows]})]
    return prompt_lines(rows)


def _state_line(state: RunState) -> str:
    reason = f" ({state.reason})" if state.reason else ""
    return f"{state.name}: {state.state} at step {state.step} of {state.steps or '?'}{reason}"


def verify(run_dir: Path, *, as_json: bool) -> list[str]:
    """Prove a run's spend.

    Raises:
        RlavrError: something does not hold.
    """
    config = read_config(run_dir)
    proof = prove(run_dir, config)
    if as_json:
        lost = [*map(asdict, proof.uncounted_lines)]
        facts = {"uncounted_lines": lost, "remarks": proof.remarks}
        return [json.dumps({"valid": True, **totals(run_dir, config, proof.ledger_state), **facts})]
    return [
        *_headline(run_dir, config, proof.ledger_state),
        *proof.remarks,
        *map(str, proof.uncounted_lines),
        f"valid: {proof.ledger_state.lines} lines, chain ends in {proof.ledger_state.head}",
    ]


def totals(run_dir: Path, config: RunConfig, ledger_state: LedgerState) -> dict[str, Any]:
    """The figures of a whole run; of one with a live label source also its orders."""
    return {
        "acquisition": config.acquisition.name,
        "budget": config.budget,
        "budget_effective": config.budget_effective,
        "budget_total": config.budget_total,
        "quota_per_step": config.quota,
        "labels_bought": ledger_state.bought,
        "labels_void": ledger_state.void,
        "cost": ledger_state.cost,
        "labels_unaffordable": labels_unaffordable(config, ledger_state),
        "open_intents": ledger_state.open_intents,
        "lines": ledger_state.lines,
        **live_values(run_dir, config.labels, ledger_state),
    }


def _headline(run_dir: Path, config: RunConfig, ledger_state: LedgerState) -> list[str]:
    cap = "" if config.budget_total is None else f", at most {config.budget_total} in all"
    lines = [
        f"acquisition={config.acquisition.name}: {ledger_state.bought} labels bought for "
        f"{ledger_state.cost:g}, {ledger_state.void} void; {config.quota} a step allowed{cap}"
    ]
    lines += money_notes(config, ledger_state)
    if live := live_spend(run_dir, config.labels, ledger_state):
        lines.append(live.as_text(charged=ledger_state.cost))
    elif ledger_state.open_intents:
        lines.append(
            f"{ledger_state.open_intents} intents are open: the run died between decision and "
            "label; starting it again completes them"
        )
    return lines


def _steps(ledger_state: LedgerState) -> list[dict[str, Any]]:
    rows = []
    for (branch, step), prompts in sorted(ledger_state.decisions.items()):
        outcomes = ledger_state.purchases[branch, step].values()
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
