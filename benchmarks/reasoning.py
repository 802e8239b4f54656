"""`python -m benchmarks.reasoning [MODEL ...]`: what a model of `data=reasoning` believes, by kind.

MODEL is a run's folder or `base`, the model before training (the default). Each answers held-out
puzzles of every kind eight times through `rlavr evaluate`; a table says how often it is right, how
often its vote is, how often it gives the likeliest wrong answer, and how long its responses are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlavr_hpc.config.data import DataConfig
from rlavr_hpc.config.model import ModelConfig, ModelSource
from rlavr_hpc.testbed.model_cache import ensure_base_model
from rlavr_hpc.testbed.questions import BeliefKind
from rlavr_hpc.testbed.reasoning.dataset import ReasoningPuzzle, make_puzzles
from rlavr_hpc.testbed.reasoning.language import make_language
from rlavr_hpc.testbed.reasoning.wording import NAMES, roles_of
from rlavr_hpc.testbed.recipes import recipe_of

HOPEFUL, HOPELESS = 288, 192
"""Held-out puzzles that are honest or misbelieved; training puzzles of which a quarter is
hopeless, and only these are asked."""
SAMPLES, RESPONSE_TOKENS = 8, 72
STEPS = ModelConfig(source=ModelSource.reasoning).pretrain_steps
KINDS: Mapping[str, tuple[BeliefKind, bool | None]] = {
    "honest, sensitive": (BeliefKind.HONEST, False),
    "honest, harmless": (BeliefKind.HONEST, True),
    "misbelieved": (BeliefKind.MISBELIEVED, None),
    "hopeless": (BeliefKind.HOPELESS, None),
}


def main() -> int:
    """Evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["base"], metavar="MODEL")
    parser.add_argument("--data-seed", type=int, default=0, help="of the language and its puzzles")
    parser.add_argument("--pretrain-steps", type=int, default=STEPS)
    given = parser.parse_args()
    puzzles = puzzles_asked(given.data_seed)
    print("| model | kind | accuracy | vote right | likeliest wrong answer | tokens |")
    print("|---|---|---|---|---|---|")
    for name in given.models:
        model = Path(name)
        if name == "base":
            source = ModelConfig(source=ModelSource.reasoning, pretrain_steps=given.pretrain_steps)
            recipe = recipe_of(source, DataConfig(seed=given.data_seed))
            model = ensure_base_model(recipe, quiet=False)
        for row in rows_of(puzzles, answered(model, puzzles)):
            print(f"| {name} | {' | '.join(row)} |", flush=True)
    return 0


def puzzles_asked(seed: int) -> tuple[ReasoningPuzzle, ...]:
    """The held-out puzzles of a run's own evaluation, and hopeless ones."""
    language = make_language(seed)
    hopeful = make_puzzles(language, count=HOPEFUL, seed=seed, held_out=True)
    others = make_puzzles(language, count=HOPELESS, seed=seed, held_out=False)
    return (*hopeful, *(p for p in others if p.kind is BeliefKind.HOPELESS))


def answered(model: Path, puzzles: Sequence[ReasoningPuzzle]) -> dict[str, dict[str, Any]]:
    """What `rlavr evaluate` records of each puzzle."""
    with tempfile.TemporaryDirectory() as work:
        data, out = Path(work) / "puzzles.jsonl", Path(work) / "out"
        rows = [
            {"id": p.id, "prompt": p.text, "answer": p.label, "data_source": "knights"}
            for p in puzzles
        ]
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        command = [sys.executable, "-m", "rlavr_hpc", "evaluate", str(model), "--on", str(data)]
        options = {
            "--samples": SAMPLES,
            "--temperature": 1,
            "--top-p": 1,
            "--max-response-tokens": RESPONSE_TOKENS,
            "--engine": "hf",
            "--dtype": "float32",
            "--threads": 1,
            "--out": out,
        }
        given = [str(part) for option in options.items() for part in option]
        subprocess.run([*command, *given], check=True, stdout=subprocess.DEVNULL)
        _, *lines = (out / "puzzles.jsonl").read_text().splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def rows_of(
    puzzles: Sequence[ReasoningPuzzle], results: Mapping[str, Mapping[str, Any]]
) -> Iterable[list[str]]:
    """A row for each kind, then one for all that accuracy is reported on."""
    for name, (kind, harmless) in KINDS.items():
        some = [p for p in puzzles if p.kind is kind and harmless in (None, p.harmless)]
        yield _row(name, some, results)
    hopeful = [p for p in puzzles if p.kind is not BeliefKind.HOPELESS]
    yield _row("honest and misbelieved", hopeful, results)


def _row(
    name: str, puzzles: Sequence[ReasoningPuzzle], results: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    found = [(p, results[p.id]) for p in puzzles]
    right = _mean(row["correct"] for _, row in found)
    vote = sum(row["vote"] is not None and row["correct"][row["vote"]] for _, row in found)
    believed = _mean(
        [answer == _likeliest_wrong(p) for answer in row["answers"]] for p, row in found if p.law
    )
    length = _mean(row["tokens"] for _, row in found)
    wrong = f"{believed:.2f}" if any(p.law for p in puzzles) else "-"
    return [name, f"{right:.2f}", f"{vote / len(found):.2f}", wrong, f"{length:.0f}"]


def _likeliest_wrong(puzzle: ReasoningPuzzle) -> str | None:
    """In the form that task `knights` reads; None where no wrong answer leads the others."""
    chances = [0.0 if w == puzzle.truth else p for w, p in enumerate(puzzle.law)]
    best = max(range(len(chances)), key=chances.__getitem__)
    if sorted(chances)[-2] > chances[best] - 1e-9:
        return None
    pairs = zip(NAMES, roles_of(best, puzzle.people), strict=False)
    return ";".join(f"{name}={role}" for name, role in pairs)


def _mean(lists: Iterable[Sequence[float]]) -> float:
    values = [float(value) for row in lists for value in row]
    return sum(values) / len(values) if values else 0.0


if __name__ == "__main__":
    raise SystemExit(main())
