"""The benchmark of large ledgers makes what runs make, and the past of a step is what it was."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks import scale_ledger
from benchmarks.scale import measure_verify
from rlavr_hpc.acquisition.ledger import FOLDER, read_ledger
from rlavr_hpc.acquisition.ledger_lines import chain_line
from rlavr_hpc.acquisition.ledger_state import LedgerState
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.runs.attempts import read_attempts
from rlavr_hpc.runs.folder import read_config
from rlavr_hpc.spending.verify_ledger import prove
from rlavr_hpc.types import StepKey

RECORDS = 30 * scale_ledger.LINES
LABELS = 30 * scale_ledger.LABELS
ROOT = Path(__file__).parents[2]


def raw(run_dir: Path) -> bytes:
    files = sorted((run_dir / FOLDER).iterdir(), key=lambda path: int(path.stem))
    return b"".join(path.read_bytes() for path in files)


def test_the_fast_writer_yields_the_lines_of_the_product_in_sealed_segments(tmp_path: Path) -> None:
    made = scale_ledger.make(tmp_path / "made", RECORDS)
    bought = scale_ledger.append(tmp_path / "bought", RECORDS)
    assert made["records"] == bought["records"] == RECORDS
    assert raw(tmp_path / "made") == raw(tmp_path / "bought")
    assert len(read_attempts(tmp_path / "made")) == scale_ledger.ATTEMPTS
    assert bought["bytes_per_record"] == len(raw(tmp_path / "bought")) / RECORDS
    proof = prove(tmp_path / "made", read_config(tmp_path / "made"))
    assert (proof.ledger_state.lines, proof.ledger_state.bought) == (RECORDS, LABELS)


def test_one_record_changed_fails_the_proof(tmp_path: Path) -> None:
    scale_ledger.make(tmp_path, RECORDS)
    path = tmp_path / FOLDER / "3.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[7] = re.sub(rb'"label":"\d', b'"label":"x', lines[7])
    path.write_bytes(b"".join(lines))
    with pytest.raises(RlavrError, match=r"3\.jsonl:8: the hash does not match"):
        prove(tmp_path, read_config(tmp_path))


def test_opening_and_one_more_step_go_on_behind_what_was_bought(tmp_path: Path) -> None:
    scale_ledger.append(tmp_path, RECORDS)
    assert scale_ledger.open_again(tmp_path, RECORDS)["records"] == RECORDS
    more = scale_ledger.one_step(tmp_path, RECORDS)
    assert more["records"] == RECORDS + scale_ledger.STEPS * scale_ledger.LINES
    assert prove(tmp_path, read_config(tmp_path)).ledger_state.lines == more["records"]


def test_a_part_tells_seconds_memory_and_bytes_of_its_process(tmp_path: Path) -> None:
    [figure] = measure_verify(tmp_path, 10**4)
    assert figure.size == 1000
    assert figure.more["valid"] is True
    assert figure.more["lines"] == 72 * scale_ledger.LINES
    assert figure.size_bytes == len(raw(tmp_path / "made"))
    assert figure.seconds > 0
    assert figure.peak_mib > 10


def in_full(
    ledger_state: LedgerState, step_key: StepKey
) -> tuple[int, int, dict[str, str], set[str]]:
    """(asked, bought, labels, void) before a place, by a walk through everything."""
    pairs = [
        pair
        for key in sorted(ledger_state.purchases)
        if key < (step_key.branch, step_key.step)
        for pair in ledger_state.purchases[key].items()
    ]
    labels = {prompt: p.answer for prompt, p in pairs if p.answer is not None}
    void = {prompt for prompt, p in pairs if p.answer is None}
    return len(pairs), sum(p.answer is not None for _, p in pairs), labels, void


def test_the_past_is_right_in_whatever_order_places_are_asked_for(tmp_path: Path) -> None:
    scale_ledger.append(tmp_path, RECORDS)
    ledger_state = read_ledger(tmp_path)
    step_key = StepKey(seed=1, step=31)
    row = {"kind": "intent", "prompts": ["a", "b"], "quota": 2}
    for rows in ([row], [{"kind": "void", "prompt": "a", "cost": 0.0}]):
        for line in chain_line(rows, step_key, head=ledger_state.head, number=ledger_state.lines):
            ledger_state.enter(line, "here")
    for branch, step in ((0, 5), (0, 40), (0, 32), (0, 31), (0, 1), (1, 2), (0, 30)):
        here = StepKey(seed=1, step=step, branch=branch)
        asked, bought, labels, void = in_full(ledger_state, here)
        past = ledger_state.before(here)
        assert (past.asked, past.bought, past.void) == (asked, bought, void)
        assert {prompt: p.answer for prompt, p in past.labels.items()} == labels
        assert ledger_state.bought_until(here) == ledger_state.until(here).bought
    ledger_state.before(StepKey(seed=1, step=40))
    late = [{"kind": "commit", "prompt": "b", "label": "7", "cost": 1.0}]
    for line in chain_line(late, step_key, head=ledger_state.head, number=ledger_state.lines):
        ledger_state.enter(line, "here")  # the open intent of a step that the past has taken in
    assert ledger_state.before(StepKey(seed=1, step=40)).labels["b"].answer == "7"
    assert ledger_state.asked_until(StepKey(seed=1, step=31)) == LABELS + 2


def test_measured_figures_of_the_document_are_those_of_the_results() -> None:
    """`**12.3 s** <!-- what size key -->` stands beside every measured figure."""
    figures = json.loads((ROOT / "benchmarks/results/scale.json").read_text())["figures"]
    told = re.findall(
        r"\*\*([\d,.]+)[^*]*\*\* ?<!-- (.+?) (\w+) -->", (ROOT / "docs/scaling.md").read_text()
    )
    assert told
    for value, name, key in told:
        figure = figures[name]
        measured = figure[key] if key in figure else figure["more"][key]
        digits = len(value.partition(".")[2])
        assert float(value.replace(",", "")) == pytest.approx(
            measured, abs=0.5 * 10**-digits * 1.001
        )
