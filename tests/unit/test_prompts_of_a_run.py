"""A run's prompts and stop tokens from its config: data, tokenizer and template together."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.data.load_split import load_split
from rlavr_hpc.errors import UserError
from rlavr_hpc.release.record import with_recorded_stops
from rlavr_hpc.runs.checkpoints import TrainingState
from rlavr_hpc.runs.first_start import FirstStart
from rlavr_hpc.runs.provenance import write_provenance
from rlavr_hpc.trainer.inspected_prompts import prepare_inspected
from rlavr_hpc.trainer.policy.tokenizer import TokenizerBundle, load_tokenizer
from rlavr_hpc.trainer.prepare_data import PreparedPrompts, prepare_prompts, tokens_fingerprint
from rlavr_hpc.types import Prompt
from tests.support.configs import composed
from tests.support.tiny_models import CHATML, DATED, NO_SYSTEM, byte_model

END, TURN_END = 256, 258
MOMENT = datetime(2024, 2, 29, 12, tzinfo=UTC)
SMALL = (
    *("data=jsonl", "model=pretrained", "rollout=hf", "acquisition=none", "data.holdout=0.25"),
    *("algorithm.batch=2", "algorithm.mini_batch=2"),
    *("rollout.max_prompt_tokens=200", "rollout.max_response_tokens=20"),
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("models")
    templates = {"chatml": CHATML, "dated": DATED, "no_system": NO_SYSTEM, "bare": None}
    return {name: byte_model(home / name, template) for name, template in templates.items()}


def configured(tmp_path: Path, model: Path, *settings: str, system: bool = False) -> RunConfig:
    turns = [{"role": "system", "content": "Be brief."}] if system else []
    rows = [
        {"prompt": [*turns, {"role": "user", "content": f"{n}+1?"}], "answer": str(n + 1)}
        for n in range(8)
    ]
    path = tmp_path / "d.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return composed(*SMALL, f"data.path={path}", f"model.path={model}", *settings)


def prepared(config: RunConfig, bundle: TokenizerBundle | None = None) -> PreparedPrompts:
    bundle = bundle or load_tokenizer(config, quiet=True)
    return prepare_prompts(config, load_split(config.data), bundle)


@pytest.mark.parametrize(
    ("model", "settings", "stops"),
    [
        ("chatml", (), {END, TURN_END}),
        ("chatml", ("data.stop_at_turn_end=false",), {END}),
        ("chatml", ("data.chat_template=none",), {END}),
        ("chatml", ("rollout.stop_token_ids=[65]",), {END, TURN_END, 65}),
        ("bare", (), {END}),
    ],
)
def test_a_base_models_responses_end_with_the_templates_turn(
    tmp_path: Path,
    models: dict[str, Path],
    model: str,
    settings: tuple[str, ...],
    stops: set[int],
) -> None:
    found = prepared(configured(tmp_path, models[model], *settings))
    assert found.bundle.stop_ids == stops
    assert found.facts["stop_token_ids"] == sorted(stops)
    assert found.bundle.pad_id == 259


def test_a_run_of_version_0_1_keeps_its_stop_tokens(
    tmp_path: Path, models: dict[str, Path]
) -> None:
    config = configured(tmp_path, models["chatml"])
    old = FirstStart(moment=MOMENT, stops_at_turn_end=False)
    bundle = load_tokenizer(config, quiet=True).as_begun(old)
    assert prepared(config, bundle).bundle.stop_ids == {END}


def test_a_refused_system_message_is_a_users_mistake_with_file_and_row(
    tmp_path: Path, models: dict[str, Path]
) -> None:
    config = configured(tmp_path, models["no_system"], system=True)
    with pytest.raises(UserError, match=r"d\.jsonl, row [1-8]: the model's chat template refuses"):
        prepared(config)
    merged = configured(tmp_path, models["no_system"], "data.system_role=merge", system=True)
    text = prepared(merged).train[0].text
    assert text.startswith("<|im_start|>user\nBe brief.\n\n")


def test_what_is_wrong_with_all_prompts_ends_the_run(
    tmp_path: Path, models: dict[str, Path]
) -> None:
    config = configured(tmp_path, models["chatml"])
    rows = [{"prompt": f"<image>Find x{n}.", "answer": "1"} for n in range(8)]
    Path(str(config.data.path)).write_text("".join(json.dumps(row) + "\n" for row in rows))
    split, bundle = load_split(config.data), load_tokenizer(config, quiet=True)
    with pytest.raises(UserError, match="6 of 6 prompts speak of a picture"):
        prepare_inspected(config, split, bundle, quiet=True)


def test_the_identity_of_prompts_tells_date_template_tokens_and_held_out_apart(
    tmp_path: Path, models: dict[str, Path]
) -> None:
    config = configured(tmp_path, models["dated"])
    bundle = load_tokenizer(config, quiet=True)
    first = prepared(config, replace(bundle, moment=MOMENT)).identity
    assert first["date"] == "2024-02-29T12:00:00+00:00"
    assert prepared(config, replace(bundle, moment=MOMENT)).identity == first
    later = prepared(config, replace(bundle, moment=MOMENT.replace(year=2028))).identity
    assert (later["questions"], later["template"]) == (first["questions"], first["template"])
    assert later["tokens"] != first["tokens"]
    assert later["held_out"] != first["held_out"]
    plain = configured(tmp_path, models["chatml"])
    assert (
        "date"
        not in prepared(plain, replace(load_tokenizer(plain, quiet=True), moment=MOMENT)).identity
    )


def test_fingerprints_of_tokens_depend_on_every_boundary() -> None:
    def made(*prompts: tuple[str, tuple[int, ...]]) -> str:
        return tokens_fingerprint(
            [Prompt(id=name, text="", token_ids=ids, task="math") for name, ids in prompts]
        )

    one = made(("a", (1, 2)), ("b", (3,)))
    others = [
        made(("a", (1,)), ("b", (2, 3))),
        made(("a", (1, 2, 3))),
        made(("b", (1, 2)), ("a", (3,))),
        made(("ab", (1, 2)), ("", (3,))),
        made(),
    ]
    assert len({one, *others}) == 6


def test_an_export_ends_responses_where_its_checkpoint_did(
    tmp_path: Path, models: dict[str, Path]
) -> None:
    bundle = load_tokenizer(configured(tmp_path, models["chatml"]), quiet=True)
    state = TrainingState(
        step=1,
        branch=0,
        attempt=1,
        world_size=1,
        threads=1,
        prompts_fingerprint="p",
        config_hash="c",
    )
    assert with_recorded_stops(tmp_path, state, bundle).stop_ids == {END}
    write_provenance(tmp_path, 1, {"data": {"stop_token_ids": [END, TURN_END]}})
    assert with_recorded_stops(tmp_path, state, bundle).stop_ids == {END, TURN_END}
