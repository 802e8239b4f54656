"""What a rank learns from Slurm's variables, and where it meets the others."""

from __future__ import annotations

import os

import pytest

from rlavr_hpc.cluster.topology import (
    PORTS,
    announce_ranks,
    read_topology,
    rendezvous,
    slurm_start,
)

STEP = {
    "SLURM_JOB_ID": "12",
    "SLURM_ARRAY_JOB_ID": "10",
    "SLURM_ARRAY_TASK_ID": "2",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "gpu[003-004]",
    "SLURM_PROCID": "3",
    "SLURM_NTASKS": "4",
    "SLURM_LOCALID": "1",
    "SLURM_NNODES": "2",
    "SLURMD_NODENAME": "gpu004",
    "SLURM_CPUS_ON_NODE": "2",
}


def test_an_array_task_is_named_by_array_and_index_and_not_by_its_own_id() -> None:
    start = slurm_start(STEP)
    assert start is not None
    assert (start.job, start.restart, start.node) == ("10_2", 0, "gpu004")
    assert start.name == "10_2.0"


def test_a_restart_is_another_start_of_the_same_job() -> None:
    start = slurm_start({**STEP, "SLURM_RESTART_COUNT": "3"})
    assert start is not None
    assert start.name == "10_2.3"


def test_outside_of_slurm_there_is_no_start() -> None:
    assert slurm_start({}) is None
    assert rendezvous({}) is None


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("gpu[003-004]", "gpu003"), ("gpu[7,9]", "gpu7"), ("a1,b2", "a1"), ("n1", "n1")],
)
def test_ranks_meet_on_the_first_node_of_the_step(nodes: str, first: str) -> None:
    met = rendezvous({**STEP, "SLURM_STEP_NODELIST": nodes})
    assert met is not None
    assert met[0] == first


def test_the_address_slurm_itself_used_goes_before_a_name() -> None:
    met = rendezvous({**STEP, "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.3"})
    assert met is not None
    assert met[0] == "10.0.0.3"


def test_every_start_draws_its_own_port_and_all_its_ranks_the_same() -> None:
    starts = [
        {**STEP, "SLURM_ARRAY_TASK_ID": str(task), "SLURM_RESTART_COUNT": str(restart)}
        for task in range(5)
        for restart in range(3)
    ]
    ports = [met[1] for start in starts if (met := rendezvous(start))]
    assert len(set(ports)) == 15
    assert set(ports) <= set(PORTS)
    assert rendezvous({**STEP, "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}) == rendezvous(STEP)


def test_ranks_of_a_step_are_announced_to_torch() -> None:
    told = dict(STEP)
    announce_ranks(read_topology(told, threads=1, runs_per_node=1), told)
    assert (told["RANK"], told["WORLD_SIZE"], told["LOCAL_RANK"]) == ("3", "4", "1")
    assert told["LOCAL_WORLD_SIZE"] == "2"
    assert told["MASTER_ADDR"] == "gpu003"
    assert int(told["MASTER_PORT"]) in PORTS


def test_a_rank_that_is_bound_to_its_own_cores_does_not_share_them_again() -> None:
    mine = len(os.sched_getaffinity(0))
    bound = {**STEP, "SLURM_CPUS_ON_NODE": str(4 * mine)}
    assert read_topology(bound, threads=0, runs_per_node=1).threads == mine
    free = {**STEP, "SLURM_CPUS_ON_NODE": str(mine)}
    assert read_topology(free, threads=0, runs_per_node=1).threads == max(1, mine // 2)


def test_a_rendezvous_that_somebody_chose_is_kept() -> None:
    told = {**STEP, "MASTER_ADDR": "here", "MASTER_PORT": "7"}
    announce_ranks(read_topology(told, threads=1, runs_per_node=1), told)
    assert (told["MASTER_ADDR"], told["MASTER_PORT"]) == ("here", "7")
