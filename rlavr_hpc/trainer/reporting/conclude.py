"""The end of an attempt: summary, last heartbeat, DONE.json, and the end of the mirror."""

from __future__ import annotations

from functools import partial

from rlavr_hpc.errors import ExitCode
from rlavr_hpc.runs.done import write_done
from rlavr_hpc.trainer.hooks.mirror import close_mirror
from rlavr_hpc.trainer.loop import TrainingRun
from rlavr_hpc.trainer.reporting.outcome import outcome_of, read_summary
from rlavr_hpc.trainer.reporting.summary import explain, fault_note, summarize


def conclude(run: TrainingRun, status: str, *, code: ExitCode) -> str:
    """Write the summary and the last heartbeat, on rank 0.

    Args:
        run: the run.
        status: "done", "stopped" or "failed".
        code: the process's exit code.

    Returns:
        The outcome for people; empty on the other ranks.
    """
    recorder, ledger = run.record.recorder, run.components.ledger
    if recorder is None or ledger is None:
        return ""
    run.fence()
    ledger.state.check(run.components.rules)
    summary = summarize(
        run.run_dir, run.components.config, status=status, ledger_state=ledger.state
    )
    state = "parked" if code is ExitCode.WAITING_FOR_LABELS else status
    note = fault_note(summary)
    words = {"note": note} if note else {}
    recorder.heartbeat.beat(state, step=run.state.step, exit_code=int(code), **words)
    if status == "done":
        write_done(run.run_dir, run.state.step)
    if code is not ExitCode.DONE:
        end_mirror(run, code)
    return explain(summary, run.components.config, run.run_dir)


def end_mirror(run: TrainingRun, code: ExitCode) -> None:
    """Tell the dashboard how the attempt ended, on rank 0. It may take long."""
    recorder, ledger = run.record.recorder, run.components.ledger
    if recorder is None or recorder.mirror is None or ledger is None:
        return
    outcome = partial(
        outcome_of, run.run_dir, run.components.config, ledger.state, read_summary(run.run_dir)
    )
    close_mirror(recorder.mirror, code, outcome)
