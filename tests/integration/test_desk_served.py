"""`rlavr labels desk` as a process, on a socket, with the grader that runs use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from tests.support.desk import KEY, answers, place, question

ROOT = Path(__file__).resolve().parents[2]
SERVE = """
import argparse, sys
from types import SimpleNamespace
from rlavr_hpc.commands import labels_desk
from rlavr_hpc.config.grading import GradingConfig
from rlavr_hpc.config.labels import LabelsConfig
from rlavr_hpc.config.task import TaskConfig
parser = argparse.ArgumentParser()
labels_desk.add_arguments(parser)
labels_desk.serve(
    parser.parse_args(sys.argv[1:]),
    labels=lambda run: LabelsConfig(name="people"),
    config_of=lambda run: SimpleNamespace(grading=GradingConfig(), task=TaskConfig()),
)
"""
LINKS = """
import argparse, sys
from rlavr_hpc.commands import labels_desk
parser = argparse.ArgumentParser()
labels_desk.add_arguments(parser)
labels_desk.run(parser.parse_args(sys.argv[1:]))
"""


def test_an_annotator_answers_through_a_socket_and_the_grader_reads_along(tmp_path: Path) -> None:
    top, path = tmp_path / "runs", tmp_path / "own/s"
    top.mkdir()
    place(top / "run", [question("What is 1/2 + 1/4?")])
    (top / "run/config.yaml").write_text("version: 1\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    served = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(top), "--socket", str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert served.stdout is not None
    assert "links begin http://127.0.0.1:8123/" in served.stdout.readline()
    assert path.stat().st_mode & 0o777 == 0o600
    told = subprocess.run(
        [sys.executable, "-c", LINKS, str(top), "--annotator", "ada"],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    token = told.stdout.strip().partition("#")[2]
    address = "http://127.0.0.1:8123"
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(path)),
        base_url=address,
        headers={"Origin": address},
        timeout=120,
    ) as ada:
        assert ada.post("/in", data={"token": token}).status_code == 303
        found = KEY.search(ada.get("/").text)
        assert found is not None
        read = ada.post("/preview", data={"key": found[1], "answer": r"\boxed{\frac{3}{4}}"}).json()
        assert (read["shown"], read["problem"], read["math"]) == (r"\frac{3}{4}", "", True)
        refused = ada.post("/answer", data={"key": found[1], "answer": "n/a"})
        assert refused.status_code == 422
        assert ada.post("/answer", data={"key": found[1], "answer": "0.75"}).status_code == 303
    served.send_signal(signal.SIGINT)
    served.wait(60)
    served.stdout.close()
    assert {one.answer for one in answers(top / "run").values()} == {"0.75"}
    assert not path.exists()
