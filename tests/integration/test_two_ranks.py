"""Several ranks: the same run as on one, and the real thing, vLLM beside ZeRO-3 on two ranks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from rlavr_hpc.telemetry.sinks import read_metrics
from tests.support.commands import TINY, metrics, purchases, rlavr, run, summary
from tests.support.known_metrics import strange_values

SAME = (
    *TINY,
    "rollout=hf",
    "eval_every=0",
    "acquisition=entropy",
    "budget=0.25",
)
SMALL_PASSES = "algorithm.micro_batch=7"


@pytest.mark.ranks
def test_one_rank_and_two_make_the_same_purchases_and_losses(tmp_path: Path) -> None:
    for ranks in (1, 2):
        done = run(*SAME, SMALL_PASSES, "steps=5", f"run_dir={tmp_path / str(ranks)}", ranks=ranks)
        assert done.returncode == 0, done.stderr
    one, two = tmp_path / "1", tmp_path / "2"
    assert [p for p in purchases(one) if p[0] == 1] == [p for p in purchases(two) if p[0] == 1]
    votes = [
        [row[f"collapse/{name}"] for name in ("majority_ratio", "distinct_answers")]
        for row in (metrics(one)[1], metrics(two)[1])
    ]
    assert votes[0] == votes[1]
    for name, tolerance in (
        ("train/loss", 1e-5),
        ("train/grad_norm", 1e-3),
        ("train/tokens", 0),
        ("train/nonzero_advantage", 0),
        ("train/advantage_std", 1e-9),
        ("collapse/length_max_tokens", 0),
        ("train/sampler_correlation", 1e-6),
        ("train/sampler_gap_max", 1e-4),
    ):
        losses = [[row[name] for row in metrics(folder)[1:]] for folder in (one, two)]
        assert losses[0] == pytest.approx(losses[1], abs=tolerance), name


@pytest.mark.ranks
def test_the_policys_own_view_of_its_responses_is_the_same_on_one_rank_and_two(
    tmp_path: Path,
) -> None:
    """Micro-batches of seven: ranks score other responses than they generated, some as padding."""
    arguments = [*SAME, SMALL_PASSES, "steps=2", "acquisition=avg_prob", "reward=self_certainty"]
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        done = run(*arguments, "unlabelled=soft", f"run_dir={folder}", ranks=ranks)
        assert done.returncode == 0, done.stderr
    one, two = tmp_path / "1", tmp_path / "2"
    assert [p for p in purchases(one) if p[0] == 1] == [p for p in purchases(two) if p[0] == 1]
    rows = [metrics(folder)[1] for folder in (one, two)]
    for name in ("collapse/trained_reward", "train/loss", "train/grad_norm"):
        assert rows[0][name] == pytest.approx(rows[1][name], abs=1e-3), name
    assert rows[0]["collapse/trained_reward"] > 1.0, "certainty is no share of anything"


@pytest.mark.ranks
def test_care_sees_the_same_features_on_one_rank_and_two(tmp_path: Path) -> None:
    """Two updates a step: the log-probabilities before them come from the same forward.

    The two ranks pack their micro-batches by tokens, the one rank pads its own by count. GSPO's
    loss, whose ratios are those of whole responses.
    """
    arguments = [*SAME, "steps=2", "acquisition=care", "algorithm=gspo", "algorithm.mini_batch=8"]
    packed = ["algorithm.micro_tokens=100", "algorithm.packing=on"]
    for ranks in (1, 2):
        more = packed if ranks == 2 else [SMALL_PASSES]
        done = run(*arguments, *more, f"run_dir={tmp_path / str(ranks)}", ranks=ranks)
        assert done.returncode == 0, done.stderr
    one, two = tmp_path / "1", tmp_path / "2"
    assert [p for p in purchases(one) if p[0] == 1] == [p for p in purchases(two) if p[0] == 1]
    rows = [metrics(folder)[1] for folder in (one, two)]
    for name in ("labels/vote_loss", "labels/count_loss", "train/loss", "train/grad_norm"):
        assert rows[0][name] == pytest.approx(rows[1][name], abs=1e-3), name


@pytest.mark.slow
@pytest.mark.ranks
def test_several_updates_a_step_work_on_two_ranks_also_when_nothing_was_bought(
    tmp_path: Path,
) -> None:
    """Mini-batches of four prompts, one label a step: most hold nothing to train on."""
    arguments = [*TINY, "rollout=hf", "steps=3", "algorithm.mini_batch=4", "budget=0.05"]
    losses = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        done = run(*arguments, "algorithm.lr=1e-4", f"run_dir={folder}", ranks=ranks)
        assert done.returncode == 0, done.stderr
        losses.append([row["train/grad_norm"] for row in metrics(folder)[1:]])
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


@pytest.mark.slow
@pytest.mark.ranks
def test_a_kl_weight_keeps_the_policy_near_the_reference_on_two_ranks(tmp_path: Path) -> None:
    kl = {}
    for weight in (1e-9, 30.0):
        folder = tmp_path / str(weight)
        arguments = [*SAME, SMALL_PASSES, "steps=6", f"algorithm.loss.settings.kl_coef={weight}"]
        done = run(*arguments, "algorithm.mini_batch=8", f"run_dir={folder}", ranks=2)
        assert done.returncode == 0, done.stderr
        rows = metrics(folder)[1:]
        assert rows[0]["train/tokens"] == pytest.approx(rows[0]["collapse/length_tokens"] * 64), (
            "with KL every response is trained on"
        )
        kl[weight] = sum(row["train/reference_kl"] for row in rows)
    assert 0 < kl[30.0] < 0.6 * kl[1e-9]


@pytest.mark.ranks
@pytest.mark.vllm
def test_care_with_vllm_beside_zero3_on_two_ranks_trusts_buys_and_learns(tmp_path: Path) -> None:
    arguments = [
        *TINY,
        "rollout=vllm",
        "model.dtype=bfloat16",
        "steps=4",
        "acquisition=care",
        "acquisition.settings.warmup_steps=2",
        "algorithm=dapo",
        "algorithm.micro_tokens=400",
        "algorithm.packing=on",
        f"run_dir={tmp_path / 'r'}",
    ]
    done = run(*arguments, ranks=2)
    assert done.returncode == 0, done.stderr
    told = summary(tmp_path / "r")
    assert (told["status"], told["labels_bought"]) == ("done", 16)
    rows = metrics(tmp_path / "r")[1:]
    assert max(row["train/sampler_gap"] for row in rows) < 0.05
    assert strange_values(metrics(tmp_path / "r")) == []
    assert all(1.0 <= row["perf/train_imbalance"] < 2.0 for row in rows)
    assert all(row["sys/memory_max_gib"] >= row["sys/memory_gib"] > 0.1 for row in rows)
    for row in rows:
        halves = row["perf/tokens_per_second_per_rank"] / row["perf/tokens_per_second"]
        assert halves == pytest.approx(0.5)
    assert any(row["train/grad_norm"] > 0 for row in rows)
    assert [row["labels/trusted"] for row in rows] == [0, 0, 4, 4]
    assert all(row["labels/vote_loss"] > 0 for row in rows)
    learnt = torch.load(tmp_path / "r/checkpoints/step_4/acquisition.pt", weights_only=True)
    assert learnt["name"] == "care"
    assert len(learnt["state"]["replay"]["majority_N"]) == 16
    assert rlavr("ledger", "verify", str(tmp_path / "r")).returncode == 0
    provenance = json.loads((tmp_path / "r/provenance/1.json").read_text())
    assert provenance["topology"]["world_size"] == 2


@pytest.mark.ranks
@pytest.mark.vllm
@pytest.mark.slow
def test_two_ranks_may_share_one_vllm_by_tensor_parallelism(tmp_path: Path) -> None:
    arguments = [*TINY, "rollout=vllm", "rollout.tensor_parallel=2", "steps=3"]
    leftover = Path("/dev/shm/-tp:0-[0-1]-cpushm_0")
    leftover.touch()  # of a run that was killed
    done = run(*arguments, f"run_dir={tmp_path / 'r'}", ranks=2)
    assert done.returncode == 0, done.stderr
    assert not leftover.exists()
    rows = metrics(tmp_path / "r")[1:]
    assert max(row["train/sampler_gap"] for row in rows) < 0.02


@pytest.mark.ranks
def test_a_run_goes_on_with_another_number_of_ranks_when_allowed_to(tmp_path: Path) -> None:
    """Up and down again; what is measured stays within rounding of the run on one rank."""
    settings = (*TINY, "rollout=hf", "acquisition=care", "eval_every=0", "save_every=1")
    folder, whole = tmp_path / "run", tmp_path / "whole"
    assert run(*settings, "steps=2", f"run_dir={folder}").returncode == 0
    shutil.copytree(folder, whole)
    refused = run(*settings, "steps=3", f"run_dir={folder}", ranks=2)
    assert refused.returncode == 1
    assert "allow_change=[cluster.ranks]" in refused.stderr
    allowed = (*settings, "allow_change=[cluster.ranks]", f"run_dir={folder}")
    two = run(*allowed, "steps=3", ranks=2)
    assert two.returncode == 0, two.stderr
    assert "weights and optimizer states are redistributed" in two.stderr
    one = run(*allowed, "steps=4")
    assert one.returncode == 0, one.stderr
    assert run(*settings, "steps=4", f"run_dir={whole}").returncode == 0
    assert purchases(folder) == purchases(whole)
    for mine, its in zip(read_metrics(folder)[3:], read_metrics(whole)[3:], strict=True):
        assert mine["train/loss"] == pytest.approx(its["train/loss"], abs=1e-4)
        assert mine["train/grad_norm"] == pytest.approx(its["train/grad_norm"], rel=1e-2)
        assert mine["collapse/majority_ratio"] == its["collapse/majority_ratio"]
    assert not list(folder.glob("checkpoints/.*"))


@pytest.mark.ranks
def test_a_snapshot_shares_no_memory_with_what_is_trained_on(two_ranks: Path) -> None:
    """Else the next step would change a checkpoint while it is being written."""
    assert json.loads((two_ranks / "shared.json").read_text()) == {"True": False, "False": True}
