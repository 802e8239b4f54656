"""Where a run stands on the dashboard is the config's to say, and is checked before a start."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from rlavr_hpc.config.tracking import Tracking, TrackingConfig, check_dashboard
from rlavr_hpc.errors import UserError
from rlavr_hpc.runs.folder import single_run_dir, sweep_run_dir
from rlavr_hpc.telemetry.wandb.environment import (
    RUN_VARIABLES,
    drop_run_variables,
    without_run_variables,
)
from tests.support.configs import composed


def offline(project: str = "sums", entity: str | None = None) -> TrackingConfig:
    return TrackingConfig(kind=Tracking.offline, project=project, entity=entity)


@pytest.mark.parametrize(
    ("project", "said"),
    [
        ("our team/sums", "with /"),
        ("a\\b", r"with \\"),
        ("a#1", "with #"),
        ("a?", r"with \?"),
        ("100%", "with %"),
        ("a:b", "with :"),
        ("a\nb", r"with \\n"),
        ("", "must be a name"),
        ("  ", "must be a name"),
        (" sums", "without spaces around"),
        ("x" * 129, "has 129 characters; wandb takes at most 128"),
    ],
)
def test_a_project_that_wandb_would_refuse_is_refused_before_the_start(
    project: str, said: str
) -> None:
    with pytest.raises(UserError, match=f"tracking.project=.*{said}"):
        check_dashboard(offline(project=project), group="run")


@pytest.mark.parametrize("project", ["sums", "our team", "x" * 128, "größe_1-2.3", "a&b"])
def test_what_wandb_takes_is_taken(project: str) -> None:
    check_dashboard(offline(project=project, entity="our-team"), group="run")


@pytest.mark.parametrize("entity", ["our team", "a/b", "", "x" * 129])
def test_an_entity_is_checked_too(entity: str) -> None:
    with pytest.raises(UserError, match=r"tracking\.entity="):
        check_dashboard(offline(entity=entity), group="run")


def test_the_group_is_the_runs_name_and_is_checked_too() -> None:
    with pytest.raises(UserError, match=r"^name='x+' has 129 characters"):
        check_dashboard(offline(), group="x" * 129)


@pytest.mark.parametrize("kind", [Tracking.none, Tracking.tensorboard])
def test_without_wandb_any_project_will_do(kind: Tracking) -> None:
    check_dashboard(TrackingConfig(kind=kind, project="a/b"), group="run")


@pytest.mark.parametrize("value", ["a/b", "a\\b", "a#b", "a?b", "a%b", "a:b", "x" * 129])
def test_the_rules_are_those_of_the_library(value: str) -> None:
    wandb = pytest.importorskip("wandb")
    with pytest.raises(wandb.errors.UsageError):
        wandb.Settings(project=value)
    assert wandb.Settings(project="our team").project == "our team"


def test_a_start_refuses_such_a_project_although_its_config_can_be_read(tmp_path: Path) -> None:
    config = composed("tracking=offline", "tracking.project=a/b", f"root={tmp_path}")
    for folder_of in (single_run_dir, sweep_run_dir):
        with pytest.raises(UserError, match=r"tracking\.project='a/b'"):
            folder_of(config)


def test_another_runs_place_is_taken_out_of_the_environment_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    environ = dict.fromkeys(RUN_VARIABLES, "x") | {"WANDB_API_KEY": "k", "PATH": "/bin"}
    with caplog.at_level(logging.WARNING):
        assert drop_run_variables(environ) == RUN_VARIABLES
        assert drop_run_variables(environ) == ()
    assert environ == {"WANDB_API_KEY": "k", "PATH": "/bin"}
    [record] = caplog.records
    assert "WANDB_SWEEP_ID" in record.getMessage()
    assert "WANDB_RUN_GROUP" in record.getMessage()


def test_wandbs_own_command_gets_the_rest_of_the_environment() -> None:
    environ = {"WANDB_RUN_ID": "other", "WANDB_BASE_URL": "http://here", "HOME": "/h"}
    assert without_run_variables(environ) == {"WANDB_BASE_URL": "http://here", "HOME": "/h"}
    assert environ["WANDB_RUN_ID"] == "other"
