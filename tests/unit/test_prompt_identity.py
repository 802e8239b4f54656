"""A run goes on with what its model read before: texts, template, tokens and date."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from rlavr_hpc.errors import RlavrError, UserError
from rlavr_hpc.runs.attempts import publish_attempt, token_path
from rlavr_hpc.runs.first_start import FirstStart, first_start
from rlavr_hpc.runs.process_setup import ProcessSetup, check_fits
from rlavr_hpc.runs.provenance import write_provenance
from rlavr_hpc.trainer.checkpoint.changed_inputs import check_labels

READ = {"questions": "q", "template": "t", "tokens": "i", "held_out": "h", "tasks": "k"}
BEFORE = ProcessSetup(world_size=1, threads=2, prompts_fingerprint="q", prompts=READ)


def now(fingerprint: str = "q", **changed: str) -> ProcessSetup:
    return replace(BEFORE, prompts_fingerprint=fingerprint, prompts={**READ, **changed})


@pytest.mark.parametrize(
    ("fingerprint", "changed", "message"),
    [
        ("r", {"questions": "r", "tokens": "j"}, "another file, or another filter"),
        ("r", {"questions": "r", "template": "u", "tokens": "j"}, "another file"),
        ("q", {"template": "u", "tokens": "j"}, "chat template is not the one this run began"),
        ("r", {"template": "u", "tokens": "j"}, "chat template is not the one"),
        ("q", {"tokens": "j"}, "tokenizer is not the one this run began with"),
        ("r", {"tokens": "j"}, "tokenizer is not the one"),
        ("q", {"tokens": "j", "held_out": "i"}, "tokenizer is not the one"),
        ("q", {"held_out": "i"}, "held-out prompts are not those"),
        ("q", {"template": "u", "held_out": "i"}, "chat template is not the one"),
        ("q", {"tasks": "u"}, "do not have the tasks that they had"),
    ],
)
def test_what_changed_is_refused_by_its_name(
    fingerprint: str, changed: dict[str, str], message: str
) -> None:
    after = now(fingerprint, **changed)
    with pytest.raises(UserError, match=message) as told:
        check_fits(BEFORE, after, allowed=frozenset())
    assert "allow_change=[data]" in str(told.value)
    check_fits(BEFORE, after, allowed=frozenset({"data"}))


def test_an_edit_of_the_template_that_no_prompt_shows_is_no_change() -> None:
    check_fits(BEFORE, now(template="u"), allowed=frozenset())
    check_fits(BEFORE, now(date="2026-11-30T10:00:00+00:00"), allowed=frozenset())


def test_a_run_of_version_0_1_is_held_to_its_texts_alone() -> None:
    old = replace(BEFORE, prompts={})
    check_fits(old, now(tokens="j", template="u"), allowed=frozenset())
    with pytest.raises(UserError, match="another file"):
        check_fits(old, now("r"), allowed=frozenset())


LOCAL = datetime(2026, 11, 30, 23, 59, 59, 900000, tzinfo=timezone(timedelta(hours=2)))


def publish(run_dir: Path, *, after: int = 0, **facts: object) -> None:
    assert publish_attempt(run_dir, resumed_from=0, after=after, **facts)


def test_a_run_that_begins_now_writes_the_present_date(tmp_path: Path) -> None:
    found = first_start(tmp_path / "none", now=LOCAL)
    assert found == FirstStart(moment=LOCAL.replace(microsecond=0))


def test_every_later_start_writes_the_date_of_the_first(tmp_path: Path) -> None:
    date = "2026-11-30T23:59:59+02:00"
    setup = {"world_size": 1, "threads": 1, "prompts_fingerprint": "q"}
    publish(tmp_path, setup={**setup, "prompts": {**READ, "date": date}})
    publish(tmp_path, after=1, setup=None, reason="rollback")
    publish(tmp_path, after=2, setup={**setup, "prompts": {**READ, "date": "2027-01-01T00:00:00"}})
    found = first_start(tmp_path, now=LOCAL + timedelta(days=9))
    assert found == FirstStart(moment=datetime.fromisoformat(date))


def test_a_run_of_version_0_1_keeps_its_first_date_and_its_stop_tokens(tmp_path: Path) -> None:
    setup = {"world_size": 1, "threads": 1, "prompts_fingerprint": "q"}
    publish(tmp_path, setup=setup, started="2026-11-28T10:00:00+00:00")
    found = first_start(tmp_path, now=LOCAL)
    assert found.moment == datetime(2026, 11, 28, 10, tzinfo=UTC)
    assert not found.stops_at_turn_end
    assert found.by_older_version


def test_a_start_that_knew_no_tasks_is_held_to_none() -> None:
    old = replace(BEFORE, prompts={key: READ[key] for key in READ if key != "tasks"})
    check_fits(old, now(), allowed=frozenset())


def begun(run_dir: Path, prompts: dict[str, str]) -> None:
    publish(
        run_dir,
        setup={"world_size": 1, "threads": 1, "prompts_fingerprint": "q", "prompts": prompts},
    )
    write_provenance(run_dir, 1, {"data": {"labels_fingerprint": "a"}})


def test_version_0_1_does_not_go_on_with_other_labels_unasked(tmp_path: Path) -> None:
    begun(tmp_path, {})
    check_labels(tmp_path, 1, {"labels_fingerprint": "a"})
    with pytest.raises(UserError, match=r"version 0\.1 began .*allow_change=\[data\]"):
        check_labels(tmp_path, 1, {"labels_fingerprint": "b"})
    check_labels(tmp_path, 1, {"labels_fingerprint": "b"}, allowed={"data"})


def test_other_labels_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("rlavr_hpc"), "propagate", True)
    begun(tmp_path, READ)
    check_labels(tmp_path, 1, {"labels_fingerprint": "a"})
    check_labels(tmp_path, 0, {"labels_fingerprint": "b"})
    assert caplog.text == ""
    check_labels(tmp_path, 1, {"labels_fingerprint": "b"})
    assert "not those that the last start read" in caplog.text


def test_a_date_that_is_none_is_an_error_with_its_file(tmp_path: Path) -> None:
    publish(tmp_path, setup={"prompts": {"date": "yesterday"}})
    with pytest.raises(RlavrError, match=r"attempts/1\.json: not a date"):
        first_start(tmp_path)
    token = token_path(tmp_path, 1)
    values = json.loads(token.read_text())
    token.write_text(json.dumps({**values, "setup": None, "started": "yesterday"}))
    with pytest.raises(RlavrError, match=r"attempts/1\.json: not a date"):
        first_start(tmp_path)
