"""Real data through the whole loop; skipped where the shared folder is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rlavr_hpc.config.data import DataKind
from rlavr_hpc.data.tables import read_dataset
from tests.support.commands import REPOSITORY, metrics, run, summary

SHARED = REPOSITORY.parent / "shared" / "data"

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the shared data folder is not beside the repository"
)


def test_knights_and_knaves_run_end_to_end(tmp_path: Path) -> None:
    done = run(
        "data=parquet",
        f"data.path={SHARED / 'kk/3ppl-train.parquet'}",
        f"data.eval_path={SHARED / 'kk/3ppl-test.parquet'}",
        "data.eval_limit=4",
        "rollout=hf",
        "model.pretrain_steps=400",
        "steps=2",
        "algorithm.batch=8",
        "algorithm.mini_batch=4",
        "algorithm.group_size=2",
        "eval.samples=1",
        "rollout.max_prompt_tokens=2000",
        "rollout.max_response_tokens=8",
        f"run_dir={tmp_path / 'r'}",
    )
    assert done.returncode == 0, done.stderr
    assert summary(tmp_path / "r")["labels_bought"] == 4
    facts = json.loads((tmp_path / "r/provenance/1.json").read_text())["data"]
    assert (facts["prompts"], facts["templated"]) == (900, False)
    row = metrics(tmp_path / "r")[-1]
    assert row["collapse/unparsable"] == 1.0
    assert row["collapse/trained_reward"] < 0
    assert "eval/held_out/mean@1" in row


@pytest.mark.parametrize(
    ("name", "rows", "task"),
    [
        ("kk/3ppl-train.parquet", 900, "knights"),
        ("math/math500.json", 500, "math"),
        ("math/aime24.json", 30, "math"),
        ("math/amc23.json", 83, "math"),
    ],
)
def test_real_files_are_read_whole(name: str, rows: int, task: str) -> None:
    kind = DataKind.parquet if name.endswith("parquet") else DataKind.jsonl
    data = read_dataset(SHARED / name, kind, task=None)
    assert len(data.questions) == len(data.answers) == rows
    assert {q.task for q in data.questions} == {task}
