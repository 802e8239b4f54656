"""`python -m benchmarks.label_noise`: what do annotators' mistakes cost, and do three of them help?

Testbed runs buy labels of `examples/annotators/noisy.py`, which errs on a share of the prompts: in
its own way, or so that a mistake is the model's vote wherever that is wrong. With redundancy 3 the
majority of three who err independently counts; it buys a third of the labels for the same money,
or the same labels for three times the money. Prints a table of medians over seeds and writes it to
`benchmarks/results/label_noise.json`. Finished runs are not repeated. `--quick` proves the path: a
small base model, small batches, few steps, one seed.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from benchmarks.label_noise_report import NoiseRun, as_table, as_values
from benchmarks.label_noise_report import NoiseSetting as Setting
from benchmarks.machine import machine
from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.config.data import DataConfig
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.spending.live_spend import live_spend
from rlavr_hpc.testbed.questions import make_world

PROGRAM = Path(__file__).resolve().parents[1] / "examples/annotators/noisy.py"
ERRORS = (0.0, 0.02, 0.1, 0.3)
SHARE = 0.1875
"""Of a step's prompts whose label is bought with one annotator: 12 of 64."""
LEARNING_RATE = 5e-4
"""At which an update leaves right beliefs alone; the testbed's default of 1e-3 does not."""
STEPS, SEEDS = 150, 2
QUICK_ERRORS, QUICK_STEPS = (0.0, 0.3), 8
QUICK = (
    "algorithm.batch=16",
    "algorithm.mini_batch=16",
    "algorithm.group_size=4",
    "eval.samples=2",
    "data.eval_limit=32",
    "model.pretrain_steps=400",
)


def main() -> int:
    """Run what is missing and report; 1 when a run failed."""
    arguments = _arguments()
    arguments.root.mkdir(parents=True, exist_ok=True)
    known = arguments.root / "answers.json"
    known.write_text(json.dumps(truths()))
    jobs = [
        (setting, seed)
        for seed in range(1, arguments.seeds + 1)
        for setting in settings(QUICK_ERRORS if arguments.quick else ERRORS)
    ]
    found = _run_all(jobs, arguments, known)
    runs = [run for run in found if isinstance(run, NoiseRun)]
    values = {
        "machine": machine(),
        "seeds": list(range(1, arguments.seeds + 1)),
        "steps": arguments.steps,
        "policy": arguments.policy,
        "quick": arguments.quick,
        **as_values(runs),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    name = "label_noise_quick.json" if arguments.quick else "label_noise.json"
    (arguments.out / name).write_text(json.dumps(values, indent=1) + "\n")
    print(
        f"{values['machine']}; acquisition={arguments.policy}, {arguments.steps} steps, medians of "
        f"seeds 1 to {arguments.seeds}\n"
    )
    print("\n".join(as_table(runs)))
    for folder in found:
        if isinstance(folder, Path):
            print(f"FAILED: {folder}", file=sys.stderr)
    return int(len(runs) < len(found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_noise", description=__doc__)
    parser.add_argument("--steps", type=int, help=f"of a run; default {STEPS}, quick {QUICK_STEPS}")
    parser.add_argument("--seeds", type=int, help=f"runs a setting; default {SEEDS}, quick 1")
    parser.add_argument("--quick", action="store_true", help="few small runs, to prove the path")
    parser.add_argument("--policy", default="care", help="acquisition policy")
    parser.add_argument("--side-by-side", type=int, default=2)
    parser.add_argument("--root", type=Path, help="of the runs; default runs/label_noise")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    arguments = parser.parse_args()
    quick = arguments.quick
    arguments.steps = arguments.steps or (QUICK_STEPS if quick else STEPS)
    arguments.seeds = arguments.seeds or (1 if quick else SEEDS)
    arguments.root = arguments.root or Path(f"runs/label_noise{'_quick' if quick else ''}")
    if min(arguments.steps, arguments.seeds, arguments.side_by_side) < 1:
        parser.error("numbers start at 1")
    return arguments


def truths() -> dict[str, str]:
    """The testbed's answers by prompt."""
    data = DataConfig()
    world = make_world(data.kinds, wrong_rule=data.wrong_rule)
    return {question.name: str(question.truth) for question in world.questions}


def settings(errors: Sequence[float]) -> list[Setting]:
    """All that is compared; without errors it does not matter which they are."""
    return [
        Setting(error=error, like_vote=like_vote, redundancy=redundancy, share=share)
        for error in errors
        for like_vote in ((False, True) if error else (False,))
        for redundancy, share in ((1, SHARE), (3, SHARE / 3), (3, SHARE))
    ]


def overrides(setting: Setting, known: Path, *, quick: bool) -> list[str]:
    """Of the runs of a setting."""
    command = [sys.executable, str(PROGRAM.resolve()), "--answers", str(known.resolve())]
    command += ["--error", str(setting.error), *(["--like-vote"] if setting.like_vote else [])]
    return [
        *("rollout=hf", "save_every=0", f"algorithm.lr={LEARNING_RATE:g}", "labels=command"),
        f"labels.command='{shlex.join(command)}'",
        f"labels.version=error-{setting.error:g}",
        "labels.poll=0.1",
        *_of_several(setting.redundancy),
        *(["labels.show=votes"] if setting.like_vote else []),
        f"budget={setting.share:.6g}",
        *(QUICK if quick else ()),
    ]


def _of_several(annotators: int) -> list[str]:
    """So many answers a label and never more: a disagreement costs no further money."""
    keys = ("labels.redundancy", "labels.max_redundancy")
    return [f"{key}={annotators}" for key in keys] if annotators > 1 else []


def _run_all(
    jobs: Sequence[tuple[Setting, int]], arguments: argparse.Namespace, known: Path
) -> list[NoiseRun | Path]:
    with ThreadPoolExecutor(arguments.side_by_side) as pool:
        ended = pool.map(lambda job: run_one(job[0], job[1], arguments, known), jobs)
        return list(tqdm(ended, total=len(jobs), desc="label noise", unit="run"))


def run_one(
    setting: Setting, seed: int, arguments: argparse.Namespace, known: Path
) -> NoiseRun | Path:
    """One run to its end; its folder where it failed, with its words in `output.txt`."""
    folder: Path = arguments.root / f"{setting.name}-{arguments.policy}-{arguments.steps}-{seed}"
    command = [
        *(sys.executable, "-m", "rlavr_hpc.run"),
        f"run_dir={folder}",
        f"acquisition={arguments.policy}",
        f"steps={arguments.steps}",
        f"seed={seed}",
        "cluster.threads=1",
        f"cluster.runs_per_node={arguments.side_by_side}",
        *overrides(setting, known, quick=arguments.quick),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "output.txt").write_text(ended.stderr)
        return folder
    return measured(setting, seed, folder, json.loads(known.read_text()))


def measured(setting: Setting, seed: int, folder: Path, truth: dict[str, str]) -> NoiseRun:
    """The figures of a finished run."""
    summary = json.loads((folder / "summary.json").read_text())
    state = read_ledger(folder)
    live = live_spend(folder, read_config(folder).labels, state)
    assert live is not None
    labels = [
        (prompt, purchase.answer)
        for step in state.purchases.values()
        for prompt, purchase in step.items()
        if purchase.answer is not None
    ]
    return NoiseRun(
        setting=setting,
        seed=seed,
        accuracy=summary["accuracy_end"],
        accuracy_start=summary["accuracy_start"],
        labels=len(labels),
        void=state.void,
        wrong=sum(answer.strip() != truth[prompt] for prompt, answer in labels),
        charged=state.cost,
        paid=live.paid,
    )


if __name__ == "__main__":
    sys.exit(main())
