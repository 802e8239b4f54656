"""Columns of the report's tables, by table: a row is what the name says."""

from __future__ import annotations

Columns = dict[str, type]
"""Name -> type; every value may be missing."""

RUNS: Columns = {
    "run": str,
    "folder": str,
    "condition": str,
    "sweep": str,
    "policy": str,
    "budget": float,
    "budget_effective": float,
    "seed": int,
    "state": str,
    "steps": int,
    "steps_planned": int,
    "uses_oracle": bool,
    "settings": str,
    "collapsed": bool,
    "onset": int,
    "defined_onset": int,
    "measured_by": str,
    "kind": str,
    "loss": float,
    "detected": int,
    "lead": int,
    "warned": int,
    "verdict": str,
    "labels": int,
    "labels_void": int,
    "cost": float,
    "labels_left_behind": int,
    "accuracy_start": float,
    "accuracy_end": float,
    "area": float,
    "labels_to_target": float,
    "vote_right": float,
    "none_correct": float,
    "oracle_recall": float,
    "starts": int,
    "preemptions": int,
    "crashes": int,
    "rollbacks": int,
    "steps_redone": int,
    "seconds_lost": float,
    "steps_left_behind": int,
    "seconds_running": float,
    "seconds_waiting": float,
    "seconds_per_step": float,
    "tokens_per_second": float,
    "device_hours": float,
    "device": str,
    "memory_gib": float,
    "problems": int,
}
"""A run: verdict, spending, health. `settings` is JSON; `detected` and `warned` are steps."""
CONDITIONS: Columns = {
    "rank": int,
    "condition": str,
    "policy": str,
    "budget": float,
    "settings": str,
    "runs": int,
    "finished": int,
    "judged": int,
    "collapsed": int,
    "uses_oracle": bool,
    "on_frontier": bool,
    **{
        f"{name}{end}": float
        for name in ("labels", "start", "accuracy", "area")
        for end in ("", "_low", "_high")
    },
}
"""A condition: runs that differ only by seed; best accuracy first."""
CONTRASTS: Columns = {
    "better": str,
    "worse": str,
    "difference": float,
    "difference_low": float,
    "difference_high": float,
    "seeds": int,
    "paired": bool,
    "p_value": float,
    "p_adjusted": float,
    "significant": bool,
}
"""Two conditions compared."""
SIGNALS: Columns = {
    "run": str,
    "rank": int,
    "signal": str,
    "label_free": bool,
    "step": int,
    "detected": int,
    "before": float,
    "after": float,
    "text": str,
}
"""A signal of a run, strongest change first."""
