"""A chat template that writes the date, across midnight."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.commands import metrics, purchases, results, run, weights_hash
from tests.support.tiny_models import DATED, byte_model

TODAY, YESTERDAY = {"TZ": "EAST-14"}, {"TZ": "WEST+12"}
"""Two clocks 26 hours apart: their dates always differ."""


def prompt_texts(run_dir: Path) -> list[str]:
    lines = [
        line
        for path in sorted((run_dir / "examples").glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    return [json.loads(line)["prompt"] for line in lines]


def test_a_run_resumed_on_another_day_reads_the_first_days_prompts(tmp_path: Path) -> None:
    model, data = byte_model(tmp_path / "model", DATED), tmp_path / "d.jsonl"
    rows = [{"prompt": f"{n}+1?", "answer": str(n + 1)} for n in range(16)]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = (
        *("data=jsonl", f"data.path={data}", "model=pretrained", f"model.path={model}"),
        *("model.dtype=float32", "rollout=hf", "acquisition=random", "budget=0.5"),
        *("rollout.max_prompt_tokens=200", "rollout.max_response_tokens=8", "eval_every=0"),
        *("algorithm.batch=4", "algorithm.mini_batch=4", "algorithm.group_size=2"),
        *("cluster.threads=1", "save_every=1", "tracking.examples_every=1"),
    )
    whole, resumed = (f"run_dir={tmp_path / name}" for name in ("whole", "resumed"))
    for overrides, clock in (
        ((whole, "steps=2"), TODAY),
        ((resumed, "steps=1"), TODAY),
        ((resumed, "steps=2"), YESTERDAY),
    ):
        done = run(*settings, *overrides, environment=clock)
        assert done.returncode == 0, done.stderr
    one, two = tmp_path / "whole", tmp_path / "resumed"
    texts = prompt_texts(two)
    assert texts == prompt_texts(one)
    assert len({text.split("<|im_end|>")[0] for text in texts}) == 1
    both = metrics(two, 1) + metrics(two, 2)
    assert results(both) == results(metrics(one))
    assert purchases(two) == purchases(one)
    assert weights_hash(two, 2) == weights_hash(one, 2)
    template = model / "chat_template.jinja"
    template.write_text(template.read_text().replace("Today is", "It is"))
    edited = run(*settings, resumed, "steps=3", environment=TODAY)
    assert edited.returncode == 2
    assert "the model's chat template is not the one this run began with" in edited.stderr
