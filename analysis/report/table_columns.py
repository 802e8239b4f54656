"""Columns of the report's tables, by table: a row is what the name says."""

from __future__ import annotations

import pyarrow as pa

TEXT, WHOLE, REAL, TRUTH = pa.string(), pa.int64(), pa.float64(), pa.bool_()

RUNS = pa.schema(
    {
        "run": TEXT,
        "folder": TEXT,
        "condition": TEXT,
        "sweep": TEXT,
        "policy": TEXT,
        "budget": REAL,
        "budget_effective": REAL,
        "seed": WHOLE,
        "state": TEXT,
        "steps": WHOLE,
        "steps_planned": WHOLE,
        "uses_oracle": TRUTH,
        "settings": TEXT,
        "collapsed": TRUTH,
        "onset": WHOLE,
        "defined_onset": WHOLE,
        "measured_by": TEXT,
        "kind": TEXT,
        "loss": REAL,
        "detected": WHOLE,
        "lead": WHOLE,
        "warned": WHOLE,
        "verdict": TEXT,
        "labels": WHOLE,
        "labels_void": WHOLE,
        "cost": REAL,
        "labels_left_behind": WHOLE,
        "accuracy_start": REAL,
        "accuracy_end": REAL,
        "area": REAL,
        "labels_to_target": REAL,
        "vote_right": REAL,
        "none_correct": REAL,
        "oracle_recall": REAL,
        "starts": WHOLE,
        "preemptions": WHOLE,
        "crashes": WHOLE,
        "rollbacks": WHOLE,
        "steps_redone": WHOLE,
        "seconds_lost": REAL,
        "steps_left_behind": WHOLE,
        "seconds_running": REAL,
        "seconds_waiting": REAL,
        "seconds_per_step": REAL,
        "tokens_per_second": REAL,
        "device_hours": REAL,
        "device": TEXT,
        "memory_gib": REAL,
        "problems": WHOLE,
    }
)
"""A run: verdict, spending, health. `settings` is JSON; `detected` and `warned` are steps."""
CONDITIONS = pa.schema(
    {
        "rank": WHOLE,
        "condition": TEXT,
        "policy": TEXT,
        "budget": REAL,
        "settings": TEXT,
        "runs": WHOLE,
        "finished": WHOLE,
        "judged": WHOLE,
        "collapsed": WHOLE,
        "uses_oracle": TRUTH,
        "on_frontier": TRUTH,
        **{
            f"{name}{end}": REAL
            for name in ("labels", "accuracy", "area")
            for end in ("", "_low", "_high")
        },
    }
)
"""A condition: runs that differ only by seed; best accuracy first."""
CONTRASTS = pa.schema(
    {
        "better": TEXT,
        "worse": TEXT,
        "difference": REAL,
        "difference_low": REAL,
        "difference_high": REAL,
        "seeds": WHOLE,
        "paired": TRUTH,
        "p_value": REAL,
        "p_adjusted": REAL,
        "significant": TRUTH,
    }
)
"""Two conditions compared."""
SIGNALS = pa.schema(
    {
        "run": TEXT,
        "rank": WHOLE,
        "signal": TEXT,
        "label_free": TRUTH,
        "step": WHOLE,
        "detected": WHOLE,
        "before": REAL,
        "after": REAL,
        "text": TEXT,
    }
)
"""A signal of a run, strongest change first."""
