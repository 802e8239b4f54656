"""The Label Studio source against a real one, whose place a stand-in takes in `make test`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc.labels.sources.labelstudio import LabelStudioSource
from tests.support.label_runs import Bridge, an_order
from tests.support.real_labelstudio import LosingProxy, RealStudio, real_label_studio, written

pytestmark = pytest.mark.slow
VARIABLE = "LABEL_STUDIO_TEST_TOKEN"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStudio]:
    with real_label_studio(tmp_path_factory.mktemp("studio")) as running:
        yield running


@pytest.fixture
def studio(server: RealStudio, monkeypatch: pytest.MonkeyPatch) -> RealStudio:
    """With a new project."""
    monkeypatch.setenv(VARIABLE, server.token)
    server.new_project()
    return server


def a_bridge(
    studio: RealStudio,
    folder: Path,
    *keys: str,
    question: str | None = None,
    **settings: Any,  # noqa: ANN401
) -> Bridge:
    values = {"every": 0.0, "timeout": 30.0, "base_url": studio.url, **settings}
    source = LabelStudioSource(project=studio.number, key_variable=VARIABLE, **values)
    orders = [an_order(question or f"{key}?", key=key, price=2.0) for key in keys]
    return Bridge(folder, source, orders)


def test_orders_become_tasks_and_annotations_answers(studio: RealStudio, tmp_path: Path) -> None:
    bridge = a_bridge(studio, tmp_path, "typed", "skipped", "drafted", "edited")
    assert bridge.look() == {}
    assert not bridge.said
    assert [task["data"]["question"] for task in studio.tasks()] == [
        "typed?",
        "skipped?",
        "drafted?",
        "edited?",
    ]
    owner = studio.owner
    owner.answer(studio.task_of("typed"), " 42 ")
    owner.answer(studio.task_of("skipped"), None)
    draft = {"result": written("7"), "lead_time": 1.0}
    owner.call("POST", f"/api/tasks/{studio.task_of('drafted')}/drafts", draft)
    made = owner.answer(studio.task_of("edited"), "41")
    found = bridge.look()
    assert {key: answer.answer for key, answer in found.items()} == {
        "typed": "42",
        "skipped": None,
        "edited": "41",
    }
    assert found["skipped"].void == "skipped"
    assert (found["typed"].seconds, found["typed"].cost) == (2.5, 2.0)
    assert found["typed"].annotator.startswith("label-studio:")
    owner.call("PATCH", f"/api/annotations/{made}/", {"result": written("43")})
    bridge.look()
    (later,) = bridge.run.answers.later["edited"]
    assert (later.answer, later.corrects, later.cost) == ("43", True, 0.0)
    assert bridge.run.answers.first["edited"].answer == "41"
    owner.answer(studio.task_of("drafted"), "8")
    assert bridge.look()["drafted"].answer == "8"
    assert len(studio.tasks()) == 4
    assert not [line for line in bridge.said if "does not count" in line]


def test_after_an_import_without_a_reply_no_second_task_is_made(
    studio: RealStudio, tmp_path: Path
) -> None:
    proxy = LosingProxy(studio.url, lose=True)
    bridge = a_bridge(studio, tmp_path, "a", base_url=proxy.url, timeout=10.0)
    bridge.look()
    assert "no whole response in 10 s" in bridge.said[0]
    assert len(studio.tasks()) == 1, "the import was done"
    bridge.look()
    a_bridge(studio, tmp_path, base_url=proxy.url).look()
    proxy.close()
    assert len(studio.tasks()) == 1
    assert bridge.calls("a") == 1


def test_one_answer_more_than_asked_for_and_one_by_the_same_person_do_not_count(
    studio: RealStudio, tmp_path: Path
) -> None:
    bridge = a_bridge(studio, tmp_path, "one", "two", question="6*7?")
    bridge.look()
    ada, bob, cleo = (
        studio.sign_in("signup", f"{name}@example.org") for name in ("ada", "bob", "cleo")
    )
    one, two = studio.task_of("one"), studio.task_of("two")
    ada.answer(one, "42")
    bob.answer(one, "43")
    ada.answer(two, "42")
    assert {key: answer.answer for key, answer in bridge.look().items()} == {"one": "42"}
    cleo.answer(two, "41")
    found = bridge.look()
    assert found["two"].answer == "41"
    assert found["two"].annotator != found["one"].annotator
    bridge.look()
    assert len([line for line in bridge.said if "does not count" in line]) == 2


def test_untouched_tasks_of_a_run_that_is_over_are_deleted(
    studio: RealStudio, tmp_path: Path
) -> None:
    bridge = a_bridge(studio, tmp_path, "untouched", "drafted", "answered")
    bridge.look()
    studio.owner.answer(studio.task_of("answered"), "42")
    draft = {"result": written("7"), "lead_time": 1.0}
    studio.owner.call("POST", f"/api/tasks/{studio.task_of('drafted')}/drafts", draft)
    bridge.look()
    bridge.run.retire()
    assert {task["data"]["key"] for task in studio.tasks()} == {"drafted", "answered"}


def test_what_is_refused_stops_the_source(
    studio: RealStudio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = a_bridge(studio, tmp_path / "absent", "a")
    absent.source._project.number = 999_999  # type: ignore[attr-defined]
    absent.look()
    assert "labels.project=999999 is not there" in absent.run.stopped
    monkeypatch.setenv(VARIABLE, "a.b.c")
    refused = a_bridge(studio, tmp_path / "refused", "a")
    refused.look()
    assert "is refused" in refused.run.stopped
    assert studio.tasks() == []
