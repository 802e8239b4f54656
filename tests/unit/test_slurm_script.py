"""The Slurm launcher's settings and what they become: a batch script."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc.cluster.slurm.sbatch_script import make_script
from rlavr_hpc.cluster.slurm.settings import read_settings, seconds_of
from rlavr_hpc.errors import UserError
from rlavr_hpc.runs.stops import WAIT_TO_BE_KILLED
from rlavr_hpc.runs.submissions import create_submission, submissions


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 1800),
        ("1:30", 90),
        ("2:00:05", 7205),
        ("1-2", 93600),
        ("1-02:03", 93780),
        ("1-00:00:01", 86401),
    ],
)
def test_times_are_read_as_slurm_reads_them(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"partitoin": "a"}, "partitoin: no such key"),
        ({"nodes": 0}, "nodes=0 must be at least 1"),
        ({"nodes": "two"}, "nodes"),
        ({"time": "soon"}, "'soon' is not a time"),
        ({"time": "1"}, "no longer than signal_seconds=120"),
        ({"time": 14400}, "without quotes as 14400"),
        ({"setup": ["export WANDB_API_KEY=abc"]}, "WANDB_API_KEY=...: what is secret"),
        ({"container": "run --env HF_TOKEN=abc x.sif"}, "HF_TOKEN=...: what is secret"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_settings(given)


def test_naming_a_secret_without_telling_it_is_fine() -> None:
    setup = ["export WANDB_API_KEY=$(cat key)", 'export HF_TOKEN="$MINE"', "module load TOKEN/1"]
    assert read_settings({"setup": setup}).setup == setup


def test_a_time_that_yaml_read_as_a_number_is_minutes() -> None:
    assert read_settings({"time": 90}).time_seconds == 5400


def script(folder: Path, **given: Any) -> str:  # noqa: ANN401
    submission = create_submission(
        folder,
        [folder / "a", folder / "b"],
        settings={},
        code=folder / "code" / "1",
        work_dir=folder,
    )
    return make_script(submission, read_settings(given), name="study", lines=["export HF=1"])


def test_the_script_asks_for_what_the_settings_say_and_for_what_survival_needs(
    tmp_path: Path,
) -> None:
    text = script(
        tmp_path,
        partition="gpu",
        nodes=2,
        tasks_per_node=4,
        gpus_per_node=4,
        mem_gb=1.5,
        throttle=1,
        sbatch={"reservation": "tuesday"},
        srun_args=["--mpi=none"],
    )
    for line in (
        "--array=0-1%1",
        "--partition=gpu",
        "--nodes=2",
        "--ntasks-per-node=4",
        "--gpus-per-node=4",
        "--mem=1536M",
        "--reservation=tuesday",
        "--requeue",
        "--signal=USR2@120",
        "--open-mode=append",
        "--time=1:00:00",
        "--job-name=study",
    ):
        assert f"#SBATCH {line}\n" in text
    assert "--kill-on-bad-exit=1 --wait=60 --mpi=none" in text
    assert "wckey" not in text
    assert "export HF=1\n" in text


def test_without_a_throttle_all_tasks_may_run(tmp_path: Path) -> None:
    assert "#SBATCH --array=0-1%2\n" in script(tmp_path)


def test_the_command_runs_in_a_container_and_the_bookkeeping_outside(tmp_path: Path) -> None:
    text = script(tmp_path, container="apptainer exec --nv image.sif", python="python3")
    assert ' apptainer exec --nv image.sif python3 -u -m rlavr_hpc.trainer "$RUN"\n' in text
    after = f'\n{sys.executable} -m rlavr_hpc.cluster.slurm.job_end "$RUN" "$code"'
    assert after in text, "the image's Python is not there outside of it"


def test_a_process_beside_the_run_waits_for_the_time_limit_and_leaves_nothing_when_it_is_killed(
    tmp_path: Path,
) -> None:
    lines = script(tmp_path, time="1:00:00", max_failures=4, python="echo").splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("{ read -rt 3570 "))
    until = lines.index("limit=$!")
    assert lines[begin + 1].endswith('slurm.time_limit "$RUN" --max-failures 4; } &')
    assert lines.index("code=$?") < lines.index('kill "$limit" 2>/dev/null || :')
    waiting = [*lines[begin : until + 1], "sleep 0.5; kill $limit; wait $limit"]
    done = subprocess.run(  # until nobody holds its output any more
        ["bash", "-c", "\n".join(waiting)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (128 + 15, "")
    now = [line.replace("3570", "0") for line in lines[begin : until + 1]]
    done = subprocess.run(
        ["bash", "-euc", "\n".join(["RUN=r", *now, "wait $limit"])],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == "-m rlavr_hpc.cluster.slurm.time_limit r --max-failures 4\n"


@pytest.mark.parametrize("name", ["WANDB_API_KEY", "hf_token", "MY_SECRET", "DB_PASSWORD"])
def test_what_is_secret_does_not_get_into_a_script(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="must not be written into a script"):
        script(tmp_path, env={name: "x"})


def test_the_shell_finds_the_run_of_its_index_and_the_code_of_its_snapshot(tmp_path: Path) -> None:
    folder = tmp_path / "with a space"
    folder.mkdir()
    text = script(folder, env={"NOTE": "it's"}, python="true")
    lines = [line for line in text.splitlines() if not line.startswith("srun")]
    end = lines.index("code=$?")
    probe = [*lines[:end], lines[end + 1], 'echo "$RUN|$PYTHONPATH|$NOTE|$PWD"']
    done = subprocess.run(
        ["bash", "-eu", "-c", "\n".join(probe)],
        capture_output=True,
        text=True,
        check=True,
        env={"SLURM_ARRAY_TASK_ID": "1", "SLURM_JOB_NODELIST": "n1", "PATH": "/usr/bin:/bin"},
    )
    told = done.stdout.splitlines()[-1]
    assert told == f"{folder}/b|{folder}/code/1:{folder}|it's|{folder}"


@pytest.mark.parametrize("told", [True, False])
def test_a_requeued_start_waits_for_slurms_signal_if_that_has_not_come(
    tmp_path: Path, told: bool
) -> None:
    lines = script(tmp_path, python="after").splitlines()
    end = lines.index("code=$?")
    says = f"after() {{ {'kill $$; ' if told else ''}return {WAIT_TO_BE_KILLED}; }}"
    fakes = [says, "sleep() { echo waits; }", "rm() { echo removes; }"]
    trap = next(line for line in lines if line.startswith("trap "))
    body = [line for line in lines[end + 1 :] if not line.startswith("kill ")]
    done = subprocess.run(
        ["bash", "-uc", "\n".join([trap, *fakes, "RUN=r; code=75", *body])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (75, "" if told else "waits\n")


def test_the_script_is_clean_shell(tmp_path: Path) -> None:
    checker = shutil.which("shellcheck")
    if checker is None:
        pytest.skip("shellcheck is not installed")
    path = tmp_path / "script.sh"
    path.write_text(script(tmp_path, setup=["module load cuda"], teardown=["echo over"]))
    done = subprocess.run([checker, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_submission_is_on_disk_before_it_has_a_job_and_found_again(tmp_path: Path) -> None:
    made = create_submission(
        tmp_path, [tmp_path / "a"], settings={"nodes": 2}, code=None, work_dir=tmp_path
    )
    (read,) = submissions(tmp_path)
    assert read == made
    assert read.job is None
    assert read.job_of(tmp_path / "a") is None
    given = made.submitted(12)
    assert given.job_of(tmp_path / "a") == "12_0"
    assert given.job_of(tmp_path / "b") is None
    assert given.log(0, rank=1) == tmp_path / "slurm/1/log/12_0_1_log.out"
    second = create_submission(
        tmp_path, [tmp_path / "b"], settings={}, code=tmp_path / "c", work_dir=tmp_path
    )
    assert [s.folder.name for s in submissions(tmp_path)] == ["1", "2"]
    assert second.tag != made.tag


def test_a_damaged_job_id_is_no_job_id(tmp_path: Path) -> None:
    made = create_submission(
        tmp_path, [tmp_path / "a"], settings={}, code=None, work_dir=tmp_path
    ).submitted(12)
    (made.folder / "job.json").write_text('{"version": 1, "jo')
    (read,) = submissions(tmp_path)
    assert read.job is None, "so that the tag finds it"


def test_a_submission_that_was_not_finished_writing_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "slurm/1").mkdir(parents=True)
    assert list(submissions(tmp_path)) == []
    create_submission(tmp_path, [tmp_path / "a"], settings={}, code=None, work_dir=tmp_path)
    assert [s.folder.name for s in submissions(tmp_path)] == ["2"]
