"""What other clusters' settings mean for runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from rlavr_hpc.overview.cluster_checks import check_cluster
from rlavr_hpc.overview.cluster_settings import grace_window, requeue_delay, sends_user_signal
from rlavr_hpc.overview.doctor_finding import DoctorFinding, Severity
from rlavr_hpc.overview.partition_checks import check_partition
from rlavr_hpc.overview.site_facts import check_folder, check_gpus, file_system
from tests.support.commands import rlavr
from tests.support.fake_slurm import FakeSlurm, without_slurm

PREEMPTING = {
    "SLURM_VERSION": "22.05.8",
    "JobRequeue": "1",
    "PreemptType": "preempt/partition_prio",
    "PreemptMode": "REQUEUE",
    "KillWait": "30 sec",
    "ProctrackType": "proctrack/cgroup",
    "MaxArraySize": "1001",
    "MaxJobCount": "10000",
    "MinJobAge": "300 sec",
    "SlurmdTimeout": "300 sec",
    "KillOnBadExit": "0",
    "AuthInfo": "cred_expire=20",
    "AccountingStorageType": "accounting_storage/none",
    "SlurmctldParameters": "(null)",
    "PreemptParameters": "(null)",
    "SchedulerParameters": "(null)",
}
"""A cluster with nothing to complain of."""
PARTITION = {
    "PartitionName": "p",
    "PreemptMode": "REQUEUE",
    "GraceTime": "120",
    "State": "UP",
    "MaxTime": "1-00:00:00",
}


def worst(findings: Sequence[DoctorFinding]) -> Severity:
    order = [Severity.ok, Severity.warn, Severity.bad]
    return max((finding.level for finding in findings), key=order.index)


def about(topic: str, findings: Sequence[DoctorFinding]) -> DoctorFinding:
    [found] = [finding for finding in findings if finding.topic == topic]
    return found


def test_a_good_cluster_has_nothing_to_mend() -> None:
    findings = [*check_cluster(PREEMPTING), *check_partition(PREEMPTING, PARTITION)]
    assert [f for f in findings if f.level is not Severity.ok] == []
    assert {f.topic for f in findings} >= {
        "JobRequeue",
        "requeue delay",
        "warning signal",
        "ProctrackType",
        "KillOnBadExit",
        "MaxArraySize",
        "MaxJobCount",
        "accounting",
        "MinJobAge",
        "SlurmdTimeout",
        "preemption",
        "GraceTime",
        "MaxTime",
    }


@pytest.mark.parametrize(
    ("setting", "topic", "fix"),
    [
        ({"AuthInfo": "(null)"}, "requeue delay", "AuthInfo=cred_expire=N"),
        ({"ProctrackType": "proctrack/linuxproc"}, "ProctrackType", "proctrack/cgroup"),
        ({"ProctrackType": "proctrack/pgid"}, "ProctrackType", "proctrack/cgroup"),
        ({"MaxJobCount": "500"}, "MaxJobCount", "MaxJobCount=10000"),
        ({"MinJobAge": "10 sec"}, "MinJobAge", "MinJobAge=300"),
        ({"SlurmdTimeout": "0 sec"}, "SlurmdTimeout", "SlurmdTimeout=300"),
        ({"SlurmdTimeout": "3600 sec"}, "SlurmdTimeout", "SlurmdTimeout=300"),
    ],
)
def test_what_hinders_is_a_warning_with_the_setting_that_mends_it(
    setting: dict[str, str], topic: str, fix: str
) -> None:
    finding = about(topic, check_cluster(PREEMPTING | setting))
    assert finding.level is Severity.warn
    assert fix in finding.fix


def test_without_job_arrays_nothing_can_be_submitted() -> None:
    assert about("MaxArraySize", check_cluster(PREEMPTING | {"MaxArraySize": "0"})).level == "bad"


def test_job_requeue_off_is_fine_because_jobs_ask_for_it() -> None:
    finding = about("JobRequeue", check_cluster(PREEMPTING | {"JobRequeue": "0"}))
    assert finding.level is Severity.ok
    assert "--requeue" in finding.text


@pytest.mark.parametrize(
    ("settings", "seconds"),
    [
        ({}, 121),
        ({"AuthInfo": "socket=/x,cred_expire=5"}, 6),
        ({"AuthInfo": "cred_expire=5", "SchedulerParameters": "a=1,requeue_delay=3"}, 3),
    ],
)
def test_the_delay_after_a_requeue_is_known(settings: dict[str, str], seconds: int) -> None:
    assert requeue_delay(settings) == seconds


@pytest.mark.parametrize(
    ("version", "key", "value", "expected"),
    [
        ("22.05.8", "SlurmctldParameters", "preempt_send_user_signal", True),
        ("22.05.8", "PreemptParameters", "send_user_signal", False),
        ("23.02.0", "PreemptParameters", "reclaim,send_user_signal", True),
        ("24.11.5", "SlurmctldParameters", "preempt_send_user_signal", False),
    ],
)
def test_both_spellings_of_the_users_signal_are_known_where_each_is_read(
    version: str, key: str, value: str, expected: bool
) -> None:
    settings = PREEMPTING | {"SLURM_VERSION": version, key: value}
    assert sends_user_signal(settings) is expected
    misplaced = any(f.level is Severity.warn for f in check_cluster(settings))
    assert misplaced is not expected


@pytest.mark.parametrize(
    ("partition", "level"),
    [
        ({"PreemptMode": "OFF"}, Severity.warn),  # KillWait of 30 s is all there is
        ({"PreemptMode": "SUSPEND"}, Severity.warn),
        ({"PreemptMode": "GANG,SUSPEND"}, Severity.warn),
        ({"PreemptMode": "CANCEL"}, Severity.warn),
        ({"PreemptMode": "CANCEL", "GraceTime": "0"}, Severity.bad),
        ({"GraceTime": "0"}, Severity.warn),
        ({"GraceTime": "10"}, Severity.warn),
        ({"State": "DOWN"}, Severity.bad),
        ({}, Severity.ok),
    ],
)
def test_every_way_of_preempting_is_judged(partition: dict[str, str], level: Severity) -> None:
    assert worst(check_partition(PREEMPTING, PARTITION | partition)) is level


def test_a_cluster_that_never_preempts_ignores_the_partitions_mode() -> None:
    settings = PREEMPTING | {"PreemptType": "preempt/none"}
    findings = check_partition(settings, PARTITION | {"PreemptMode": "CANCEL", "GraceTime": "0"})
    assert about("preemption", findings).text == "its jobs are never preempted"


def test_preemption_by_qos_says_where_its_grace_is_told() -> None:
    settings = PREEMPTING | {"PreemptType": "preempt/qos"}
    finding = about("preemption", check_partition(settings, PARTITION))
    assert "sacctmgr show qos" in finding.text


def test_the_window_is_the_grace_and_without_one_the_wait_for_the_kill() -> None:
    assert grace_window(PREEMPTING, PARTITION) == 120
    assert grace_window(PREEMPTING, PARTITION | {"GraceTime": "0"}) == 30


# --- the place -----------------------------------------------------------------------------------


def test_a_folders_file_system_is_found_by_its_longest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"server:/x {tmp_path} nfs4 rw 0 0\n/dev/a / ext4 rw 0 0\nx {tmp_path}s xfs rw 0 0\n"
    )
    assert file_system(tmp_path / "runs", mounts) == "nfs4"
    assert file_system(Path("/nowhere"), mounts) == "ext4"


def test_a_folder_that_cannot_be_written_is_bad() -> None:
    assert check_folder(Path("/proc/runs")).level is Severity.bad


@pytest.mark.parametrize(
    ("gres", "level"), [("gpu:a100:8(S:0-1) (null)", Severity.ok), ("(null)", Severity.warn)]
)
def test_gpus_are_looked_for(gres: str, level: Severity) -> None:
    assert check_gpus(gres).level is level


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def slurm(tmp_path: Path) -> FakeSlurm:
    """A cluster of one partition without a grace, whose jobs are cancelled."""
    fake = FakeSlurm(tmp_path / "bin")
    config = "".join(f"{key} = {value}\n" for key, value in PREEMPTING.items())
    (fake.folder / "config.out").write_text(f"Configuration data\n{config}")
    (fake.folder / "partition.out").write_text(
        "PartitionName=p PreemptMode=CANCEL GraceTime=0 State=UP MaxTime=UNLIMITED\n"
    )
    fake.says("sinfo", "gpu:a100:8\n")
    fake.runs("scontrol", 'cat "$here/$2.out"')
    return fake


def test_what_is_bad_makes_the_command_fail(slurm: FakeSlurm, tmp_path: Path) -> None:
    done = rlavr("doctor", "--root", str(tmp_path), environment=slurm.environment)
    assert done.returncode == 1
    assert "bad   preemption: its jobs are ended (CANCEL) within 30 s" in done.stdout
    assert "        -> admin: PreemptMode=REQUEUE" in done.stdout


def test_a_partition_that_is_not_there_is_bad_and_json_is_one_object_per_line(
    slurm: FakeSlurm, tmp_path: Path
) -> None:
    done = rlavr(
        "doctor",
        "--partition",
        "q",
        "--root",
        str(tmp_path),
        "--json",
        environment=slurm.environment,
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert (told[-1]["partition"], told[-1]["level"]) == ("q", "bad")
    assert "one of p" in told[-1]["fix"]
    assert done.returncode == 1


def test_without_slurm_the_doctor_says_so(tmp_path: Path) -> None:
    done = rlavr("doctor", environment=without_slurm(tmp_path / "no"))
    assert done.returncode == 2
    assert "there is no Slurm here" in done.stderr
