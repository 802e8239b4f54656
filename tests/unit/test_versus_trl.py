"""What the benchmark against TRL concludes from its figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import trl_side, versus_trl
from benchmarks.versus_trl_figures import Figures, Measured, Side, misses, ratios, sides, table


def figures(**seconds: float) -> Figures:
    """Steps of one second but for the sides named, e.g. `care_hf_float32=0.5`."""
    found = {}
    for side in sides():
        first = "trl" if side.engine == "trl" else f"{side.policy}_{side.engine}"
        step = seconds.get(f"{first}_{side.dtype}", 1.0)
        found[side] = Measured(seconds=[9.0, step, step], lengths=[10.0, 12.0])
    return found


def test_each_side_counts_in_its_faster_number_format() -> None:
    found = ratios(figures(trl_float32=3.0, trl_bfloat16=4.0, care_hf_float32=0.5))
    assert found == {
        ("care", "hf"): 6.0,
        ("care", "vllm"): 3.0,
        ("full", "hf"): 3.0,
        ("full", "vllm"): 3.0,
    }


def test_the_better_engine_decides_and_both_policies_must_reach_the_target() -> None:
    found = ratios(figures(trl_float32=1.5, trl_bfloat16=1.5, care_vllm_float32=0.1))
    assert misses(found, 12) == []
    assert misses(found, 128) == ["128 tokens, full: 1.50 times TRL, target 3"]
    assert misses(found, 40) == []
    assert misses(ratios(figures()), 12) == [
        "12 tokens, care: 1.00 times TRL, target 1.4",
        "12 tokens, full: 1.00 times TRL, target 1.4",
    ]


def test_the_table_names_every_side_and_the_faster_engine() -> None:
    measured = figures(care_vllm_bfloat16=0.5)
    lines = table(measured, ratios(measured))
    assert sum(line.startswith(("TRL", "hf", "vllm")) for line in lines) == len(sides()) == 10
    assert "care, vllm: 2.00 times as fast as TRL" in lines
    assert lines[-1] == "faster here: rollout=vllm"


def test_a_missed_target_is_told_by_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("trl_python", "write_model", "write_prompts"):
        monkeypatch.setattr(versus_trl, name, lambda *_: tmp_path)
    slow = dict.fromkeys(("trl_float32", "trl_bfloat16"), 1.0)
    monkeypatch.setattr(versus_trl, "_measure_all", lambda *_: figures(**slow))
    out = tmp_path / "out.json"
    monkeypatch.setattr(sys, "argv", ["versus_trl", "--out", str(out)])
    assert versus_trl.main() == 1
    assert "MISSED: 128 tokens, care: 1.00 times TRL, target 3" in capsys.readouterr().out
    told = json.loads(out.read_text())
    assert told["tokens"]["12"]["ratios"]["care hf"] == 1.0
    slow = dict.fromkeys(("trl_float32", "trl_bfloat16"), 3.0)
    assert versus_trl.main() == 0
    assert "every target is met" in capsys.readouterr().out


def test_a_side_that_fails_says_so() -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such model')"]
    with pytest.raises(SystemExit, match=r"(?s)TRL float32 failed with exit code 1.*no such model"):
        versus_trl._run(command, Side(engine="trl", dtype="float32"))


def test_trls_reward_is_the_last_boxed_answer() -> None:
    texts = [r"\boxed{41} then \boxed{42}", r"\boxed{42} then \boxed{41}", "42"]
    assert trl_side.exact_match(texts, ["42", "42", "42"]) == [1.0, 0.0, 0.0]
