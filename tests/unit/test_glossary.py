"""Every metric is known, once, and the page about them is the one that is made of it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.glossary.entries import GLOSSARY, GROUPS, find
from rlavr_hpc.telemetry.glossary.metric_info import MetricInfo, Reduction
from rlavr_hpc.telemetry.glossary.page import main, page
from rlavr_hpc.telemetry.reduce import Max, Min
from rlavr_hpc.telemetry.response_metrics import group_metrics
from rlavr_hpc.telemetry.step_metrics import advantage_metrics, update_metrics
from tests.support.groups import group
from tests.support.updates import update_of

PAGE = Path(__file__).resolve().parents[2] / "docs/metrics.md"
FAMILIES = {
    "labels/PROBE_loss",
    "eval/SET/mean@N",
    "eval/SET/stderr@N",
    "eval/SET/pass@N",
    "eval/SET/maj@N",
}


def test_every_name_has_one_entry_and_every_entry_a_name() -> None:
    constants = {value for key, value in vars(names).items() if key.isupper() and "/" in value}
    phases = {names.time_name(phase) for phase in names.TIME_PHASES}
    phases |= {names.free_name(phase) for phase in names.MEMORY_PHASES}
    assert Counter(info.name for info in GLOSSARY) == Counter(constants | phases | FAMILIES)
    assert {info.group for info in GLOSSARY} == set(GROUPS)


def test_the_glossary_needs_no_torch() -> None:
    modules = "rlavr_hpc.telemetry.glossary.entries, rlavr_hpc.telemetry.glossary.page"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_name_is_found_also_where_the_run_fills_it_in() -> None:
    assert find("labels/vote_loss") == find("labels/PROBE_loss")
    assert find("eval/held_out/maj@16") == find("eval/SET/maj@N")
    assert find(names.LABELS_TOTAL) != find("labels/PROBE_loss")
    unknown = ("train/lossy", "eval/held_out/maj@", "eval/a/b/mean@2", "labels/_loss", "step")
    assert [find(name) for name in unknown] == [None] * 5


def test_values_are_allowed_inside_the_range_and_a_rounding_beyond() -> None:
    share = MetricInfo(name="a/b", unit="share", low=0.0, high=1.0, meaning="-")
    assert [share.allows(v) for v in (-1e-6, 0.5, 1.000001)] == [True] * 3
    assert [share.allows(v) for v in (-0.1, 1.1)] == [False] * 2
    assert MetricInfo(name="a/b", unit="1", meaning="-").allows(-1e9)


def test_values_merge_as_the_glossary_says() -> None:
    values = {
        **group_metrics([group(["1", "2"])], []),
        **update_metrics(update_of([0.5, 0.1], [0.4, 0.1], [1.0, 1.0])),
        **advantage_metrics([], responses=2),
    }
    kinds = {Max: Reduction.max, Min: Reduction.min}
    for name, value in values.items():
        info = find(name)
        assert info is not None, name
        assert (info.reduction in kinds.values()) == (type(value) in kinds), name
        assert kinds.get(type(value), info.reduction) is info.reduction, name


def test_the_page_in_the_documentation_is_the_generated_one(tmp_path: Path) -> None:
    assert main([str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text() == PAGE.read_text(), (
        "run python -m rlavr_hpc.telemetry.glossary.page docs/metrics.md"
    )


@pytest.mark.parametrize("info", GLOSSARY, ids=lambda info: info.name)
def test_the_page_explains_every_metric_in_a_whole_row(info: MetricInfo) -> None:
    rows = [line for line in page().splitlines() if line.startswith(f"| `{info.name}` |")]
    assert len(rows) == 1
    assert rows[0].replace(r"\|", "").count("|") == 7
    assert info.meaning.endswith(".")
