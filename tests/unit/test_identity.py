"""What names a run: registered names and settings, never an import path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlavr_hpc import plugins
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.plugins import changed_sources, plugin_facts, shipped_targets
from rlavr_hpc.runs.folder import StartKind, check_start, single_run_dir, sweep_run_dir
from rlavr_hpc.runs.identity import (
    changed_keys,
    from_dict,
    hash8,
    hash8_v1,
    hash_of_folder,
    identity,
    is_hash_of,
    to_dict,
)
from rlavr_hpc.runs.identity_v1 import TARGETS
from tests.support.configs import composed

OWN = ("reward.name=mine", "reward.target=mine.reward:Mine")


def test_no_import_path_is_part_of_a_runs_identity() -> None:
    config = composed("algorithm=gspo", "reward=self_certainty", *OWN)
    assert not [key for key in identity(config) if key.endswith("target")]
    elsewhere = replace(config, reward=replace(config.reward, target="moved.there:Mine"))
    assert hash8(elsewhere) == hash8(config)
    assert changed_keys(config, elsewhere) == {}


def test_a_class_that_moves_in_the_program_renames_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    before = composed()
    written, name = to_dict(before), hash8(before)
    moved = "rlavr_hpc.rewards.of_votes:VoteReward"

    def shipped(group: str) -> dict[str, str]:
        return {**shipped_targets(group), **({"vote": moved} if group == "reward" else {})}

    monkeypatch.setattr("rlavr_hpc.plugins.shipped_targets", shipped)
    monkeypatch.setattr("rlavr_hpc.runs.identity.shipped_targets", shipped)
    after = from_dict(written)
    assert after.reward.target == moved
    assert hash8(after) == name
    assert changed_keys(before, after) == {}


def test_names_and_settings_of_plugins_are_part_of_it() -> None:
    names = [
        composed(),
        composed(*OWN),
        composed(*OWN, "+reward.settings.scale=2"),
        composed("reward.name=other", OWN[1]),
        composed("acquisition=random"),
        composed("acquisition.settings.gate=0.5"),
        composed("algorithm=gspo"),
    ]
    assert len({hash8(config) for config in names}) == len(names)


def test_what_a_wrong_vote_trains_names_a_run_and_by_default_its_name_is_as_before() -> None:
    asked = ("labels=people", "labels.ask=verdict")
    before, against = composed(*asked), composed(*asked, "labels.on_wrong=negative")
    assert not [key for key in identity(before) if key.endswith("on_wrong")]
    assert changed_keys(before, against) == {"labels.on_wrong": ("drop", "negative")}
    assert hash8(before) != hash8(against)


def test_what_else_is_known_of_a_plugin_does_not_count() -> None:
    config = composed()
    told = replace(config, acquisition=replace(config.acquisition, default_budget=0.7))
    assert hash8(told) == hash8(config)


@pytest.mark.parametrize(
    ("key", "name"), [("reward", "vote"), ("acquisition", "care"), ("algorithm.loss", "grpo")]
)
def test_a_class_of_ones_own_may_not_go_by_a_shipped_name(key: str, name: str) -> None:
    config = composed(f"{key}.target=mine.module:Mine")
    with pytest.raises(UserError, match=rf"{key}\.name=\.\.\.") as told:
        single_run_dir(config)
    assert f"goes by the name '{name}'" in str(told.value)
    with pytest.raises(UserError, match="a name of its own"):
        single_run_dir(replace(config, run_dir="x"))
    with pytest.raises(UserError, match="a name of its own"):
        sweep_run_dir(config)


def test_a_run_of_version_0_1_that_did_so_goes_on_in_its_folder(tmp_path: Path) -> None:
    config = composed("reward.target=mine.module:Mine", f"root={tmp_path}")
    old = tmp_path / f"run-{hash8_v1(config)}"
    assert hash8_v1(config) != hash8_v1(composed())
    old.mkdir()
    (old / "config.yaml").touch()
    assert single_run_dir(config) == old


def test_a_file_of_a_shipped_name_with_its_own_class_is_not_silently_exchanged() -> None:
    config = from_dict(to_dict(composed("reward.target=mine.reward:Mine")))
    assert config.reward.target == "mine.reward:Mine"


# --- version 0.1 -----------------------------------------------------------------------------


TESTBED_THEN = ("algorithm.lr=1e-3", "algorithm.overlong.buffer=0")
"""What the testbed trained with by default."""


def test_version_0_1_named_these_runs_so() -> None:
    """Literals from that version; the second and third of its own tests."""
    assert hash8_v1(composed(*TESTBED_THEN)) == "38f94074"
    assert hash8_v1(composed(*TESTBED_THEN, "acquisition=full", "rollout=hf")) == "b4e1155b"
    other = composed(*TESTBED_THEN, "algorithm=grpo", "algorithm/loss=grpo")
    assert hash8_v1(other) == "38f94074"


@pytest.mark.parametrize("group", TARGETS)
def test_every_shipped_name_of_version_0_1_is_still_shipped(group: str) -> None:
    assert TARGETS[group].keys() <= shipped_targets(group).keys()


def old_dict(config: RunConfig, **targets: str) -> dict[str, Any]:
    """As version 0.1 wrote it."""
    values = to_dict(config)
    values["version"] = 1
    for group, target in targets.items():
        values[group]["target"] = target
    return values


def test_a_config_of_version_0_1_is_read_with_todays_classes() -> None:
    now = composed("reward=self_certainty")
    old = old_dict(now, reward="rlavr_hpc.learning.certainty:SelfCertaintyReward")
    read = from_dict(old)
    assert read == now
    assert read.reward.target == shipped_targets("reward")["self_certainty"]


def test_a_folder_of_version_0_1_is_found_by_todays_command(tmp_path: Path) -> None:
    config = composed(f"root={tmp_path}", "name=study")
    assert single_run_dir(config) == tmp_path / f"study-{hash8(config)}"
    old = tmp_path / f"study-{hash8_v1(config)}"
    old.mkdir()
    assert single_run_dir(config) == tmp_path / f"study-{hash8(config)}"  # no run lies there
    (old / "config.yaml").touch()
    assert single_run_dir(config) == old
    (tmp_path / f"study-{hash8(config)}").mkdir()
    assert single_run_dir(config) == tmp_path / f"study-{hash8(config)}"


def test_so_is_a_run_of_its_sweeps(tmp_path: Path) -> None:
    config = composed(f"root={tmp_path}", "name=study")
    old = tmp_path / "study" / hash8_v1(config)
    old.mkdir(parents=True)
    (old / "config.yaml").touch()
    assert sweep_run_dir(config) == old


def test_a_folder_keeps_the_hash_it_was_made_with() -> None:
    config = composed()
    assert hash_of_folder(config, Path(f"runs/run-{hash8_v1(config)}")) == hash8_v1(config)
    assert hash_of_folder(config, Path(f"runs/run-{hash8(config)}")) == hash8(config)
    assert hash_of_folder(config, Path("anywhere")) == hash8(config)
    assert is_hash_of(config, hash8(config))
    assert is_hash_of(config, hash8_v1(config))
    assert not is_hash_of(config, "00000000")


# --- provenance ------------------------------------------------------------------------------


@pytest.fixture
def own_reward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of the user's own with a reward in it."""
    source = tmp_path / "own_reward_module.py"
    source.write_text("class Mine: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return source


def test_changed_source_of_ones_own_plugin_is_seen(own_reward: Path) -> None:
    config = composed("reward.name=mine", "reward.target=own_reward_module:Mine")
    before = plugin_facts(config)
    assert set(before["reward"]) == {"name", "target", "source"}
    assert set(before["acquisition"]) == {"name", "target"}
    assert changed_sources(before, plugin_facts(config)) == []
    own_reward.write_text("class Mine: pass\n")
    assert changed_sources(before, plugin_facts(config)) == ["reward"]


def test_a_record_without_plugins_says_nothing_of_changes() -> None:
    now = {"reward": {"name": "mine", "target": "m:M", "source": "ab"}}
    assert changed_sources({}, now) == []
    assert changed_sources({"reward": "damaged"}, now) == []
    moved = {"reward": {"name": "vote", "target": "rlavr_hpc.b:V"}}
    assert changed_sources({"reward": {"name": "vote", "target": "rlavr_hpc.a:V"}}, moved) == []


def test_every_plugin_group_has_its_folder_in_conf() -> None:
    assert all(shipped_targets(group) for group in plugins.GROUPS)


def made_by_version_0_1(root: Path, config: RunConfig, name: str) -> Path:
    folder = root / f"run-{name}"
    folder.mkdir()
    values = to_dict(config)
    del values["grading"]["thoughts"], values["grading"]["evaluate_expressions"]
    (folder / "config.yaml").write_text(yaml.safe_dump({**values, "version": 1}))
    return folder


BEFORE = ("grading.extract=boxed", "grading.thoughts=read")


def test_a_run_from_before_goes_on_only_as_its_answers_were_read(tmp_path: Path) -> None:
    own = ("data=jsonl", "data.path=rows.jsonl", f"root={tmp_path}")
    before, today = composed(*own, *BEFORE), composed(*own)
    folder = made_by_version_0_1(tmp_path, before, hash8_v1(before))
    assert single_run_dir(before) == folder
    assert check_start(folder, before) is StartKind.resume
    assert single_run_dir(today) == folder
    with pytest.raises(UserError, match=" ".join(BEFORE)) as told:
        check_start(folder, today)
    assert "grading.extract: 'boxed' -> 'auto'" in str(told.value)


def test_a_run_of_today_that_reads_boxes_is_another_than_one_that_does_not(tmp_path: Path) -> None:
    own = ("data=jsonl", "data.path=rows.jsonl", f"root={tmp_path}")
    boxed, today = composed(*own, *BEFORE), composed(*own)
    folder = tmp_path / f"run-{hash8(boxed)}"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(to_dict(boxed)))
    assert single_run_dir(today) == tmp_path / f"run-{hash8(today)}" != folder


def test_how_rows_are_read_counts_where_it_is_not_as_before() -> None:
    before = hash8(composed())
    settings = [
        "acquisition.candidates=labelled",
        "acquisition.candidates=all",
        "data.choices=ignore",
        "data.conflicts=error",
        "data.columns={answer: output}",
    ]
    assert len({before, *(hash8(composed(setting)) for setting in settings)}) == 6
    defaults = ("acquisition.candidates=auto", "data.choices=render")
    assert hash8(composed(*defaults)) == before
    assert hash8_v1(composed(*TESTBED_THEN, *defaults)) == "38f94074"


def test_a_run_that_acts_on_the_hint_is_the_run_that_did_before_there_was_an_alarm() -> None:
    config = composed("warning.action=rollback", "warning.act_on=hint")
    known = {"action", "threshold", "healthy", "max_rollbacks", "budget_factor"}
    assert {k for k in identity(config) if k.startswith("warning.")} == {
        f"warning.{key}" for key in known
    }
    written = to_dict(config)
    del written["warning"]["act_on"]
    assert from_dict(written) == config
    harmless = to_dict(composed())
    del harmless["warning"]["act_on"]
    assert from_dict(harmless) == composed()


def test_what_acts_counts_where_votes_are_audited() -> None:
    audited = ("warning.audit=kept", "warning.action=stop")
    alarm, hint = composed(*audited), composed(*audited, "warning.act_on=hint")
    assert hash8(alarm) != hash8(hint)
    assert hash8(composed("warning.audit=kept")) != hash8(composed())
