"""What a new user types, and what comes back at every stage."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.slurm.conftest import Cluster
from tests.support.commands import REPOSITORY

SCRIPT = Path(__file__).with_name("journey.sh")


def stages(text: str) -> dict[str, str]:
    """What was printed below each heading."""
    parts = re.split(r"^### (.*) \(\d+ s\)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def states(text: str) -> list[str]:
    """Of the runs in the first table of a text, in its order."""
    return re.findall(r"^[0-9a-f]{8}  .*?(\w+) +\d+/\d+", text, flags=re.MULTILINE)


def plan(text: str) -> dict[str, str]:
    """What the plan says will become of each run, by its budget."""
    lines = re.findall(r"^  [0-9a-f]{8}  .*budget=(\S+).*?  (\S.*)$", text, flags=re.MULTILINE)
    return dict(lines)


def test_a_new_user_comes_through_preemption_a_mistake_and_a_change_of_mind(
    cluster: Cluster, tmp_path: Path
) -> None:
    cluster.configure(signal="TERM", grace=10)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(SCRIPT)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY)},
    )
    told = stages(done.stdout)
    assert done.returncode == 0, f"in {list(told)[-1:]}: {done.stderr}\n{done.stdout}"

    assert "ok    preemption: its jobs are put back into the queue" in told["look at the cluster"]
    assert "GraceTime: 10 s" in told["look at the cluster"]
    assert plan(told["start a sweep"]) == {"0.1": "submitted", "0.2": "submitted"}
    assert re.search(
        r"^submitted 2 runs as array \d+: runs/study/slurm/1$",
        told["start a sweep"],
        flags=re.MULTILINE,
    )
    assert "next: rlavr status runs/study" in told["start a sweep"]
    assert states(told["watch it"]) == ["running"] * 2
    preempted = told["urgent work takes the nodes"]
    assert states(preempted) == ["preempted"] * 2
    assert "  rlavr start-now runs/study  # start jobs that wait" in preempted
    assert told["do not wait"].count("may start now") == 2

    assert plan(told["one more budget"]) == {
        "0.05": "submitted",
        "0.1": left(told, "0.1"),
        "0.2": left(told, "0.2"),
    }
    assert "array" in told["one more budget"]
    cancelled = told["cancel it again"]
    assert re.search(r"^[0-9a-f]{8}: job \d+_0 cancelled \(was ", cancelled, flags=re.MULTILINE)
    assert plan(cancelled)["0.05"] == "cancelled: left; retry_failed=true submits it again"
    assert cancelled.rstrip().endswith("nothing to submit")

    error = "AttributeError: 'Rollout' object has no attribute 'response'"
    failed = told["a reward of one's own"]
    assert states(failed) == ["failed"]
    assert error in failed
    assert "  rlavr retry runs/brief" in failed
    assert error in told["why"]
    assert 'brief_reward.py", line 9, in of' in told["why"]
    assert "next: rlavr retry runs/brief " in told["why"]
    assert told["mend and retry"].count("submitted 1 runs as array") == 2
    assert "labels bought" in told["wait for the end"]
    assert "finished, 100 steps" in told["wait for the end"]

    again = told["the same command once more"]
    assert plan(again) == dict.fromkeys(("0.05", "0.1", "0.2"), "finished: skipped")
    # of 16 prompts a step may buy one, two or four: 100, 200 and 400 in 100 steps; 20 in five
    assert "4 runs, 4 valid: 720 labels bought for 720" in told["prove the labels"]
    assert "foreign" not in told["prove the labels"]
    runs = [json.loads(line) for line in told["for programs"].splitlines() if line]
    assert [run["state"] for run in runs] == ["done"] * 4
    attempts = {" ".join(run["overrides"]): run["attempts"] for run in runs}
    assert (attempts["budget=0.1"], attempts["budget=0.2"]) == (2, 2), "each was continued once"


def left(told: dict[str, str], budget: str) -> str:
    """The plan's words on a run that its job already has, in whatever state it is by now."""
    words = plan(told["one more budget"])[budget]
    assert re.fullmatch(r"(running|queued|preempted) as \d+_[01]: left alone", words)
    return words
