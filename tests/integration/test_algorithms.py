"""Algorithms on the testbed, as a user starts them; two ranks and vLLM are in `test_two_ranks`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import TINY, metrics, purchases, results, run, summary, weights_hash
from tests.support.known_metrics import strange_values

SHORT = (*TINY, "rollout=hf", "eval_every=0", "eval.samples=1", "data.eval_limit=2")


def test_algorithms_train_and_divide_by_what_they_say(tmp_path: Path) -> None:
    """On the same advantages the first gradient of these three differs by the divisor alone."""
    norms, rows = {}, []
    for name in ("cispo", "dr_grpo", "rloo"):
        done = run(
            *SHORT,
            f"algorithm={name}",
            "algorithm.advantage=centred",
            "acquisition=full",
            "steps=2",
            "algorithm.loss.settings.kl_coef=0.01",
            "algorithm.clip_grad=100",
            "algorithm.loss.settings.kl_estimator=k1",
            f"run_dir={tmp_path / name}",
        )
        assert done.returncode == 0, done.stderr
        rows = metrics(tmp_path / name)
        assert strange_values(rows) == []
        assert rows[2]["train/grad_norm"] > 0
        assert rows[2]["train/reference_kl"] > rows[1]["train/reference_kl"]
        norms[name] = rows[1]["train/grad_norm"]
    assert norms["rloo"] / norms["dr_grpo"] == pytest.approx(8, rel=1e-4)  # the longest response
    mean_length = rows[1]["collapse/length_tokens"]
    assert norms["rloo"] / norms["cispo"] == pytest.approx(mean_length, rel=1e-4)


def trained(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Results but for evaluations: a last step has one."""
    return [{k: v for k, v in row.items() if not k.startswith("eval/")} for row in results(rows)]


def test_an_oversampled_step_buys_its_quota_and_resumes_exactly(tmp_path: Path) -> None:
    arguments = [
        *SHORT,
        "algorithm=dapo",
        "acquisition=random",
        "budget=0.25",
        "seed=2",
        "unlabelled=pseudo",
        "algorithm.overlong.buffer=0.9",
        "rollout.temperature=0.3",
        "cluster.threads=2",  # unlike most runs of tests
    ]
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    for folder, steps in ((whole, 2), (halves, 1), (halves, 2)):
        done = run(*arguments, f"steps={steps}", f"run_dir={folder}")
        assert done.returncode == 0, done.stderr
    assert weights_hash(halves, 2) == weights_hash(whole, 2)
    assert purchases(halves) == purchases(whole)
    assert trained(metrics(halves) + metrics(halves, 2)) == trained(metrics(whole))
    assert summary(whole)["labels_bought"] == 2 * 4
    assert any(row["collapse/unanimous"] > 0 for row in metrics(whole)[1:]), "nothing to pass over"
    for row in metrics(whole)[1:]:
        flat = row["train/all_right"] + row["train/all_wrong"]
        assert flat == pytest.approx(row["collapse/zero_advantage"])
        assert row["train/left_out"] >= flat
        drawn_split = 1 - row["collapse/unanimous"] - row["collapse/nothing_parsable"]
        assert row["train/informative_groups"] == pytest.approx(min(1.0, 2 * drawn_split))
        assert row["train/length_penalty"] > 0
