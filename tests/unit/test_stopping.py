"""Stop signals: noticed at once, one wish however often it is sent, and what still fits."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from rlavr_hpc.cluster.preemption import SAME_WISH_SECONDS, Deadline, StopFlag
from rlavr_hpc.rollout import global_random

BUSY = """
import hashlib
from rlavr_hpc.cluster.preemption import StopFlag
flag = StopFlag()
flag.install()
print("ready", flush=True)
hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)  # minutes in C, not to be interrupted
"""


def start() -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", BUSY],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def test_a_signal_is_noticed_while_the_main_thread_is_outside_python() -> None:
    child = start()
    child.send_signal(signal.SIGUSR2)
    time.sleep(SAME_WISH_SECONDS + 0.2)
    assert child.poll() is None
    child.send_signal(signal.SIGTERM)
    try:
        _, told = child.communicate(timeout=10)
    finally:
        child.kill()
    assert "SIGUSR2 received; stopping with a checkpoint" in told
    assert child.returncode == 130


def test_the_same_wish_passed_on_by_a_launcher_is_no_second_signal() -> None:
    child = start()
    child.send_signal(signal.SIGINT)
    time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    time.sleep(SAME_WISH_SECONDS + 0.5)
    assert child.poll() is None
    child.kill()
    child.wait(30)


def flagged(at: float) -> StopFlag:
    flag = StopFlag()
    flag.received, flag.at = signal.SIGTERM, at
    return flag


def test_work_goes_on_while_it_and_a_checkpoint_fit_before_the_kill() -> None:
    clock = [100.0]
    deadline = Deadline(stop=StopFlag(), grace=30.0, save_seconds=2.0, now=lambda: clock[0])
    with deadline.work("step"):
        clock[0] += 20.0
    with deadline.work("step"):  # from 120 on, until 140 as usual
        clock[0] = 125.0
        assert not deadline.out_of_time()
        deadline.stop = flagged(at=115.0)  # killed at 145; 140 + 2 x 2 fits
        assert not deadline.out_of_time()
        deadline.stop = flagged(at=113.0)
        assert deadline.out_of_time()
    deadline.stop = flagged(at=115.0)
    with deadline.work("evaluation"):  # nobody knows how long
        clock[0] = 140.9
        assert not deadline.out_of_time()
        clock[0] = 141.1
        assert deadline.out_of_time()


@pytest.mark.parametrize(
    ("number", "out_of_time"), [(signal.SIGTERM, True), (signal.SIGUSR2, False)]
)
def test_the_warning_before_a_time_limit_leaves_more_time_than_a_preemption(
    number: signal.Signals, out_of_time: bool
) -> None:
    stop = StopFlag()
    stop.note(number)
    stop.at = 100.0
    deadline = Deadline(stop=stop, grace=10.0, warning=90.0, now=lambda: 120.0)
    assert deadline.out_of_time() == out_of_time


def test_global_generators_go_on_from_where_they_were() -> None:
    def draw() -> tuple[float, ...]:
        return random.random(), float(np.random.rand()), torch.rand(1).item()  # noqa: NPY002

    states = global_random.get_states()
    first = draw()
    with global_random.kept():
        draw()
    second = draw()
    global_random.set_states(states)
    assert (draw(), draw()) == (first, second)
