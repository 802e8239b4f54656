"""The Label Studio source against a stand-in of its interface."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc.config.labels import Ask
from rlavr_hpc.labels.orders import Answer
from rlavr_hpc.labels.sources.labelstudio import LabelStudioSource
from rlavr_hpc.labels.sources.labelstudio_project import SharedProject
from tests.support.label_runs import Bridge, an_order
from tests.support.labelstudio_server import (
    LEGACY,
    PERSONAL,
    Studio,
    area,
    choice,
    label_studio,
)

VARIABLE = "LABEL_STUDIO_TEST_TOKEN"


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    monkeypatch.setenv(VARIABLE, PERSONAL)
    with label_studio() as made:
        yield made


def a_source(studio: Studio, **settings: Any) -> LabelStudioSource:  # noqa: ANN401
    values: dict[str, Any] = {"every": 0.0, "timeout": 30.0, **settings}
    return LabelStudioSource(base_url=studio.url, project=7, key_variable=VARIABLE, **values)


def a_bridge(studio: Studio, folder: Path, *keys: str, **settings: Any) -> Bridge:  # noqa: ANN401
    orders = [an_order(f"{key}?", key=key, price=2.0) for key in keys]
    return Bridge(folder, a_source(studio, **settings), orders)


def test_an_order_becomes_one_task_and_its_annotation_the_answer(
    studio: Studio, tmp_path: Path
) -> None:
    bridge = a_bridge(studio, tmp_path, "a", "b")
    assert bridge.look() == bridge.look() == {}
    assert [task["data"]["question"] for task in studio.tasks] == ["a?", "b?"]
    assert studio.imports == 1
    made = studio.annotate("a", " 42 ", person=5)
    answer = bridge.look()["a"]
    assert answer == Answer(
        key="a",
        answer="42",
        annotator="label-studio:5",
        seconds=12.5,
        cost=2.0,
        note=f"annotation {made['id']}, {made['updated_at']}",
    )
    assert (bridge.paid("a"), bridge.paid("b")) == (2.0, 0.0)
    assert bridge.calls("a") == 1


def test_tasks_that_are_there_are_not_made_again_by_another_start(
    studio: Studio, tmp_path: Path
) -> None:
    a_bridge(studio, tmp_path, "a").look()
    again = Bridge(tmp_path, a_source(studio))
    again.look()
    assert len(studio.tasks) == 1
    studio.annotate("a", "42")
    assert again.look()["a"].answer == "42"


def test_after_an_import_without_a_reply_no_second_task_is_made(
    studio: Studio, tmp_path: Path
) -> None:
    studio.hang_after_import = True
    bridge = a_bridge(studio, tmp_path, "a", timeout=2.0)
    bridge.look()
    assert "no whole response in 2 s" in bridge.said[0]
    bridge.look()
    assert (len(studio.tasks), studio.imports) == (1, 1)
    assert not bridge.run._log.known.calls["a"].failure, "it would become void at the deadline"


def test_an_import_that_may_still_be_going_on_is_waited_for(studio: Studio, tmp_path: Path) -> None:
    studio.hang_after_import = True
    clock = Clock()
    bridge = a_bridge(studio, tmp_path, "a", timeout=2.0, clock=clock)
    bridge.look()
    slow, studio.tasks[:] = list(studio.tasks), []
    bridge.look()
    assert studio.imports == 1
    clock.now += 2.5
    bridge.look()
    assert studio.imports == 2
    studio.tasks += slow
    studio.annotate("a", "42", nth=1)
    assert bridge.look()["a"].answer == "42", "doubles are one"


def test_more_tasks_than_a_page(studio: Studio, tmp_path: Path) -> None:
    keys = [f"k{n}" for n in range(130)]
    bridge = a_bridge(studio, tmp_path, *keys)
    bridge.look()
    bridge.look()
    assert (len(studio.tasks), studio.imports) == (130, 3)
    studio.annotate("k129", "42")
    assert set(bridge.look()) == {"k129"}


@pytest.mark.parametrize(
    ("changes", "void"),
    [
        ({"was_cancelled": True}, "skipped"),
        ({"result": []}, "without an answer"),
        ({"result": [choice("cannot", "cannot answer"), area("answer", "4")]}, "cannot answer"),
        ({"result": [area("answer", "4"), area("answer", "5")]}, "several values"),
        ({"result": [choice("verdict", "maybe")]}, "neither right nor wrong"),
        ({"result": None}, "without an answer"),
    ],
)
def test_annotations_without_an_answer_are_void(
    changes: dict[str, Any], void: str, studio: Studio, tmp_path: Path
) -> None:
    bridge = a_bridge(studio, tmp_path, "a")
    bridge.look()
    studio.annotate("a", "42", **changes)
    answer = bridge.look()["a"]
    assert (answer.answer, answer.verdict) == (None, None)
    assert void in (answer.void or "")


def test_a_verdict(studio: Studio, tmp_path: Path) -> None:
    order = an_order(key="a", ask=Ask.verdict, vote="41")
    bridge = Bridge(tmp_path, a_source(studio), [order])
    bridge.look()
    assert studio.task_of("a")["data"]["vote"] == "41"
    studio.annotate("a", None, result=[choice("verdict", "wrong")])
    assert bridge.look()["a"].verdict == "wrong"


def test_drafts_are_ignored(studio: Studio, tmp_path: Path) -> None:
    bridge = a_bridge(studio, tmp_path, "a")
    bridge.look()
    studio.task_of("a")["drafts"].append({"id": 1, "result": [area("answer", "42")]})
    assert bridge.look() == {}


def test_of_two_annotations_the_first_counts_and_the_other_is_told_once(
    studio: Studio, tmp_path: Path
) -> None:
    bridge = a_bridge(studio, tmp_path, "a", "b")
    bridge.look()
    studio.annotate("a", "42", person=1)
    studio.annotate("a", "43", person=2)
    assert bridge.look()["a"].answer == "42"
    bridge.look()
    assert len([line for line in bridge.said if "does not count" in line]) == 1


def test_nobody_counts_twice_for_one_question(studio: Studio, tmp_path: Path) -> None:
    orders = [an_order("same?", key=key) for key in ("a", "b")]
    bridge = Bridge(tmp_path, a_source(studio), orders)
    bridge.look()
    studio.annotate("a", "42", person=1)
    studio.annotate("b", "42", person=1)
    assert set(bridge.look()) == {"a"}
    studio.annotate("b", "41", person=2)
    assert bridge.look()["b"].annotator == "label-studio:2"


def test_a_later_edit_is_a_later_line_also_after_a_restart(studio: Studio, tmp_path: Path) -> None:
    bridge = a_bridge(studio, tmp_path, "a", "b")
    bridge.look()
    made = studio.annotate("a", "42")
    bridge.look()
    made |= {"result": [area("answer", "43")], "updated_at": "2026-01-02T00:00:00.000000Z"}
    again = Bridge(tmp_path, a_source(studio))
    again.look()
    again.look()
    (later,) = again.run.answers.later["a"]
    assert again.run.answers.first["a"].answer == "42"
    assert (later.answer, later.cost, later.corrects) == ("43", 0.0, True)


def test_edits_are_found_while_no_order_is_open_and_the_project_is_read_rarely_then(
    studio: Studio, tmp_path: Path
) -> None:
    clock = Clock()
    bridge = a_bridge(studio, tmp_path, "a", every=60.0, clock=clock)
    bridge.look()
    made = studio.annotate("a", "42")
    clock.now += 61
    bridge.look()
    made |= {"result": [area("answer", "43")], "updated_at": "2026-01-02T00:00:00.000000Z"}
    before = studio.reads
    for _ in range(11):
        clock.now += 60
        bridge.look()
    assert studio.reads == before + 1
    assert [answer.answer for answer in bridge.run.answers.later["a"]] == ["43"]


def test_tasks_that_nobody_has_touched_go_when_their_run_is_over(
    studio: Studio, tmp_path: Path
) -> None:
    bridge = a_bridge(studio, tmp_path, "a", "b", "c")
    bridge.look()
    studio.annotate("b", "42")
    studio.task_of("c")["drafts"].append({"id": 1, "result": []})
    bridge.look()
    bridge.run.retire()
    readings = studio.reads
    bridge.run.retire()
    assert studio.reads == readings
    assert [task["data"]["key"] for task in studio.tasks] == ["b", "c"]
    assert studio.deletions == 1
    bridge.look()
    assert studio.task_of("a"), "the run goes on after all"
    studio.status = 500
    bridge.run.retire()
    assert "not taken back" in bridge.said[-1]
    assert not bridge.run.stopped


def test_a_short_token_is_bought_once_and_again_when_it_has_ended(
    studio: Studio, tmp_path: Path
) -> None:
    bridge = a_bridge(studio, tmp_path, "a")
    bridge.look()
    bridge.look()
    assert studio.refreshes == 1
    studio.access = "ended"
    bridge.look()
    assert studio.refreshes == 2
    assert not bridge.run.stopped


def test_an_old_token_is_sent_as_it_is(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, LEGACY)
    a_bridge(studio, tmp_path, "a").look()
    assert (len(studio.tasks), studio.refreshes) == (1, 0)


@pytest.mark.parametrize(
    ("status", "stops"), [(401, True), (403, True), (404, True), (500, False), (429, False)]
)
def test_what_the_service_refuses(status: int, stops: bool, studio: Studio, tmp_path: Path) -> None:
    studio.status = status
    bridge = a_bridge(studio, tmp_path, "a")
    assert bridge.look() == {}
    assert bool(bridge.run.stopped) == stops
    told = "\n".join(bridge.said)
    assert f"status {status}" in told
    assert PERSONAL not in told
    assert bridge.calls("a") == 0


def test_the_token_reaches_no_file(studio: Studio, tmp_path: Path) -> None:
    bridge = a_bridge(studio, tmp_path, "a")
    bridge.look()
    studio.annotate("a", "42")
    bridge.look()
    texts = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    texts += [*bridge.said, repr(bridge)]
    assert len(texts) > 4
    assert not [text for text in texts if PERSONAL in text or studio.access in text]


def test_the_project_is_read_now_and_then_only(studio: Studio, tmp_path: Path) -> None:
    clock = Clock()
    bridge = a_bridge(studio, tmp_path, "a", every=60.0, clock=clock)
    bridge.look()
    bridge.look()
    studio.annotate("a", "42")
    assert bridge.look() == {}
    clock.now += 61
    assert bridge.look()["a"].answer == "42"


def test_runs_of_one_process_read_their_project_once_together(
    studio: Studio, tmp_path: Path
) -> None:
    clock = Clock()
    first, second = (
        a_bridge(studio, tmp_path / name, "both", name, every=60.0, clock=clock) for name in "ab"
    )
    for bridge in (first, second, first, second):
        bridge.look()
    assert [task["data"]["key"] for task in studio.tasks] == ["both", "a", "b"], "one task a key"
    read = studio.reads
    studio.annotate("b", "41")
    studio.annotate("both", "42")
    for _ in range(3):
        clock.now += 20.1
        first.look()
        second.look()
    assert studio.reads == read + 1
    assert set(first.look()) == {"both"}
    assert set(second.look()) == {"both", "b"}


def test_a_reading_from_before_another_bridges_import_makes_no_second_task(
    studio: Studio, tmp_path: Path
) -> None:
    clock = Clock()
    first = a_bridge(studio, tmp_path, "a", every=60.0, clock=clock)
    second = Bridge(tmp_path, a_source(studio, every=60.0, clock=clock))
    old = SharedProject(first.run.source._project.project)  # type: ignore[attr-defined]
    old.look(clock.now, every=60.0)
    first.look()
    second.run.source._project = old  # type: ignore[attr-defined]
    second.look()
    assert (len(studio.tasks), studio.imports) == (1, 1)
