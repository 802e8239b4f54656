from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlavr_hpc.answers.tasks.registry import TASKS
from rlavr_hpc.errors import UserError
from rlavr_hpc.evaluation.evaluated_model import ModelSubject, RunSubject, find_subject, settings_of
from rlavr_hpc.evaluation.options import EvaluationOptions
from rlavr_hpc.evaluation.test_sets import (
    FOLDER,
    ProblemSet,
    load_sets,
    read_settings,
    shipped_names,
)
from tests.support.configs import composed
from tests.support.tiny_models import byte_model

MODEL = ModelSubject(path="some/model")


def options(*on: str, data_dir: Path = Path(), **given: Any) -> EvaluationOptions:  # noqa: ANN401
    return EvaluationOptions(model="some/model", on=on, data_dir=data_dir, **given)


def write(path: Path, rows: Sequence[object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def load(*on: str, data_dir: Path = Path(), **given: Any) -> list[ProblemSet]:  # noqa: ANN401
    return load_sets(options(*on, data_dir=data_dir, **given), MODEL)


def test_the_papers_test_sets_are_shipped() -> None:
    expected = {"aime24", "aime25", "amc23", "math500", "olympiadbench", "hmmt25", "knights"}
    assert expected <= set(shipped_names())


@pytest.mark.parametrize("name", shipped_names())
def test_every_shipped_set_loads_and_has_the_papers_settings(name: str) -> None:
    settings = read_settings(FOLDER / f"{name}.yaml")
    assert settings.name == name
    assert settings.task in TASKS
    assert (settings.temperature, settings.top_p) == (0.6, 0.95)
    assert settings.samples == (1 if name in ("math500", "knights") else 8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample": 8}, "sample"),
        ({"samples": 0}, "samples=0 must be at least 1"),
        ({"samples": "many"}, "many"),
        ({"kind": "xml"}, "xml"),
        ({"kind": "testbed"}, "kind=testbed"),
        ({"temperature": -1.0}, "temperature=-1.0"),
        ({"top_p": 0.0}, "top_p=0.0"),
        ({"max_response_tokens": 0}, "max_response_tokens=0"),
        ({"path": None}, "path"),
    ],
)
def test_a_typo_or_an_impossible_value_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    given = yaml.safe_load((FOLDER / "aime24.yaml").read_text()) | change
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(given))
    with pytest.raises(UserError, match=message):
        read_settings(path)


def test_a_named_set_is_read_from_the_data_folder(tmp_path: Path) -> None:
    write(
        tmp_path / "math/aime24.json", [{"problem": f"{i}+1?", "answer": i + 1} for i in range(5)]
    )
    found = load("aime24", data_dir=tmp_path, limit=3, samples=2)[0]
    assert [q.text for q in found.questions] == ["0+1?", "1+1?", "2+1?"]
    assert list(found.answers.values()) == ["1", "2", "3"]
    assert (found.settings.samples, found.settings.temperature) == (2, 0.6)


def test_any_file_is_a_test_set_named_after_it(tmp_path: Path) -> None:
    path = write(tmp_path / "mine.jsonl", [{"prompt": "1+1?", "answer": "2"}])
    found = load(str(path), temperature=0.0)[0]
    assert (found.name, found.settings.samples, found.settings.temperature) == ("mine", 8, 0.0)


@pytest.mark.parametrize(
    ("on", "message"),
    [
        (["poetry"], "no such test set; there are aime24"),
        (["aime25"], r"aime25: .*math/aime25.json does not exist; put the test set there"),
        (["held_out"], "needs a run's folder"),
        (["DIR/nowhere.jsonl"], "no such file"),
        (["DIR/held_out.jsonl"], "'held_out' will not do"),
        (["DIR/a b.jsonl"], "use letters"),
        (["DIR/mine.jsonl", "DIR/sub/mine.jsonl"], "two test sets 'mine'"),
        (["DIR/unlabelled.jsonl"], "problem 'q2' has no answer"),
        (["DIR/poetry.jsonl"], "holds no rows"),
    ],
)
def test_a_set_that_cannot_be_measured_is_refused(
    tmp_path: Path, on: list[str], message: str
) -> None:
    rows = [{"prompt": "1+1?", "answer": "2", "id": "q1"}, {"prompt": "2+1?", "id": "q2"}]
    for name in ("mine", "sub/mine", "held_out", "a b"):
        write(tmp_path / f"{name}.jsonl", rows[:1])
    write(tmp_path / "unlabelled.jsonl", rows)
    write(tmp_path / "poetry.jsonl", [])
    with pytest.raises(UserError, match=message):
        load(*[name.replace("DIR", str(tmp_path)) for name in on], data_dir=tmp_path)


def test_a_run_brings_its_held_out_set_and_its_limits(tmp_path: Path) -> None:
    config = composed("eval.samples=3", "data.eval_limit=5", "data.system_prompt=Think.")
    run = RunSubject(run_dir=tmp_path, config=config, step=None)
    file = write(tmp_path / "mine.jsonl", [{"prompt": "1+1?", "answer": "2"}])
    asked = options("held_out", str(file))
    held_out, mine = load_sets(asked, run)
    assert (len(held_out.questions), held_out.settings.samples) == (5, 3)
    assert held_out.siblings
    assert not mine.siblings
    assert held_out.settings.max_response_tokens == mine.settings.max_response_tokens == 8
    settings = settings_of(run, asked)
    assert settings.data.system_prompt == "Think."
    assert str(settings.model.dtype) == "float32"
    other = settings_of(run, options("held_out", system_prompt="", stop_token_ids=[3]))
    assert other.data.system_prompt is None
    assert other.rollout.stop_token_ids == [3]


def test_a_model_that_no_run_trained_may_answer_at_length(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.jsonl", [{"prompt": "1+1?", "answer": "2"}])
    assert [s.settings.max_response_tokens for s in load(str(file))] == [4000]
    assert [s.settings.max_response_tokens for s in load(str(file), max_response_tokens=9)] == [9]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"samples": 0}, "--samples=0"),
        ({"max_response_tokens": 0}, "--max-response-tokens=0"),
        ({"limit": 0}, "--limit=0"),
        ({"seed": -1}, "--seed=-1"),
        ({"gpu_memory_utilization": 0.0}, "--gpu-memory-utilization"),
    ],
)
def test_an_impossible_option_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load("aime24", **given)


def test_a_folder_is_recognized_by_what_is_in_it(tmp_path: Path) -> None:
    byte_model(tmp_path / "model", None)
    (tmp_path / "neither").mkdir()
    found = find_subject(str(tmp_path / "model"), step=None)
    assert found == ModelSubject(path=tmp_path / "model")
    assert find_subject("a/hub-name", step=None) == ModelSubject(path="a/hub-name")
    for model, step, message in (
        ("neither", None, "neither a run's folder"),
        ("nowhere", None, "does not exist"),
        ("model", 3, "--step 3 needs a run"),
    ):
        with pytest.raises(UserError, match=message):
            find_subject(str(tmp_path / model), step=step)
