"""Audits in a run: kept labels change nothing in it, and a resumed run repeats its audits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from rlavr_hpc.acquisition.audit_history import AuditKind
from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.runs.done import DONE_FILE
from rlavr_hpc.telemetry import names
from tests.support.commands import (
    SIX_STEPS,
    learnt_hash,
    metrics,
    purchases,
    results,
    rlavr,
    run,
    summary,
    weights_hash,
)
from tests.support.known_metrics import strange_values

OF_AUDITS = (
    names.COLLAPSE_ALARM,
    names.COLLAPSE_ALARM_EVIDENCE,
    names.LABELS_AUDITS,
    names.LABELS_AUDITS_TOTAL,
    names.LABELS_KEPT_RIGHT,
)


def without_audits(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k not in OF_AUDITS} for row in rows]


def stored_alarm(folder: Path, step: int) -> Any:  # noqa: ANN401
    manifest = json.loads((folder / f"checkpoints/step_{step}/MANIFEST.json").read_text())
    return manifest["state"]["alarm"]


def test_a_run_with_kept_labels_is_the_run_without_and_repeats_its_audits_when_resumed(
    finished: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    arguments = (*SIX_STEPS, "warning.audit=kept", f"run_dir={folder}")
    first = run(*arguments)
    assert first.returncode == 0, first.stderr
    rows = results(metrics(folder))
    assert strange_values(metrics(folder)) == []
    assert without_audits(rows) == results(metrics(finished))
    assert weights_hash(folder, 6) == weights_hash(finished, 6)
    assert learnt_hash(folder, 6) == learnt_hash(finished, 6)
    assert purchases(folder) == purchases(finished)
    audits = read_ledger(folder).audits
    assert audits.count(AuditKind.kept) == rows[-1][names.LABELS_AUDITS_TOTAL] > 3
    assert f"silent ({audits.total} labels for audits)" in first.stdout
    alarm, bought = stored_alarm(folder, 6), dict(audits.bought)

    shutil.rmtree(folder / "checkpoints/step_6")
    (folder / DONE_FILE).unlink()
    again = run(*arguments)

    assert again.returncode == 0, again.stderr
    assert results(metrics(folder, 2)) == rows[5:]
    assert stored_alarm(folder, 6) == alarm
    assert read_ledger(folder).audits.bought == bought, "nothing is paid for twice"
    assert summary(folder)["labels_audited"] == audits.total
    verified = rlavr("ledger", "verify", str(folder))
    assert verified.returncode == 0, verified.stdout
    assert f"{audits.total} labels more for audits of votes" in verified.stdout
