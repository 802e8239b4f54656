from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.cli import call
from rlavr_hpc.errors import UserError
from rlavr_hpc.runs.checkpoints import FOLDER, TrainingState, stored_state
from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.tensorboard.events import write_events
from rlavr_hpc.telemetry.wandb.identity import dashboard_of, tags_of
from rlavr_hpc.telemetry.wandb.sections import EXAMPLES, Section, sections
from rlavr_hpc.telemetry.wandb.workspace import build_workspace
from rlavr_hpc.trainer.reporting.outcome import outcome_of, spend_table
from tests.support.commands import rlavr
from tests.support.configs import composed
from tests.support.ledgers import write_run


def known_metrics() -> set[str]:
    texts = {
        value for name, value in vars(names).items() if name.isupper() if isinstance(value, str)
    }
    phases = {names.time_name(phase) for phase in (*names.TIME_PHASES, "other")}
    return texts | phases | {names.eval_name("held_out", "mean", 8), EXAMPLES}


def test_every_plot_shows_metrics_that_runs_report() -> None:
    shown = {m for section in sections() for panel in section.panels for m in panel.metrics}
    assert shown - known_metrics() == set()
    assert [section.name for section in sections()] == [
        "Budget sweep",
        "Collapse",
        "Acquisition",
        "Throughput",
        "Health",
    ]


def model_of(shown: tuple[Section, ...], **where: str | None) -> Any:  # noqa: ANN401
    """The workspace as it is sent."""
    given = {"project": "p", "entity": "e", **where}
    return build_workspace(shown, **given)._to_model()  # type: ignore[arg-type]


def test_the_workspace_holds_every_plot_with_its_metrics_over_steps_grouped_by_policy() -> None:
    model = model_of(sections(samples=4))
    there = model.spec.section.panel_bank_config.sections
    for section, made in zip(sections(samples=4), there, strict=True):
        assert (made.name, len(made.panels)) == (section.name, len(section.panels))
        for panel, drawn in zip(section.panels, made.panels, strict=True):
            if panel.kind == "line":
                config = drawn.config.model_dump(by_alias=True)
                assert config["chartTitle"] == panel.title
                assert (config["metrics"], config["xAxis"]) == (list(panel.metrics), "step")
    assert "eval/held_out/mean@4" in model.model_dump_json(by_alias=True)
    scatter, bar = there[0].panels[1].config, there[0].panels[2].config
    assert (scatter.x_axis, scatter.y_axis) == (
        "summary:labels/total",
        "summary:eval/held_out/mean@4",
    )
    assert bar.metrics == ["eval/held_out/mean@4"]
    assert "examples" in there[2].panels[-1].model_dump_json()
    assert [key.name for key in model.spec.section.run_sets[0].grouping] == [
        "acquisition.value.name",
        "budget.value",
    ]


def test_a_dry_run_says_what_the_view_shows_and_needs_no_login(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(["track", "dashboard", "--project", "p", "--dry-run"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said] == [section.name for section in sections()]


def test_without_the_package_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "wandb_workspaces").mkdir()
    (tmp_path / "wandb_workspaces/__init__.py").write_text("raise ImportError('not there')")
    done = rlavr(
        "track",
        "dashboard",
        "--project",
        "p",
        environment={"PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 2
    assert 'pip install "rlavr-hpc[dashboard]"' in done.stderr


def test_the_spend_of_a_run_is_told_by_step_without_labels_or_prompts(tmp_path: Path) -> None:
    write_run(tmp_path, composed(), {1: ["a", "b", "void1"], 3: ["c"], 4: []})
    assert spend_table(read_ledger(tmp_path)) == (
        "branch,step,allowed,bought,void,cost,total\n0,1,3,2,1,2,2\n0,3,1,1,0,1,3\n"
    )


def test_what_is_stored_with_a_run_is_config_and_spend_and_a_checkpoint_only_if_asked(
    tmp_path: Path,
) -> None:
    config = composed()
    write_run(tmp_path, config, {1: ["a"]})
    folder = tmp_path / FOLDER / "step_1"
    folder.mkdir(parents=True)
    state = TrainingState(
        step=1,
        branch=0,
        attempt=1,
        world_size=1,
        threads=1,
        prompts_fingerprint="p",
        config_hash="c",
    )
    manifest = {"version": 2, "state": stored_state(state), "files": {}}
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    ledger_state, done = (
        read_ledger(tmp_path),
        {"version": 1, "status": "done", "accuracy_end": 0.5},
    )
    outcome = outcome_of(tmp_path, config, ledger_state, done)
    assert [attachment.kind for attachment in outcome.attachments] == ["config", "ledger"]
    assert outcome.summary == {"summary/status": "done", "summary/accuracy_end": 0.5}
    assert "is a" not in repr(outcome), "a label"
    assert outcome == outcome_of(tmp_path, config, read_ledger(tmp_path), done)
    asked = composed("tracking.checkpoints=true")
    *_, last = outcome_of(tmp_path, asked, ledger_state, done).attachments
    assert (last.kind, last.folder) == ("checkpoint", folder)
    stopped = outcome_of(tmp_path, asked, ledger_state, {**done, "status": "stopped"})
    assert stopped.attachments == outcome.attachments


def test_a_run_is_found_by_its_policy_budget_model_engine_and_seed_and_the_users_tags() -> None:
    config = composed("acquisition=care", "rollout=hf", "seed=3", "tracking.tags=[mine,seed:3]")
    assert tags_of(config) == (
        "policy:care",
        "budget:0.2",
        "model:testbed",
        "engine:hf",
        "seed:3",
        "mine",
    )
    other = composed(
        "model=pretrained",
        "model.path=/far/away/Qwen3-4B",
        "data=parquet",
        "data.path=x.parquet",
        "data.holdout=0.1",
    )
    assert "model:Qwen3-4B" in tags_of(other)
    assert dashboard_of(config, "r").tags == tags_of(config)


@pytest.mark.parametrize("tag", ["", "x" * 65])
def test_a_tag_that_the_dashboard_would_refuse_is_a_mistake_at_once(tag: str) -> None:
    with pytest.raises(UserError, match=r"tracking\.tags"):
        composed(f"tracking.tags=['{tag}']")


def events(path: Path) -> Iterator[Any]:
    """The events of a file as TensorBoard's own reader gives them; it checks the checksums."""
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    return iter(LegacyEventFileLoader(str(path)).Load())


def test_tensorboards_own_reader_reads_back_every_row(tmp_path: Path) -> None:
    facts = {"v": 1, "branch": 0, "attempt": 1}
    rows = [
        {**facts, "step": step, "time": 1e9 + step, "a/x": step / 4, "b": 300.0}
        for step in (0, 1, 200)
    ]
    assert write_events(tmp_path / "new/run", rows) == 3
    [path] = (tmp_path / "new/run").iterdir()
    first, restart, *others = events(path)
    assert (path.name.startswith("events.out.tfevents."), first.file_version) == (
        True,
        "brain.Event:2",
    )
    assert (restart.step, restart.session_log.status) == (0, restart.session_log.START)
    told = [(e.step, e.wall_time, {v.tag: v.simple_value for v in e.summary.value}) for e in others]
    assert told == [
        (0, 1e9, {"a/x": 0.0, "b": 300.0}),
        (1, 1e9 + 1, {"a/x": 0.25, "b": 300.0}),
        (200, 1e9 + 200, {"a/x": 50.0, "b": 300.0}),
    ]


def test_events_are_not_written_beside_others_nor_for_a_run_without_a_row(tmp_path: Path) -> None:
    row = {"step": 1, "time": 1.0, "x": 1.0}
    write_events(tmp_path, [row])
    with pytest.raises(UserError, match="holds events already"):
        write_events(tmp_path, [row])
    with pytest.raises(UserError, match="nothing to show"):
        write_events(tmp_path / "other", [])
