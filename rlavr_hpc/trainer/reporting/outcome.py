"""What a dashboard stores of a run besides its rows: config, spending, checkpoint, summary.

No torch here: `rlavr track rebuild` makes the same from the record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlavr_hpc.acquisition.ledger_state import LedgerState
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.runs.checkpoints import candidates
from rlavr_hpc.runs.folder import CONFIG
from rlavr_hpc.telemetry.outcome import Attachment, RunOutcome

SPEND = "spend.csv"
SPEND_COLUMNS = ("branch", "step", "allowed", "bought", "void", "cost", "total")


def outcome_of(
    run_dir: Path, config: RunConfig, ledger_state: LedgerState, summary: Mapping[str, Any]
) -> RunOutcome:
    """What is stored with the run when an attempt ends; a function of the record alone.

    Args:
        run_dir: the run's folder.
        config: the run's.
        ledger_state: everything it has bought.
        summary: its summary.json; with `tracking.checkpoints` the last checkpoint of a finished run
            is stored too.
    """
    attachments = [
        Attachment(kind="config", files={CONFIG: (run_dir / CONFIG).read_bytes()}),
        Attachment(kind="ledger", files={SPEND: spend_table(ledger_state).encode()}),
    ]
    if config.tracking.checkpoints and summary.get("status") == "done":
        newest = next(candidates(run_dir), None)
        if newest is not None:
            attachments.append(Attachment(kind="checkpoint", folder=newest.folder))
    flat = {f"summary/{name}": value for name, value in summary.items() if name != "version"}
    return RunOutcome(attachments=tuple(attachments), summary=flat)


def read_summary(run_dir: Path) -> dict[str, Any]:
    """The content of summary.json; empty before the first attempt has ended.

    Raises:
        RlavrError: it is damaged.
    """
    path = run_dir / "summary.json"
    try:
        summary: dict[str, Any] = json.loads(path.read_bytes())
        return dict(summary)
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, RecursionError) as error:
        raise RlavrError(
            f"{path} is damaged: {error}; delete it, and the run's next start writes it again"
        ) from error


def spend_table(ledger_state: LedgerState) -> str:
    """CSV with one line per step that decided on purchases: counts, and no label or prompt.

    `bought` were paid for, `void` have no label in the data, `total` counts all steps so far.
    """
    lines, total = [",".join(SPEND_COLUMNS)], 0
    for branch, step in sorted(ledger_state.decisions):
        purchases = ledger_state.purchases[branch, step].values()
        bought = sum(purchase.answer is not None for purchase in purchases)
        total += bought
        cost = sum(purchase.cost for purchase in purchases)
        cells = (
            branch,
            step,
            ledger_state.allowed[branch, step],
            bought,
            len(purchases) - bought,
            f"{cost:g}",
            total,
        )
        lines.append(",".join(map(str, cells)))
    return "\n".join(lines) + "\n"
