"""Jobs of a sweep are what Hydra would compose, and run a copy of the program."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rlavr_hpc.cluster.slurm.code_snapshot import REVISION, snapshot
from rlavr_hpc.config.shipped import CONF

PROBE = """
import json, sys
from rlavr_hpc.cluster.compose import Composer
from omegaconf import OmegaConf
real = Composer.compose
def both(self, overrides):
    quick, slow = real(self, overrides), self._from_files(tuple(overrides))
    plain = [OmegaConf.to_container(config, resolve=True) for config in (quick, slow)]
    print(json.dumps([plain[0] == plain[1], plain[0]["seed"], plain[0]["acquisition"]["name"],
                      len(self._known)]))
    return quick
Composer.compose = both
import rlavr_hpc.cluster.launcher as launcher
launcher.write_plan = lambda jobs: sys.exit(0)
from rlavr_hpc.run import main
sys.argv = ["run", "-m", *sys.argv[1:]]
main()
"""


@pytest.mark.parametrize(
    ("overrides", "compositions"),
    [
        (["seed=1,2,3", "budget=0.1,0.2", "acquisition=care"], 1),
        (["acquisition=care,none,full", "seed=1,2"], 3),
        (["experiment=knights", "seed=1,2", "algorithm.lr=1e-5", "allow_change=[a]"], 1),
        (["seed=1,2", "+acquisition.settings.extra=1", "reward=vote"], 1),
        (["seed=1", "data=jsonl", "data.path=x.jsonl", "algorithm/loss=grpo"], 1),
        (["seed=1,2", "algorithm=dr_grpo", "rollout.max_response_tokens=99"], 1),
    ],
)
def test_a_job_is_what_hydra_would_compose_from_its_files(
    overrides: list[str], compositions: int, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, f"root={tmp_path}", *overrides],
        capture_output=True,
        text=True,
        check=False,
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told, done.stderr
    assert all(same for same, *_ in told)
    assert told[-1][-1] == compositions


def test_a_key_that_does_not_exist_is_refused_before_anything_is_planned(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rlavr_hpc.run", "-m", f"root={tmp_path}", "seed=1,2", "sead=3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "sead" in done.stderr
    assert not list(tmp_path.glob("*/sweep.json"))


def test_a_secret_that_is_refused_is_in_no_file(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "rlavr_hpc.run",
            "-m",
            "hydra/launcher=slurm",
            f"root={tmp_path}",
            "+hydra.launcher.env.HF_TOKEN=canary42",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "HF_TOKEN: what is secret must not be written into a script" in done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_jobs_run_the_program_as_it_was_when_they_were_submitted(tmp_path: Path) -> None:
    code = snapshot(tmp_path / "sweep", ["rlavr_hpc.learning.losses.grpo:GrpoLoss"], revision="abc")
    probe = "import rlavr_hpc.config.shipped as s; print(s.PACKAGE, s.CONF)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", probe],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(code)},
    )
    package, conf = map(Path, done.stdout.split())
    assert package == code / "rlavr_hpc"
    assert (conf / "config.yaml").read_text() == (CONF / "config.yaml").read_text()
    assert (code / REVISION).read_text() == "abc\n"
    assert not list(code.rglob("__pycache__"))


def test_the_same_program_is_copied_once(tmp_path: Path) -> None:
    first = snapshot(tmp_path, [], revision=None)
    assert snapshot(tmp_path, [], revision=None) == first
    assert [p.name for p in (tmp_path / "code").iterdir()] == [first.name]


def test_plug_ins_of_the_users_own_are_copied_and_installed_ones_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    (work / "mine").mkdir(parents=True)
    (work / "mine/__init__.py").touch()
    (work / "mine/policy.py").write_text("x = 1\n")
    (work / "alone.py").write_text("y = 1\n")
    monkeypatch.syspath_prepend(str(work))
    targets = ["mine.policy:P", "alone:Q", "json.decoder:JSONDecoder", "numpy.x:Y", "nowhere:Z"]
    code = snapshot(tmp_path / "sweep", targets, revision=None)
    assert sorted(p.name for p in code.iterdir()) == [REVISION, "alone.py", "mine", "rlavr_hpc"]
    (work / "mine/policy.py").write_text("x = 2\n")
    assert (code / "mine/policy.py").read_text() == "x = 1\n"
    assert snapshot(tmp_path / "sweep", targets, revision=None) != code
