"""A policy, a reward and a loss of one's own: one file each and one YAML, nothing else."""

from __future__ import annotations

from pathlib import Path

from tests.support.commands import TINY, metrics, purchases, run

POLICY = '''
from dataclasses import dataclass
from rlavr_hpc.types import Selection

@dataclass
class LastPolicy:
    """Buys the last prompts of the batch."""

    def choose(self, candidates, view):
        return Selection(selected=tuple(g.prompt.id for g in candidates)[::-1][:view.quota])
'''
REWARD = '''
from dataclasses import dataclass

@dataclass
class LengthReward:
    """Pays for even sample numbers."""

    pay: float = 1.0

    def of(self, group, by_vote, own):
        return tuple(self.pay * (r.sample % 2 == 0) for r in group.rollouts)
'''
LOSS = '''
from dataclasses import dataclass
from rlavr_hpc.learning.loss import LossSums

NAMES = ("clip_low", "clip_high", "update_kl", "sampler_gap", "sampler_kl", "sampler_ratio",
         "sampler_ratio_squared", "sampler_truncated")

@dataclass
class PlainLoss:
    """Policy gradient without any clipping."""

    needs_reference = False

    def __call__(self, logp_R, tokens):
        counted = tokens.loss_mask_R
        stats = {name: counted.sum() * 0 for name in NAMES}
        return LossSums(
            loss=-(logp_R * tokens.advantage_R).sum(), stats={**stats, "tokens": counted.sum()}
        )
'''
YAMLS = {
    "acquisition/last.yaml": "name: last\ntarget: my_policy:LastPolicy\n",
    "reward/length.yaml": "name: length\ntarget: my_reward:LengthReward\nsettings:\n  pay: 3.0\n",
    "algorithm/loss/plain.yaml": "name: plain\ntarget: my_loss:PlainLoss\n",
}


def test_a_dummy_policy_reward_and_loss_run_from_one_file_and_one_yaml_each(
    tmp_path: Path,
) -> None:
    for name, text in (("my_policy", POLICY), ("my_reward", REWARD), ("my_loss", LOSS)):
        (tmp_path / f"{name}.py").write_text(text)
    for name, text in YAMLS.items():
        path = tmp_path / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    settings = (
        f"hydra.searchpath=[file://{tmp_path}/conf]",
        "acquisition=last",
        "reward=length",
        "algorithm/loss=plain",
        *TINY,
        "unlabelled=pseudo",
        "rollout=hf",
        f"run_dir={tmp_path}/run",
    )
    there = {"PYTHONPATH": str(tmp_path)}
    done = run(*settings, "steps=2", environment=there)
    assert done.returncode == 0, done.stderr
    rows = [row for row in metrics(tmp_path / "run") if row["step"] > 0]
    assert [row["collapse/pseudo_reward"] for row in rows] == [1.5, 1.5]
    assert all(row["train/grad_norm"] > 0 and row["train/loss"] != 0 for row in rows)
    assert [step for step, *_ in purchases(tmp_path / "run")] == [1] * 4 + [2] * 4

    (tmp_path / "my_reward.py").write_text(REWARD.replace("sample % 2 == 0", "sample % 2 == 1"))
    further = run(*settings, "steps=3", environment=there)
    assert further.returncode == 0, further.stderr
    told = [line for line in further.stderr.splitlines() if "source code has changed" in line]
    assert [line.partition(" (my_reward:LengthReward)")[0] for line in told] == ["reward=length"]
