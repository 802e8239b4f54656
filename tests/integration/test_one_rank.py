"""The main job on the fast path, as a user starts it: record, resume, restart."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from rlavr_hpc.telemetry.glossary.entries import GLOSSARY, ROW_KEYS
from rlavr_hpc.telemetry.names import MEMORY_PHASES, free_name
from rlavr_hpc.telemetry.sinks import read_metrics
from tests.support.commands import (
    CARE,
    REPOSITORY,
    SIX_STEPS,
    TINY,
    TINY_FILE,
    learnt_hash,
    metrics,
    purchases,
    results,
    rlavr,
    run,
    summary,
    wait_for_step,
    weights_hash,
)
from tests.support.known_metrics import strange_values


def test_a_run_leaves_its_record(finished: Path) -> None:
    told = summary(finished)
    assert (told["status"], told["steps"], told["attempts"]) == ("done", 6, 1)
    assert told["labels_bought"] == told["labels_allowed"] == 6 * 4
    assert told["budget_effective"] == 0.25
    rows = metrics(finished)
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows if "eval/held_out/mean@2" in row] == [0, 3, 6]
    assert {len([p for p in purchases(finished) if p[0] == step]) for step in range(1, 7)} == {4}
    assert sorted(p.name for p in (finished / "checkpoints").glob("step_*")) == ["step_4", "step_6"]
    for name in ("config.yaml", "status.json", "DONE.json", "attempts/1.json", "provenance/1.json"):
        assert (finished / name).is_file(), name


def test_every_value_of_a_row_is_known_and_in_range_and_no_metric_is_missing(
    finished: Path,
) -> None:
    rows = metrics(finished)
    assert strange_values(rows) == []
    told = {name for row in rows for name in row} - set(ROW_KEYS)
    missing = {i.name for i in GLOSSARY if not any(i.names(name) for name in told)}
    assert missing == {
        "train/reference_kl",
        "train/negative_groups",
        "labels/budget_used",
        "labels/pending",
        "labels/wrong_votes",
        "oracle/label_wrong",
        "sys/accelerator_peak_gib",
        "sys/accelerator_reserved_gib",
        *map(free_name, MEMORY_PHASES),
        *(info.name for info in GLOSSARY if (info.when or "").startswith("with `warning.audit")),
    }
    always = {info.name for info in GLOSSARY if not info.when}
    assert [always - set(row) for row in rows[1:]] == [set()] * 6


def test_care_trusts_after_its_warm_up_and_is_measured(finished: Path) -> None:
    rows = metrics(finished)[1:]
    assert [row["labels/trusted"] for row in rows] == [0, 0, 4, 4, 4, 4]
    assert all(row["labels/vote_loss"] > 0 and row["labels/count_loss"] > 0 for row in rows)
    assert [("oracle/trusted_precision" in row) for row in rows] == [False] * 2 + [True] * 4
    for name in ("gate_precision", "gate_recall", "gate_f1", "count_recall", "selection_precision"):
        assert all(0 <= row[f"oracle/{name}"] <= 1 for row in rows if f"oracle/{name}" in row)
        assert any(f"oracle/{name}" in row for row in rows), name


def test_the_samplers_and_the_trainers_logprobs_agree_every_step(finished: Path) -> None:
    gaps = [row["train/sampler_gap"] for row in metrics(finished)[1:]]
    assert len(gaps) == 6
    assert max(gaps) < 1e-4


def test_the_ledger_command_shows_and_proves_the_spend(finished: Path) -> None:
    shown = rlavr("ledger", "show", str(finished), "--json")
    assert json.loads(shown.stdout)["labels_bought"] == 24
    proved = rlavr("ledger", "verify", str(finished))
    assert proved.returncode == 0
    assert "valid: 30 lines" in proved.stdout


def test_starting_a_finished_run_again_says_so_and_changes_nothing(finished: Path) -> None:
    again = run(*SIX_STEPS, f"run_dir={finished}")
    assert again.returncode == 0
    assert "finished already" in again.stderr
    assert len(list((finished / "attempts").iterdir())) == 1


def test_other_settings_in_the_same_folder_are_refused_with_the_keys(finished: Path) -> None:
    other = run(*SIX_STEPS, f"run_dir={finished}", "algorithm.lr=0.5", "seed=2")
    assert other.returncode == 2
    assert "algorithm.lr: 0.0005 -> 0.5, seed: 1 -> 2" in other.stderr
    assert not (finished / "failures").exists(), "the run there has not failed"


def test_a_run_stopped_by_a_signal_and_continued_equals_one_that_was_not(
    finished: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    arguments = [*SIX_STEPS, f"run_dir={folder}"]
    with subprocess.Popen(
        [sys.executable, "-m", "rlavr_hpc.run", *arguments], cwd=REPOSITORY, stderr=subprocess.PIPE
    ) as started:
        wait_for_step(folder, 0)
        started.send_signal(signal.SIGTERM)
        _, errors = started.communicate(timeout=120)
    assert started.returncode == 75, errors
    assert b"checkpoint written" in errors
    assert not (folder / "DONE.json").exists()
    assert summary(folder)["status"] == "stopped"
    continued = run(*arguments)
    assert continued.returncode == 0, continued.stderr
    assert summary(folder)["attempts"] == 2
    assert weights_hash(folder, 6) == weights_hash(finished, 6)
    assert learnt_hash(folder, 6) == learnt_hash(finished, 6)
    assert purchases(folder) == purchases(finished)
    assert results(metrics(folder) + metrics(folder, 2)) == results(metrics(finished))


def test_states_that_leave_the_device_and_activations_computed_twice_change_nothing(
    finished: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    done = run(*SIX_STEPS, "deepspeed=zero3_sleep", f"run_dir={folder}")
    assert done.returncode == 0, done.stderr
    for step in (4, 6):
        assert weights_hash(folder, step) == weights_hash(finished, step)
    assert results(metrics(folder)) == results(metrics(finished))


@pytest.mark.slow
def test_a_killed_run_redoes_steps_without_buying_twice(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    arguments = [*SIX_STEPS, "save_every=0", f"run_dir={folder}"]  # so it starts from step 1 again
    with subprocess.Popen(
        [sys.executable, "-m", "rlavr_hpc.run", *arguments],
        cwd=REPOSITORY,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as started:
        wait_for_step(folder, 3)
        started.kill()
    continued = run(*arguments)
    assert continued.returncode == 0, continued.stderr
    assert weights_hash(folder, 6) == weights_hash(finished, 6)
    assert learnt_hash(folder, 6) == learnt_hash(finished, 6)
    assert purchases(folder) == purchases(finished)
    assert results(read_metrics(folder)) == results(metrics(finished))
    assert rlavr("ledger", "verify", str(folder)).returncode == 0


def test_more_steps_continue_a_finished_run_and_no_audit_changes_nothing(
    finished: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    short = [o for o in SIX_STEPS if not o.startswith("steps")]
    first = run(*short, "steps=4", f"run_dir={folder}", "audit=false")
    assert first.returncode == 0, first.stderr
    longer = run(*short, "steps=6", f"run_dir={folder}", "audit=false")
    assert longer.returncode == 0, longer.stderr
    assert weights_hash(folder, 6) == weights_hash(finished, 6)
    assert learnt_hash(folder, 6) == learnt_hash(finished, 6)
    assert purchases(folder) == purchases(finished)
    rows = metrics(folder) + metrics(folder, 2)
    assert not any(key.startswith("oracle/") for row in rows for key in row)


@pytest.mark.slow
def test_bfloat16_updates_do_not_depend_on_the_micro_batches(tmp_path: Path) -> None:
    arguments = [*TINY, "rollout=hf", "steps=2", "model.dtype=bfloat16", "acquisition=full"]
    norms = []
    for micro in (4, 512):
        folder = tmp_path / str(micro)
        done = run(*arguments, f"algorithm.micro_batch={micro}", f"run_dir={folder}")
        assert done.returncode == 0, done.stderr
        norms.append(metrics(folder)[1]["train/grad_norm"])
    assert norms[0] == pytest.approx(norms[1], rel=2e-3)


def test_diverged_training_says_so(tmp_path: Path) -> None:
    arguments = [*TINY, "rollout=hf", "steps=4", "acquisition=full", "algorithm.lr=1e30"]
    done = run(*arguments, f"run_dir={tmp_path / 'r'}")
    assert done.returncode == 1
    assert "training diverged; lower algorithm.lr" in done.stderr
    assert "Traceback" not in done.stderr
    assert summary(tmp_path / "r")["status"] == "failed"


def test_no_secret_of_the_environment_reaches_the_run_folder(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    canary = "canary-7f3a9"
    secrets = dict.fromkeys(("MY_API_KEY", "HF_TOKEN", "A_SECRET", "DB_PASSWORD"), canary)
    arguments = [*TINY, "rollout=hf", "steps=2", "tracking=offline", f"run_dir={folder}"]
    done = run(*arguments, environment=secrets)
    assert done.returncode == 0, done.stderr
    assert len(list(folder.glob("wandb/offline-run-*/*.wandb"))) == 1
    for path in folder.rglob("*"):
        assert not path.is_file() or canary.encode() not in path.read_bytes(), path


def test_labels_are_read_only_where_they_are_bought(tmp_path: Path) -> None:
    """Deleting the labels of all prompts that were never bought changes nothing."""
    everything, bought_only = tmp_path / "all.jsonl", tmp_path / "bought.jsonl"
    rows = [
        {"id": f"{a}-{b}", "prompt": f"Rule 0 maps ({a}, {b}) to ", "answer": str(a + 3 * b)}
        for a in range(8)
        for b in range(6)
    ]
    write_rows(everything, rows)
    settings = ["data=jsonl", "rollout=hf", "steps=3", *TINY_FILE, *CARE, "audit=false"]
    settings += ["acquisition.candidates=all"]  # else which rows have a label is known beforehand
    first = run(*settings, f"data.path={everything}", f"run_dir={tmp_path / 'a'}")
    assert first.returncode == 0, first.stderr
    kept = {prompt for _, prompt, _, _ in purchases(tmp_path / "a")}
    assert 0 < len(kept) < len(rows)
    write_rows(bought_only, [r if r["id"] in kept else {**r, "answer": None} for r in rows])
    second = run(*settings, f"data.path={bought_only}", f"run_dir={tmp_path / 'b'}")
    assert second.returncode == 0, second.stderr
    assert purchases(tmp_path / "a") == purchases(tmp_path / "b")
    assert weights_hash(tmp_path / "a", 3) == weights_hash(tmp_path / "b", 3)


def write_rows(path: Path, rows: Sequence[Mapping[str, str | None]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_sweep_plans_first_runs_each_job_and_can_be_repeated(tmp_path: Path) -> None:
    arguments = ["-m", *TINY, "rollout=hf", "steps=1", f"root={tmp_path}", "name=s", "seed=1,2"]
    first = run(*arguments)
    assert first.returncode == 0, first.stderr
    plan = json.loads((tmp_path / "s/sweep.json").read_text())
    assert [r["index"] for r in plan["runs"]] == [0, 1]
    assert all((Path(r["folder"]) / "DONE.json").is_file() for r in plan["runs"])
    assert [r["overrides"][-1] for r in plan["runs"]] == ["seed=1", "seed=2"]
    again = run(*arguments)
    assert again.returncode == 0
    assert again.stderr.count("finished already") == 2
    spent = rlavr("ledger", "show", "--json", str(tmp_path / "s"))
    assert spent.returncode == 0, spent.stderr
    bought = sum(summary(Path(r["folder"]))["labels_bought"] for r in plan["runs"])
    assert json.loads(spent.stdout)["policies"][0]["labels"] == bought == 8
    proof = rlavr("ledger", "verify", str(tmp_path / "s"))
    assert (proof.returncode, proof.stdout.count(": valid: ")) == (0, 2), proof.stdout
    named = run(*arguments, f"run_dir={tmp_path / 'x'}")
    assert (named.returncode, "run_dir names one folder" in named.stderr) == (2, True)


def test_a_full_disk_under_the_ledger_is_one_clear_error_and_loses_nothing(
    small_disk: Path,
) -> None:
    filler, folder = small_disk / "filler", small_disk / "run"
    # what a run begins with takes 30 kB, a step's labels 40 kB, its row of metrics 2 kB
    filler.write_bytes(b"x" * (12 * 2**20 - 90_000))
    arguments = [*TINY, "rollout=hf", "acquisition=full", "steps=4", "save_every=0"]
    arguments += ["algorithm.batch=256", "algorithm.mini_batch=256", f"run_dir={folder}"]
    full = run(*arguments)
    assert full.returncode == 1
    assert "ledger/1.jsonl: cannot be written (No space left on device)" in full.stderr
    assert "Traceback" not in full.stderr
    assert not (folder / "DONE.json").exists()
    spent = purchases(folder)
    last_step = spent[-1][0]
    assert len(spent) == 256 * last_step
    trained = [row for row in metrics(folder) if row["step"] and row["labels/bought"]]
    assert len(trained) <= last_step, "a step was trained on labels that are not on disk"
    filler.unlink()
    again = run(*arguments)
    assert again.returncode == 0, again.stderr
    assert purchases(folder)[: len(spent)] == spent
    assert rlavr("ledger", "verify", str(folder)).returncode == 0


def test_the_oracle_policy_is_flagged_wherever_its_run_is_told_of(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = run(
        *TINY,
        "rollout=hf",
        "steps=3",
        "eval_every=0",
        "acquisition=cag_oracle",
        "budget=0.25",
        "unlabelled=soft",
        f"run_dir={folder}",
    )
    assert done.returncode == 0, done.stderr
    assert "RESEARCH ONLY" in done.stdout
    assert summary(folder)["uses_oracle"] is True
    rows = metrics(folder)[1:]
    assert all(row["labels/vote_right"] == 0.0 for row in rows), "right votes are worth nothing"
    assert summary(folder)["labels_bought"] == 12


def test_generated_puzzles_are_asked_graded_and_evaluated(tmp_path: Path) -> None:
    done = run(
        *TINY,
        "data=knights",
        "data.people=[2,4]",
        "data.count=20",
        "data.eval_count=5",
        "rollout=hf",
        "steps=1",
        "rollout.max_prompt_tokens=2000",
        f"run_dir={tmp_path / 'r'}",
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "r/provenance/1.json").read_text())["data"]
    assert (facts["prompts"], facts["held_out"], facts["held_out_also_in_training"]) == (20, 5, 0)
    row = metrics(tmp_path / "r")[-1]
    assert row["collapse/unparsable"] == 1.0  # the tiny model knows nothing of islands
    assert row["collapse/trained_reward"] == -0.75  # -3 on the quarter of the batch with a label
    assert "eval/held_out/mean@2" in row
    assert summary(tmp_path / "r")["labels_bought"] == 4
