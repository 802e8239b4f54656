"""What a new user gets wrong: one clear message, exit code 2, no traceback, nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.commands import TINY, TINY_FILE, run

FAST = ("rollout=hf", "steps=1")


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["bugdet=0.1"], "bugdet"),
        (["+acquisition.typo=1"], "typo: no such key"),
        (["acquisition=cares"], "cares"),
        (["budget=1.5"], "budget=1.5 is outside [0, 1]"),
        (["steps=many"], "steps"),
        (["data=jsonl", "data.path=nowhere.jsonl"], "nowhere.jsonl does not exist"),
        (
            ["model=pretrained", "model.path=./nowhere", "data=jsonl", "data.path=DATA"],
            "does not exist",
        ),
        (["algorithm.loss.settings.clip_lo=0.1"], "clip_lo"),
        (["data=jsonl", "data.path=EMPTY"], "holds no rows"),
        (["data=jsonl", "data.path=UNLABELLED"], "no row of"),
        (
            ["data=jsonl", "data.path=DATA", "algorithm.batch=64", "algorithm.mini_batch=64"],
            "fewer",
        ),
        (["data=jsonl", "data.path=DATA", "data.task=poetry"], "poetry"),
        (["run_dir=EMPTY"], "is a file"),
        (["run_dir=OCCUPIED"], "is not empty"),
        (["run_dir=EMPTY/below"], "cannot be"),
        (["rollout.max_response_tokens=5000"], "context of 4096 tokens"),
        (["rollout.stop_token_ids=[9999]"], "stop token 9999"),
        (["-m", "root=EMPTY/below"], "EMPTY/below"),
        (["model.path=DATA"], "say model=pretrained model.path=FOLDER_OR_HUB_NAME"),
        (["-m", "seed=1,2", "lora.alpha=4"], "lora.alpha=4 has no effect"),
        (["hydra.launcher.ranks=2"], "hydra.launcher.ranks=2 has no effect"),
    ],
)
def test_a_mistake_is_one_message(tmp_path: Path, overrides: list[str], message: str) -> None:
    places = prepare(tmp_path)
    given = [fill(override, places) for override in overrides]
    folder = (
        [] if any(o.startswith("run_dir") for o in overrides) else [f"root={tmp_path / 'runs'}"]
    )
    done = run(*sizes(overrides), *FAST, *folder, *given)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("config.yaml"))


def sizes(overrides: list[str]) -> list[str]:
    """As small as may be, without what does nothing with these."""
    tiny = TINY_FILE if "data=jsonl" in overrides else TINY
    testbed = "model=pretrained" not in overrides
    return [key for key in tiny if testbed or not key.startswith("model.")]


def prepare(folder: Path) -> dict[str, Path]:
    rows = [{"prompt": f"Rule 0 maps ({i}, 0) to ", "answer": str(i)} for i in range(20)]
    contents = {
        "EMPTY": "",
        "UNLABELLED": "".join(json.dumps({"prompt": r["prompt"]}) + "\n" for r in rows),
        "DATA": "".join(json.dumps(r) + "\n" for r in rows),
    }
    for name, content in contents.items():
        (folder / name).write_text(content)
    (folder / "OCCUPIED").mkdir()
    (folder / "OCCUPIED/notes.txt").write_text("mine")
    return {name: folder / name for name in (*contents, "OCCUPIED")}


def fill(override: str, places: dict[str, Path]) -> str:
    for name, path in places.items():
        override = override.replace(f"={name}", f"={path}")
    return override


def test_help_and_cfg_are_useful() -> None:
    told = run("--help")
    assert told.returncode == 0
    for word in ("acquisition: ", "budget", "rollout=OPTION: hf, vllm", "Exit codes"):
        assert word in told.stdout, told.stdout
    config = run("--cfg", "job", "budget=0.1")
    assert config.returncode == 0
    assert "budget: 0.1" in config.stdout
