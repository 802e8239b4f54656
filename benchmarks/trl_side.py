"""TRL's half of `benchmarks.versus_trl`, run by the Python of TRL's own environment.

`python trl_side.py SETTINGS.json` trains with `GRPOTrainer` as SETTINGS say and writes, as JSON on
the last line, the seconds from the end of each step to the end of the next, and each step's mean
response length. Nothing of this project is imported.
"""

from __future__ import annotations

import json
import re
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

BOXED = re.compile(r"\\boxed\{([^{}]*)\}")


def main() -> int:
    """Train and tell."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    settings = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(settings["threads"])
    ends: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc,unused-ignore]
        def on_step_end(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
            ends.append(time.perf_counter())

    low = settings["dtype"] == "bfloat16"
    completions = settings["prompts"] * settings["group"]
    arguments = GRPOConfig(
        output_dir=settings["work"],
        use_cpu=True,
        bf16=low,
        learning_rate=settings["lr"],
        per_device_train_batch_size=completions,
        gradient_accumulation_steps=1,
        num_generations=settings["group"],
        max_completion_length=settings["tokens"],
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        beta=0.0,
        num_iterations=1,
        max_steps=settings["steps"],
        logging_steps=1,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        dataloader_num_workers=0,
        seed=settings["seed"],
        gradient_checkpointing=False,
        lr_scheduler_type="constant",
    )
    model = AutoModelForCausalLM.from_pretrained(
        settings["model"], dtype=torch.bfloat16 if low else torch.float32
    )
    trainer = GRPOTrainer(
        model=model,
        args=arguments,
        reward_funcs=exact_match,
        processing_class=AutoTokenizer.from_pretrained(settings["model"]),
        train_dataset=Dataset.from_list(
            [json.loads(line) for line in Path(settings["data"]).read_text().splitlines()]
        ),
        callbacks=[Clock()],
    )
    trainer.train()
    rows = [row for row in trainer.state.log_history if "reward" in row]
    lengths = [row["completions/mean_length"] for row in rows]
    seconds = [after - before for before, after in pairwise(ends)]
    print(json.dumps({"seconds": seconds, "lengths": lengths[1:]}))
    return 0


def exact_match(completions: list[str], answer: list[str], **_: object) -> list[float]:
    """1 where the last boxed answer is the true one."""
    found = [BOXED.findall(text) for text in completions]
    return [
        float(bool(boxes) and boxes[-1].strip() == true)
        for boxes, true in zip(found, answer, strict=True)
    ]


if __name__ == "__main__":
    sys.exit(main())
