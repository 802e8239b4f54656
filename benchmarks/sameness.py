"""Whether two runs of the same config ended alike, and the first thing that differs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.telemetry.sinks import read_metrics

Reader = Callable[[Path], Any]
APART = ("time", "perf/", "sys/", "attempt")
"""Beginnings of what may differ between identical runs."""


def first_difference(
    run: Path, reference: Path, *, step: int, besides: Sequence[str] = ()
) -> str | None:
    """The first thing in which `run` is not `reference`, or None.

    Args:
        run: folder of a finished run.
        reference: folder of an uninterrupted one.
        step: the last of both, whose checkpoint is compared.
        besides: metrics that may differ.
    """
    readers: list[tuple[str, Reader]] = [
        ("steps done", lambda folder: json.loads((folder / "DONE.json").read_text())["steps"]),
        ("labels bought", _labels_bought),
        ("decisions", lambda folder: dict(sorted(read_ledger(folder).decisions.items()))),
        ("labels", _labels),
        ("metrics", partial(_rows, besides=besides)),
        ("shards", lambda folder: _shards(folder, step)),
        *((name, partial(_load, step=step, name=name)) for name in _shards(reference, step)),
        ("acquisition.pt", partial(_load, step=step, name="acquisition.pt")),
    ]
    try:
        for what, read in readers:
            if (found := unequal(read(run), read(reference))) is not None:
                return f"{what}{found}"
    except (RlavrError, OSError, ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _labels_bought(run: Path) -> int:
    return int(json.loads((run / "summary.json").read_text())["labels_bought"])


def _labels(run: Path) -> dict[Any, list[tuple[str, str | None, float]]]:
    """By prompt: answers of a live source settle in the order in which they come."""
    ledger_state = read_ledger(run)
    return {
        key: sorted((prompt, bought.answer, bought.cost) for prompt, bought in step.items())
        for key, step in ledger_state.purchases.items()
    }


def _load(run: Path, *, step: int, name: str) -> Any:  # noqa: ANN401
    """A file of a checkpoint; these runs' own, so that it may be unpickled."""
    return torch.load(_at(run, step) / name, weights_only=False)


def _at(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step_{step}"


def _shards(run: Path, step: int) -> list[str]:
    return sorted(str(p.relative_to(_at(run, step))) for p in _at(run, step).glob("shards/*.pt"))


def _rows(run: Path, *, besides: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    return {
        f"{row['branch']}/{row['step']}": {
            k: v for k, v in row.items() if not k.startswith(APART) and k not in besides
        }
        for row in read_metrics(run)
    }


def unequal(mine: Any, its: Any) -> str | None:  # noqa: ANN401
    """Where two nested values differ in any bit, as `[key][key]: mine != its`; None where not."""
    if type(mine) is not type(its):
        return f": {type(mine).__name__} != {type(its).__name__}"
    if isinstance(mine, torch.Tensor):
        return _unequal_tensors(mine, its)
    if isinstance(mine, dict):
        keys = list(its)
        if sorted(map(str, mine)) != sorted(map(str, keys)):
            return f": keys {sorted(map(str, set(mine) ^ set(its)))[:5]} stand on one side only"
        return _first_of((f"[{key}]", mine[key], its[key]) for key in keys)
    if isinstance(mine, list | tuple):
        if len(mine) != len(its):
            return f": {len(mine)} values != {len(its)}"
        return _first_of((f"[{n}]", *pair) for n, pair in enumerate(zip(mine, its, strict=True)))
    return None if repr(mine) == repr(its) else f": {mine!r} != {its!r}"


def _first_of(triples: Iterator[tuple[str, Any, Any]]) -> str | None:
    for name, mine, its in triples:
        if (found := unequal(mine, its)) is not None:
            return f"{name}{found}"
    return None


def _unequal_tensors(mine: torch.Tensor, its: torch.Tensor) -> str | None:
    if mine.dtype != its.dtype or mine.shape != its.shape:
        return f": {mine.dtype}{tuple(mine.shape)} != {its.dtype}{tuple(its.shape)}"
    bits = [t.detach().contiguous().reshape(-1).view(torch.uint8) for t in (mine, its)]
    if torch.equal(*bits):
        return None
    gap = (mine.double() - its.double()).abs().max().item()
    return f": values differ by up to {gap:.3g}"
