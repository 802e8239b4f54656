"""What the launcher concludes from a cluster's settings."""

from __future__ import annotations

from typing import Any

import pytest

from rlavr_hpc.cluster.slurm.settings import read_settings
from rlavr_hpc.cluster.slurm.site import Site, judge_site
from rlavr_hpc.errors import UserError

CLUSTER = {"KillWait": "30 sec", "MaxArraySize": "1001"}
KNOWN = {
    "long": {
        "PartitionName": "long",
        "Default": "YES",
        "GraceTime": "120",
        "MaxTime": "1-00:00:00",
    },
    "gone": {"PartitionName": "gone", "Default": "NO", "GraceTime": "0", "MaxTime": "UNLIMITED"},
}


def site(cluster: dict[str, str] | None = None, gres: str = "(null)", **given: Any) -> Site:  # noqa: ANN401
    return judge_site(read_settings(given), {**CLUSTER, **(cluster or {})}, KNOWN, gres)


@pytest.mark.parametrize(
    ("partition", "grace"), [(None, 120), ("long", 120), ("gone", 30), ("long,gone", 30)]
)
def test_the_grace_is_the_partitions_or_else_the_wait_before_the_kill(
    partition: str | None, grace: int
) -> None:
    assert site(partition=partition).grace_seconds == grace


def test_the_users_own_signal_is_sent_so_long_before_the_limit() -> None:
    assert site(signal_seconds=300).warning_seconds == 300


@pytest.mark.parametrize(
    "cluster",
    [
        {"SlurmctldParameters": "preempt_send_user_signal"},
        {"PreemptParameters": "reorder_count=2,send_user_signal"},
    ],
)
def test_where_preemption_sends_it_too_there_may_be_no_more_than_the_grace(
    cluster: dict[str, str],
) -> None:
    assert site(cluster, signal_seconds=300).warning_seconds == 120


def test_gpus_are_seen_in_the_nodes_resources() -> None:
    assert site(gres="gpu:h100:4(S:0-1)").gpus
    assert not site().gpus


def test_a_partition_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(UserError, match=r"partition=fast: .* it has gone, long"):
        site(partition="fast")


def test_more_time_than_the_partition_allows_is_refused() -> None:
    with pytest.raises(UserError, match=r"time=2-0 is more than partition long allows"):
        site(time="2-0")
    assert site(time="2-0", partition="gone").grace_seconds == 30
