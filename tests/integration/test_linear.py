"""The policy under the real DeepSpeed, and what it leaves to the other models of its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.commands import CARE, TINY

CHILD = """
import sys
from pathlib import Path
from torch.nn import functional
from tqdm import tqdm

plain = functional.linear
from benchmarks.overhead import _composed, _started
from rlavr_hpc.trainer.job import end_process

run = _started(_composed(*sys.argv[2:]), Path(sys.argv[1]))
components, seen = run.components, {}


def watch(name, model):
    model.register_forward_pre_hook(lambda *_: seen.setdefault(name, set()).add(functional.linear))


watch("policy", components.policy._engine.module)
watch("engine", components.engine._model)
after_start = functional.linear
run.take_step(1, tqdm(disable=True))
print("plain after start", after_start is plain)
print("plain after step", functional.linear is plain)
print("engine plain", seen["engine"] == {plain})
print("policy replaced", {f.__name__ for f in seen["policy"]})
end_process(0)
"""


def test_deepspeeds_linear_reaches_no_model_but_the_policy(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    arguments = [*TINY, *CARE, "rollout=hf", "steps=2", "eval_every=0", f"run_dir={folder}"]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert "plain after start True" in said
    assert "plain after step True" in said
    assert "engine plain True" in said
    assert "policy replaced {'zero3_linear_wrap'}" in said
