"""The program as a user starts it: in processes of its own."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlavr_hpc.acquisition.ledger import read_ledger
from tests.support import warm_start

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = (
    "algorithm.batch=16",
    "algorithm.mini_batch=16",
    "algorithm.group_size=4",
    "eval.samples=2",
    "data.eval_limit=8",
    "model.pretrain_steps=400",
    "cluster.threads=1",
)
"""A testbed run small enough for a test; the base model is good enough to answer in boxes.

One thread, as two of its size spend their time waiting for each other at full load: with two tests
at a time such a run takes several times the CPU time.
"""
NOT_OF_FILES = ("data.eval_limit", "eval.samples")
"""Of these, what does nothing where no prompts are held out."""
TINY_FILE = tuple(key for key in TINY if not key.startswith(NOT_OF_FILES))
"""For the testbed's model on prompts of a file without a hold-out."""
CARE = ("acquisition=care", "acquisition.settings.warmup_steps=2")
SIX_STEPS = (*TINY, *CARE, "rollout=hf", "steps=6", "eval_every=3", "save_every=2")
"""What the fixture `finished` has run."""


def run(
    *overrides: str,
    ranks: int = 1,
    environment: Mapping[str, str] | None = None,
    fresh: bool = False,
) -> subprocess.CompletedProcess[str]:
    """`python -m rlavr_hpc.run OVERRIDES`, or the same under torchrun."""
    return command("rlavr_hpc.run", *overrides, ranks=ranks, environment=environment, fresh=fresh)


def command(
    module: str,
    *arguments: str,
    ranks: int = 1,
    environment: Mapping[str, str] | None = None,
    fresh: bool = False,
) -> subprocess.CompletedProcess[str]:
    """`python -m MODULE ARGUMENTS`; its output is kept, its exit code not judged.

    A process with the environment of the tests starts warm, unless `fresh` asks for a new
    interpreter: libraries read the environment when they are imported. Of several ranks it is
    torchrun's process alone; each rank has a new interpreter.
    """
    line = [module, *arguments]
    if ranks > 1:
        torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
        line = [*torchrun, "-m", *line]
    if environment is None and not fresh and not warm_start.CUDA.exists():
        return warm_start.start(line, REPOSITORY)
    return subprocess.run(
        [sys.executable, "-m", *line],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        cwd=REPOSITORY,
        env={**os.environ, **(environment or {})},
    )


def rlavr(
    verb: str, *arguments: str, ranks: int = 1, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """`rlavr VERB ARGUMENTS`, as `python -m rlavr_hpc`, or the same under torchrun."""
    return command("rlavr_hpc", verb, *arguments, ranks=ranks, environment=environment)


def metrics(run_dir: Path, attempt: int = 1) -> list[dict[str, Any]]:
    """Rows of one attempt."""
    lines = (run_dir / "metrics" / f"{attempt}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def summary(run_dir: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((run_dir / "summary.json").read_text())
    return loaded


def purchases(run_dir: Path) -> list[tuple[int, str, str | None, float]]:
    """(step, prompt, label, cost) of everything bought, in order."""
    ledger_state = read_ledger(run_dir)
    return [
        (step, prompt, purchase.answer, purchase.cost)
        for (_, step), bought in sorted(ledger_state.purchases.items())
        for prompt, purchase in bought.items()
    ]


def results(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without what may differ between identical runs."""
    apart = ("time", "perf/", "sys/", "attempt")
    return [{k: v for k, v in row.items() if not k.startswith(apart)} for row in rows]


def wait_for_step(folder: Path, step: int) -> None:
    """Until the record has this step; the file may not be there yet."""
    path, deadline = folder / "metrics/1.jsonl", time.monotonic() + 200
    while time.monotonic() < deadline:
        if path.exists() and f'"step":{step},' in path.read_text():
            return
        time.sleep(0.01)
    raise TimeoutError(f"step {step} never came")


def weights_hash(run_dir: Path, step: int) -> str:
    """Hash of a checkpoint's weights and optimizer states."""
    import torch

    digest = hashlib.sha256()
    for path in sorted((run_dir / f"checkpoints/step_{step}/shards").glob("*optim_states.pt")):
        _digest(torch.load(path, weights_only=False), digest)
    return digest.hexdigest()


def learnt_hash(run_dir: Path, step: int) -> str:
    """Hash of what a checkpoint's acquisition policy has learnt: probes, optimizers, replay."""
    import torch

    digest = hashlib.sha256()
    path = run_dir / f"checkpoints/step_{step}/acquisition.pt"
    _digest(torch.load(path, weights_only=True), digest)
    return digest.hexdigest()


def _digest(value: Any, digest: Any) -> None:  # noqa: ANN401
    import torch

    if isinstance(value, torch.Tensor):
        digest.update(value.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            _digest(value[key], digest)
    elif isinstance(value, list | tuple):
        for item in value:
            _digest(item, digest)
    else:
        digest.update(repr(value).encode())
