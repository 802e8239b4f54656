"""What the design promises about itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 250
"""Lines of a module."""
ROOT_MODULES = {
    "__init__",
    "__main__",
    "cli",
    "errors",
    "io",
    "plugins",
    "run",
    "training_types",
    "types",
}
"""What every part rests on, and the command line. At most ten."""
ROOMS = {
    "rlavr_hpc": {
        "acquisition",
        "answers",
        "cluster",
        "commands",
        "config",
        "data",
        "evaluation",
        "labels",
        "learning",
        "offline",
        "overview",
        "planning",
        "release",
        "rollout",
        "runs",
        "spending",
        "telemetry",
        "testbed",
        "trainer",
    },
    "rlavr_hpc/acquisition": {"policies", "probes"},
    "rlavr_hpc/answers": {"exact", "sandbox", "tasks"},
    "rlavr_hpc/cluster": {"slurm"},
    "rlavr_hpc/labels": {"desk", "sources"},
    "rlavr_hpc/learning": {"losses"},
    "rlavr_hpc/testbed": {"reasoning"},
    "rlavr_hpc/telemetry": {"collapse", "examples", "glossary", "tensorboard", "wandb"},
    "rlavr_hpc/telemetry/collapse": {"alarm"},
    "rlavr_hpc/trainer": {
        "checkpoint",
        "hooks",
        "model_folder",
        "policy",
        "reporting",
        "stages",
    },
    "analysis": {"collapse", "compare", "load", "report", "text"},
    "analysis/report": {"paper"},
}
"""Every folder with code: what stands in it is guessed from its name."""
LIGHT_ROOMS = (
    "cluster",
    "commands",
    "config",
    "labels",
    "offline",
    "overview",
    "planning",
    "runs",
    "spending",
    "telemetry",
)
"""No module in these imports torch; start-up of the commands depends on it."""
LIGHT = (
    "cli",
    "run",
    "plugins",
    "acquisition.buy",
    "acquisition.ledger",
    "acquisition.policies.entropy",
    "answers.verifier",
    "answers.readable_forms",
    "data.asked_form",
    "data.load_split",
    "evaluation.record",
    "evaluation.report",
    "evaluation.statistics",
    "evaluation.test_sets",
    "release.card",
    "release.job",
    "release.staging",
    "trainer.inspection",
    "trainer.inputs",
    "trainer.model_folder.folder",
    "trainer.model_folder.tokens",
    "trainer.reporting.outcome",
)
"""Nor do these."""
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
    "cluster.slurm.commands",
    "runs.find",
    "runs.states",
    "telemetry.collapse.breakage",
    "telemetry.collapse.definition",
    "telemetry.collapse.early_warning",
    "telemetry.collapse.verdict",
    "telemetry.examples.record",
    "telemetry.glossary.entries",
    "telemetry.learning_signal",
    "telemetry.names",
}
"""All that the analysis may take from the package: formats, pure definitions, a run's state."""
VENDORS = {
    "vllm": {"rlavr_hpc/rollout/vllm_engine.py"},
    "deepspeed": {"rlavr_hpc/trainer/policy/deepspeed_policy.py"},
    "httpx": {"rlavr_hpc/labels/http_call.py"},
    "peft": {"rlavr_hpc/trainer/policy/lora.py"},
    "math_verify": {"rlavr_hpc/answers/sandbox/math_verify_reader.py"},
    "jinja2": {
        "rlavr_hpc/data/chat_template.py",
        "rlavr_hpc/labels/desk/pages.py",
        "rlavr_hpc/labels/sources/judge_request.py",
        "rlavr_hpc/release/card.py",
    },
    "tensorboard": {"rlavr_hpc/telemetry/tensorboard/events.py"},
    "wandb": {"rlavr_hpc/telemetry/wandb/connection.py"},
    "wandb_workspaces": {"rlavr_hpc/telemetry/wandb/workspace.py"},
    "submitit": {"rlavr_hpc/cluster/slurm/sbatch_script.py"},
    "huggingface_hub": {"rlavr_hpc/offline/hub.py"},
    "pyarrow": {"rlavr_hpc/data/arrow_rows.py"},
    "starlette": {f"rlavr_hpc/labels/desk/{name}.py" for name in ("answering", "guard", "site")},
    "uvicorn": {"rlavr_hpc/labels/desk/serve.py"},
}


def test_light_modules_import_no_torch() -> None:
    found = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for room in LIGHT_ROOMS
        for path in sorted((ROOT / "rlavr_hpc" / room).rglob("*.py"))
        if path.stem not in ("__init__", "__main__")
    ]
    names = ", ".join([*found, *(f"rlavr_hpc.{name}" for name in LIGHT)])
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


def test_the_layout_is_what_it_says_it_is() -> None:
    found = {
        str(folder.relative_to(ROOT)): {p.name for p in folder.iterdir() if any(p.glob("*.py"))}
        for top in ("rlavr_hpc", "analysis")
        for folder in [ROOT / top, *(p for p in (ROOT / top).rglob("*") if p.is_dir())]
    }
    assert {name: rooms for name, rooms in found.items() if rooms} == ROOMS
    assert {path.stem for path in (ROOT / "rlavr_hpc").glob("*.py")} == ROOT_MODULES


def test_the_root_of_the_package_is_taken_in_at_a_glance() -> None:
    assert len(ROOT_MODULES) <= 10
    assert len(ROOMS["rlavr_hpc"]) <= 20
    assert all((ROOT / "rlavr_hpc" / room / "__init__.py").is_file() for room in ROOMS["rlavr_hpc"])


def body_of_run_step() -> list[ast.AST]:
    tree = ast.parse((ROOT / "rlavr_hpc/trainer/step.py").read_text())
    [function] = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert function.name == "run_step"
    return [node for statement in function.body for node in ast.walk(statement)]


def test_the_step_reads_as_a_pipeline_without_branches() -> None:
    branches = (ast.If, ast.IfExp, ast.While, ast.For, ast.Try, ast.BoolOp, ast.Match)
    assert not [ast.unparse(node) for node in body_of_run_step() if isinstance(node, branches)]


def test_the_step_binds_every_name_once() -> None:
    bound = Counter(
        node.id
        for node in body_of_run_step()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    assert bound["groups"] == 1, "names are found"
    assert [name for name, times in bound.items() if times > 1] == []


def test_the_loop_stays_a_loop() -> None:
    assert len((ROOT / "rlavr_hpc/trainer/loop.py").read_text().splitlines()) <= 150


def test_the_policy_is_known_by_its_protocol_everywhere_but_where_it_is_built() -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "rlavr_hpc").rglob("*.py")
        if "DeepspeedPolicy" in path.read_text()
    }
    assert found == {
        "rlavr_hpc/trainer/build.py",
        "rlavr_hpc/trainer/policy/deepspeed_policy.py",
    }


def test_the_name_of_a_class_stands_in_one_module() -> None:
    places: defaultdict[str, list[str]] = defaultdict(list)
    for folder in ("rlavr_hpc", "analysis"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_no_module_grows_past_its_limit() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in ("rlavr_hpc", "analysis", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > LIMIT
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
