"""What the design promises about itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIGHT = (
    "config.run",
    "runs.identity",
    "commands.grade",
    "types",
    "io",
    "runs.attempts",
    "runs.folder",
    "commands.ledger",
    "run",
    "plugins",
    "acquisition.buy",
    "answers.verifier",
    "telemetry.sinks",
    "cluster.launcher",
    "data.sources",
    "acquisition.ledger",
    "acquisition.policies.entropy",
    "commands.evaluate",
    "evaluation.statistics",
    "evaluation.test_sets",
    "evaluation.record",
    "evaluation.report",
    "runs.checkpoints",
    "runs.branches",
    "commands.rollback",
    "spending.report",
    "spending.verification",
    "runs.find",
    "commands.status",
    "commands.logs",
    "commands.cancel",
    "commands.start_now",
    "commands.why",
    "commands.doctor",
    "overview.status_table",
    "overview.failure_causes",
    "runs.states",
    "cluster.slurm.cancel",
    "cluster.slurm.launch",
    "cluster.slurm.job_end",
    "cluster.slurm.resubmit",
    "commands.retry",
    "commands.export",
    "release.card",
    "release.job",
    "release.staging",
    "commands.fetch",
    "offline.hub",
    "offline.missing_inputs",
    "cluster.job_caches",
    "commands.track",
    "telemetry.wandb.files",
    "telemetry.wandb.sink",
    "telemetry.wandb.sync",
    "telemetry.wandb.connection",
    "telemetry.wandb.rows",
    "telemetry.wandb.rebuild",
    "telemetry.examples.record",
    "telemetry.examples.table",
    "telemetry.wandb.sections",
    "telemetry.wandb.workspace",
    "telemetry.tensorboard",
    "telemetry.wandb.identity",
    "trainer.reporting.outcome",
    "commands.plan",
    "planning.shape",
    "planning.hardware",
    "planning.memory",
    "planning.duration",
    "planning.fit",
    "planning.report",
    "planning.adapters",
    "cluster.overrides",
)
ANALYSIS_VENDORS = {
    "plotly": {"analysis/report/page_html.py"},
    "jinja2": {"analysis/text/templates.py"},
    "matplotlib": {f"analysis/report/paper/{name}.py" for name in ("curves", "figures", "style")},
    "rich": {"analysis/report/terminal.py"},
    "ruptures": {"analysis/collapse/change_points.py"},
    "scipy": {"analysis/compare/resampling.py"},
    "orjson": {"analysis/load/segments.py"},
    "pyarrow": {"analysis/report/tables.py"},
    "starlette": {"analysis/report/watch.py"},
    "uvicorn": {"analysis/report/watch.py"},
}
ANALYSIS_READS = {
    "runs.attempts",
    "errors",
    "runs.identity",
    "io",
    "runs.find",
    "telemetry.collapse.definition",
    "telemetry.collapse.early_warning",
    "telemetry.examples.record",
    "telemetry.glossary.entries",
    "telemetry.names",
}
"""All that the analysis may take from the package: formats and pure definitions."""
VENDORS = {
    "vllm": {"rlavr_hpc/rollout/vllm_engine.py"},
    "deepspeed": {"rlavr_hpc/trainer/policy/deepspeed_policy.py"},
    "peft": {"rlavr_hpc/trainer/policy/lora.py"},
    "math_verify": {"rlavr_hpc/answers/sandbox/math_verify_reader.py"},
    "jinja2": {"rlavr_hpc/release/card.py"},
    "tensorboard": {"rlavr_hpc/telemetry/tensorboard/events.py"},
    "wandb": {"rlavr_hpc/telemetry/wandb/connection.py"},
    "wandb_workspaces": {"rlavr_hpc/telemetry/wandb/workspace.py"},
    "submitit": {"rlavr_hpc/cluster/slurm/script.py"},
    "huggingface_hub": {"rlavr_hpc/offline/hub.py"},
    "pyarrow": {"rlavr_hpc/data/tables.py"},
}


def test_light_modules_import_no_torch() -> None:
    names = ", ".join(f"rlavr_hpc.{name}" for name in LIGHT)
    code = f"import sys, {names}; print([m for m in ('torch', 'vllm') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_vendor_is_imported_in_one_file(vendor: str) -> None:
    pattern = re.compile(rf"^\s*(?:import|from) {vendor}\b", re.MULTILINE)
    package = ROOT / "rlavr_hpc"
    found = {
        str(path.relative_to(ROOT))
        for path in package.rglob("*.py")
        if pattern.search(path.read_text())
    }
    assert found == VENDORS[vendor]


@pytest.mark.parametrize("vendor", ANALYSIS_VENDORS)
def test_a_vendor_is_imported_in_one_file_of_the_analysis(vendor: str) -> None:
    pattern = re.compile(rf"^\s*(?:import|from) {vendor}\b", re.MULTILINE)
    files = (ROOT / "analysis").rglob("*.py")
    found = {str(path.relative_to(ROOT)) for path in files if pattern.search(path.read_text())}
    assert found == ANALYSIS_VENDORS[vendor]


def test_the_analysis_reads_formats_and_the_package_knows_nothing_of_it() -> None:
    taken = {
        module if not below or f"{module}.{below}" not in ANALYSIS_READS else f"{module}.{below}"
        for path in (ROOT / "analysis").rglob("*.py")
        for module, below in re.findall(
            r"^\s*from rlavr_hpc\.?([\w.]*) import (\w+)", path.read_text(), re.MULTILINE
        )
    }
    assert taken <= ANALYSIS_READS
    pattern = re.compile(r"^\s*(?:import|from) analysis\b", re.MULTILINE)
    sources = (path.read_text() for path in (ROOT / "rlavr_hpc").rglob("*.py"))
    assert not any(pattern.search(source) for source in sources)


def test_the_step_reads_as_a_pipeline_without_branches() -> None:
    source = (ROOT / "rlavr_hpc/trainer/step.py").read_text()
    body = source.split("def run_step")[1].split("\ndef ")[0]
    assert not re.search(r"^\s+(if|elif|else|while)\b", body, re.MULTILINE)


def test_no_module_grows_past_its_limit() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("rlavr_hpc", "analysis")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > 320
    }
    assert long == {}


def markdown_links() -> list[tuple[Path, str]]:
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "slurm").glob("*.md")]
    return [
        (file, target)
        for file in files
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", file.read_text())
        if "://" not in target
    ]


def test_every_local_link_in_the_documentation_leads_somewhere() -> None:
    broken = [
        (f.name, target) for f, target in markdown_links() if not (f.parent / target).exists()
    ]
    assert broken == []


def test_no_placeholder_is_left_in_the_documentation() -> None:
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    assert not [f.name for f in files if re.search(r"@[A-Z]+@|TODO|FIXME", f.read_text())]
