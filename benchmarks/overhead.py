"""`python -m benchmarks.overhead`: what a step costs beyond its passes through the model.

One process per setting builds a run as `rlavr_hpc.run` does. After warm-up it alternates one step
of the run and, alone, what the models did in it: generation (the same requests and parameters
given to the engine, no conversion of what comes out), the scoring forward, and forward, backward
and optimizer (the same tensors through the DeepSpeed engine, no metrics). Medians over the rounds;
overhead = (step - model passes) / step, in two readings: with the scoring forward as a model
pass, and stricter with generation, forward and backward alone. Exit code 1 when the first is 15%
or more with vLLM.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore

from benchmarks.machine import machine
from benchmarks.overhead_alone import Seen, time_generation, time_scoring, time_training, watch
from rlavr_hpc.cluster.preemption import StopFlag
from rlavr_hpc.cluster.topology import announce_ranks, apply_threads, read_topology
from rlavr_hpc.config.run import RunConfig, resolve
from rlavr_hpc.config.shipped import CONF
from rlavr_hpc.trainer.job import check_rendezvous, end_process, join, set_up_logging

if TYPE_CHECKING:
    from rlavr_hpc.trainer.loop import TrainingRun

RESULTS = Path(__file__).parent / "results/overhead.json"
LIMIT = 0.15
WARM_UP = 5
SETTINGS = {
    "vllm care": ("rollout=vllm", "acquisition=care"),
    "vllm full": ("rollout=vllm", "acquisition=full"),
    "hf care": ("rollout=hf", "acquisition=care"),
}
PHASES = ("sync", "generate", "score", "grade", "select", "buy", "train", "learn", "other")
PURE = {"generate": "generation", "score": "scoring", "train": "forward_backward"}
"""Phases with a pass through the model, and what it is called alone."""


def main() -> int:
    """Measure and print; 1 when vLLM's overhead reaches the limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--tokens", type=int, default=128, help="of responses, at most")
    length.add_argument("--testbed", dest="tokens", action="store_const", const=None)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(SETTINGS[arguments.one], arguments.rounds, arguments.tokens)))
        return 0
    told = {}
    for setting in arguments.settings:
        rounds = _alone(setting, arguments.rounds, arguments.tokens)
        told[setting] = summarize(rounds)
        print(as_table(setting, told[setting]), flush=True)
        known = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
        title = "testbed" if arguments.tokens is None else f"{arguments.tokens} tokens"
        known[title] = {"machine": machine(), "rounds": arguments.rounds, "settings": told}
        arguments.out.write_text(json.dumps(known, indent=1) + "\n")
    return int(any(x["overhead"] >= LIMIT for s, x in told.items() if s.startswith("vllm")))


def _alone(setting: str, rounds: int, tokens: int | None) -> list[dict[str, float]]:
    command = [sys.executable, "-m", "benchmarks.overhead", "--one", setting]
    command += ["--rounds", str(rounds), *(["--tokens", str(tokens)] if tokens else ["--testbed"])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    measured: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return measured


def summarize(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Medians in seconds, and the two readings of the overhead."""
    middle = {name: median(row[name] for row in rounds) for name in rounds[0]}
    step, passes = middle["step"], middle["generation"] + middle["forward_backward"]
    return {
        "seconds": middle,
        "overhead": (step - passes - middle["scoring"]) / step,
        "overhead_strict": (step - passes) / step,
        "rest": {
            phase: middle[phase] - (middle[PURE[phase]] if phase in PURE else 0.0)
            for phase in PHASES
        },
    }


def as_table(setting: str, told: dict[str, Any]) -> str:
    """One setting for people."""
    seconds, rest = told["seconds"], told["rest"]
    lines = [
        f"{setting}: step {seconds['step']:.4f} s, overhead {told['overhead']:.1%}, with the "
        f"scoring forward as overhead {told['overhead_strict']:.1%}; between steps "
        f"{seconds['between']:.4f} s; {seconds['tokens']:.0f} tokens a response",
        f"  {'phase':9s} {'seconds':>8s} {'share':>6s} {'alone':>8s} {'rest':>8s} {'rest':>6s}",
    ]
    for phase in PHASES:
        alone = seconds[PURE[phase]] if phase in PURE else 0.0
        lines.append(
            f"  {phase:9s} {seconds[phase]:8.4f} {seconds[phase] / seconds['step']:6.1%} "
            f"{alone:8.4f} {rest[phase]:8.4f} {rest[phase] / seconds['step']:6.1%}"
        )
    return "\n".join(lines)


def measure(overrides: tuple[str, ...], rounds: int, tokens: int | None) -> list[dict[str, float]]:
    """Seconds of every round, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        long = [f"rollout.max_response_tokens={tokens}", "model.pretrain_steps=1"]
        long += ["algorithm.lr=1e-12"]
        run_dir = Path(folder) / "run"
        config = _composed(
            *overrides,
            f"run_dir={run_dir}",
            f"steps={WARM_UP + rounds + 1}",
            "eval_every=0",
            "save_every=0",
            "data.eval_limit=8",
            *(long if tokens else []),
        )
        run = _started(config, run_dir)
        return [row for n in range(WARM_UP + rounds) if (row := _round(run, n)) and n >= WARM_UP]


def _composed(*overrides: str) -> RunConfig:
    ConfigStore.instance().store(name="schema", node=RunConfig)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return resolve(compose("config", list(overrides)))


def _started(config: RunConfig, run_dir: Path) -> TrainingRun:
    """The run as a job of its own would have it before its first step."""
    topology = read_topology(
        os.environ, threads=config.cluster.threads, runs_per_node=config.cluster.runs_per_node
    )
    announce_ranks(topology, os.environ)
    set_up_logging(topology)
    logging.getLogger("rlavr_hpc").setLevel(logging.WARNING)
    apply_threads(topology, os.environ)
    check_rendezvous(topology)
    run = join(config, run_dir, topology, StopFlag()).start()
    run.catch_up()
    return run


def _round(run: TrainingRun, index: int) -> dict[str, float]:
    """One step of the run, then its passes through the models, each alone."""
    from tqdm import tqdm  # noqa: PLC0415

    seen, components = Seen(), run.components
    begin = time.perf_counter()
    release = watch(components, seen)
    run.take_step(run.state.step + 1, tqdm(disable=True))
    whole = time.perf_counter() - begin
    release()
    generation, tokens = time_generation(components, seen)
    assert run.record.recorder is not None
    lines = run.run_dir.joinpath("metrics/1.jsonl").read_text().splitlines()
    row = json.loads(lines[-1])
    return {
        "step": row["time/step"],
        "between": whole - row["time/step"],
        **{phase: row[f"time/{phase}"] for phase in PHASES},
        "generation": generation,
        "tokens": tokens,
        "scoring": time_scoring(components, seen),
        "forward_backward": time_training(components, seen),
    }


if __name__ == "__main__":
    end_process(main())
