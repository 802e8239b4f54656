"""What every metric of a row means; needs nothing but this package's records.

`GLOSSARY` has one entry for each constant of `names`, and one for each family of names that a run
fills in. `find` knows the entry of a name that stands in a row.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from rlavr_hpc.telemetry.glossary.labels import LABELS, ORACLE
from rlavr_hpc.telemetry.glossary.machine import MACHINE
from rlavr_hpc.telemetry.glossary.metric_info import MetricInfo
from rlavr_hpc.telemetry.glossary.responses import RESPONSE
from rlavr_hpc.telemetry.glossary.training import TRAINING

GROUPS: Final = {
    "collapse": "What the responses and votes look like from outside. It needs no label.",
    "train": "The optimizer's updates, and whether the trainer and the sampler hold one model.",
    "labels": "What was bought, and what the bought labels say of the votes.",
    "eval": "Accuracy on held-out prompts, every `eval_every` steps.",
    "oracle": "What needs labels nobody bought: research only (`audit=true`). Training never sees "
    "it, and a run without it has the same weights.",
    "grade": "Answers that passed a grader's limits.",
    "time": "Where a step's wall time goes, on rank 0: waiting for other ranks is part of the "
    "phase in which rank 0 waits.",
    "perf": "Throughput.",
    "sys": "Memory and disk.",
}
"""Group -> what it is about."""
ROW_KEYS: Final = {
    "v": "version of the format",
    "step": "from 1; 0 is the evaluation before the first step",
    "branch": "raised by a roll-back",
    "attempt": "which start of the run wrote the row",
    "time": "when, in seconds since 1970",
}
"""What a row holds besides metrics."""
GLOSSARY: Final[tuple[MetricInfo, ...]] = (*TRAINING, *RESPONSE, *LABELS, *ORACLE, *MACHINE)


@lru_cache(maxsize=4096)
def find(name: str) -> MetricInfo | None:
    """The entry of a metric by the name it has in a row; None when nobody knows it."""
    return next((info for info in GLOSSARY if info.names(name)), None)
