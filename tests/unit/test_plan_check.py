"""The benchmark that holds plans against runs: when it fails, and what it writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import plan_check
from benchmarks.plan_check import Case, Compared


@pytest.mark.parametrize(("estimated", "code"), [(1.19, 0), (0.81, 0), (1.21, 1), (0.79, 1)])
def test_it_fails_above_a_fifth_either_way(
    estimated: float, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def compare(case: Case, work: Path) -> Compared:
        told = 1.0 if case.name != "large hf float32" else estimated
        return Compared(name=case.name, ranks=case.ranks, measured_gib=1.0, estimated_gib=told)

    monkeypatch.setattr(plan_check, "compare", compare)
    monkeypatch.setattr(sys, "argv", ["plan_check", "--out", str(tmp_path / "out.json")])
    assert plan_check.main() == code
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["worst"] == pytest.approx(abs(estimated - 1))
    assert len(written["runs"]) == len(plan_check.CASES)
