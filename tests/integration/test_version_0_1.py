"""Runs that version 0.1.0 made are found, read, resumed and verified.

`tests/data/version_0_1.tar.xz` holds what that version left of two runs, stopped after 4 of 6
steps: a single run (random labels, self-certainty, GSPO) and a sweep's (CARE).
"""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import pytest

from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.acquisition.policies.care import CarePolicy
from rlavr_hpc.errors import CheckpointError
from rlavr_hpc.trainer.acquisition_state import AcquisitionState
from tests.support.commands import command, run

DATA = Path(__file__).parents[1] / "data/version_0_1.tar.xz"
SETTINGS = (
    "algorithm.batch=8",
    "algorithm.mini_batch=8",
    "algorithm.group_size=4",
    "eval.samples=2",
    "data.eval_limit=8",
    "model.pretrain_steps=400",
    "rollout=hf",
    "cluster.threads=1",
    "checkpoint.keep_last=1",
    "checkpoint.keep_best=false",
    "save_every=2",
    "algorithm.lr=1e-3",  # the testbed's, since changed
    "algorithm.overlong.buffer=0",
)
SINGLE = (
    "name=old",
    "acquisition=random",
    "reward=self_certainty",
    "unlabelled=pseudo",
    "algorithm=gspo",
)
SWEEP = (
    "name=old_sweep",
    "acquisition=care",
    "acquisition.settings.warmup_steps=2",
    "acquisition.settings.response_width=16",
    "acquisition.settings.prompt_width=16",
    "acquisition.settings.head_width=16",
)
BOUGHT_LATER = {
    5: {"f2-a11-b3": "44", "f7-a10-b10": "17"},
    6: {"f1-a7-b2": "21", "f3-a6-b2": "33"},
}
"""What version 0.1.0 bought in the single run's next steps; chosen by the seed alone."""


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders as version 0.1.0 left them."""
    folder = tmp_path_factory.mktemp("version_0_1")
    with tarfile.open(DATA) as archive:
        archive.extractall(folder, filter="data")
    return folder / "runs"


@pytest.fixture(scope="module")
def resumed(untouched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after today's program was asked for two more steps of each.

    The probes of the sweep's run are of an earlier layout, and begin anew with the user's consent.
    """
    root = tmp_path_factory.mktemp("resumed") / "runs"
    shutil.copytree(untouched, root)
    more = (*SETTINGS, "steps=6", f"root={root}")
    single = run(*SINGLE, *more)
    sweep = run("-m", *SWEEP, *more, "allow_change=[acquisition]")
    assert (single.returncode, sweep.returncode) == (0, 0), single.stderr + sweep.stderr
    for told, folder in ((single, "old-5276dd66"), (sweep, "old_sweep/11835c67")):
        assert f"{folder}: attempt 2 continues after step 4" in told.stderr
    assert "acquisition=care starts with untrained probes" in sweep.stderr
    return root


def test_probes_of_version_0_1_are_refused_with_the_way_out(untouched: Path) -> None:
    policy = CarePolicy(warmup_steps=2, response_width=16, prompt_width=16, head_width=16)
    folder = untouched / "old_sweep/11835c67/checkpoints/step_4"
    with pytest.raises(CheckpointError, match=r"earlier version.*allow_change=\[acquisition\]"):
        AcquisitionState(name="care", policy=policy).load(folder, seed=1, allowed=())


def test_todays_commands_go_on_in_the_folders_of_version_0_1(resumed: Path) -> None:
    assert sorted(p.name for p in resumed.iterdir()) == ["old-5276dd66", "old_sweep"]
    assert sorted(p.name for p in (resumed / "old_sweep").iterdir()) == ["11835c67", "sweep.json"]
    assert [r["run_id"] for r in json.loads((resumed / "old_sweep/sweep.json").read_text())["runs"]]
    for name in ("old-5276dd66", "old_sweep/11835c67"):
        summary = json.loads((resumed / name / "summary.json").read_text())
        assert (summary["status"], summary["steps"], summary["attempts"]) == ("done", 6, 2)
        assert summary["config_hash"] == name[-8:]


def test_they_buy_what_version_0_1_would_have_bought(resumed: Path) -> None:
    ledger = read_ledger(resumed / "old-5276dd66")
    later = {
        step: {prompt: purchase.answer for prompt, purchase in bought.items()}
        for (_, step), bought in ledger.purchases.items()
        if step > 4
    }
    assert later == BOUGHT_LATER


@pytest.mark.parametrize("which", ["untouched", "resumed"])
def test_every_reader_knows_them(
    which: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    root: Path = request.getfixturevalue(which)
    status = command("rlavr_hpc", "status", "--json", str(root))
    states = [json.loads(line) for line in status.stdout.splitlines()]
    assert [told["state"] for told in states] == ["done", "done"]
    verified = command("rlavr_hpc", "ledger", "verify", str(root))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    report = command("rlavr_hpc", "report", str(root), "--out", str(tmp_path / "report"))
    assert report.returncode == 0, report.stderr
    told = json.loads((tmp_path / "report/summary.json").read_text())
    assert len(told["runs"]) == 2
    assert told["problems"] == []


def test_a_checkpoint_of_version_0_1_is_exported(untouched: Path, tmp_path: Path) -> None:
    done = command(
        "rlavr_hpc", "export", str(untouched / "old-5276dd66"), str(tmp_path / "model"), "--json"
    )
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "model/rlavr_hpc.json").read_text())
    assert facts["origin"]["config_hash"] == "5276dd66"
    assert facts["origin"]["config_changed"] is False
