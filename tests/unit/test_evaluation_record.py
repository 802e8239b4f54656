"""What is kept of an evaluation, and that going on with it changes nothing."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist

from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.cluster.preemption import Deadline, StopFlag
from rlavr_hpc.config.data import DataKind
from rlavr_hpc.errors import OutOfTimeError, RlavrError, RunStoppedError, UserError
from rlavr_hpc.evaluation.measure import SetMeasurement, SetToMeasure
from rlavr_hpc.evaluation.record import ProblemResult, SetRecord
from rlavr_hpc.evaluation.report import as_table, summarize
from rlavr_hpc.evaluation.responses import (
    ResponsesRecord,
    check_responses_file,
    responses_path,
    write_responses,
)
from rlavr_hpc.evaluation.test_sets import EvalSetConfig, ProblemSet
from rlavr_hpc.io import read_lines
from rlavr_hpc.rollout.engine import Sampling, never, request_seed
from rlavr_hpc.types import Prompt, Rollout, StepKey
from tests.support.groups import prompt, rollout

HEADER: dict[str, Any] = {"set": "mine", "settings": {"samples": 2, "seed": 1}}


def result(name: str, *correct: bool) -> ProblemResult:
    return ProblemResult(
        id=name,
        answers=tuple("7" if c else None for c in correct),
        correct=correct,
        ungradable=(False,) * len(correct),
        tokens=(3,) * len(correct),
        vote=correct.index(True) if any(correct) else None,
        truncated=(False,) * len(correct),
    )


def test_a_record_is_continued_behind_its_last_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    SetRecord(path, HEADER).add([result("a", True, False), result("b", False, False)])
    path.write_bytes(path.read_bytes() + b'{"id":"c","answers":["7"')
    again = SetRecord(path, HEADER)
    assert list(again.done) == ["a", "b"]
    assert again.done["a"] == result("a", True, False)
    again.add([result("b", True, True), result("c", True, True)])
    assert [line.row.get("id") for line in read_lines(path)] == [None, "a", "b", "c"]
    assert SetRecord(path, HEADER).done["b"] == result("b", False, False)


def test_a_torn_header_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"set":"mi')
    SetRecord(path, HEADER)
    assert [line.row["set"] for line in read_lines(path)] == ["mine"]


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    SetRecord(path, HEADER)
    before = path.read_bytes()
    other = {"set": "mine", "settings": {"samples": 4, "seed": 1}, "model": {"name": "m"}}
    with pytest.raises(UserError, match=r"model.name: None -> 'm', settings.samples: 2 -> 4\)"):
        SetRecord(path, other)
    path.write_bytes(before.replace(b'"v":1', b'"v":2'))
    with pytest.raises(UserError, match="version 2 is not 1"):
        SetRecord(path, HEADER)


def test_a_damaged_record_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    SetRecord(path, HEADER).add([result("a", True, False)])
    path.write_bytes(path.read_bytes() + b'{"id":"b"}\n')
    with pytest.raises(UserError, match=r"is damaged .*move it away"):
        SetRecord(path, HEADER)
    path.write_bytes(path.read_bytes().replace(b'{"id":"b"}', b"{{"))
    with pytest.raises(UserError, match=r"mine\.jsonl:3"):
        SetRecord(path, HEADER)


def test_the_summary_tells_every_figure_and_the_table_too() -> None:
    told = summarize(HEADER, [result("a", True, False), result("b", False, False)])
    assert told["statistics"]["mean@2"]["value"] == 0.25
    assert told["statistics"]["pass@2"]["value"] == told["statistics"]["maj@2"]["value"] == 0.5
    assert (told["problems"], told["unparsable"], told["response_tokens"]) == (2, 0.75, 3.0)
    wrong_vote = replace(result("a", True, False), vote=1)
    assert summarize(HEADER, [wrong_vote])["statistics"]["maj@2"]["value"] == 0.0
    table = as_table([told]).splitlines()
    assert table[1].split()[:4] == ["mine", "2", "mean@2", "0.250"]
    assert table[2].split()[:2] == ["pass@1", "0.250"]
    json.dumps(told, allow_nan=False)


class FakeEngine:
    """Boxes a number that depends on the request's seed; remembers what it was asked."""

    replica, replicas, is_leader = 0, 1, True
    weights_version: int | None = 0

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.stop, self.stop_after = StopFlag(), 0

    def sync(self, weights: object, *, version: int, partial: bool = False) -> None:
        raise NotImplementedError

    def sleep(self) -> None:
        raise NotImplementedError

    def sample(
        self,
        prompts: Sequence[Prompt],
        *,
        sampling: Sampling,
        step_key: StepKey,
        version: int,
        should_abort: Callable[[], bool] = never,
    ) -> list[list[Rollout]]:
        self.asked.append([p.id for p in prompts])
        if len(self.asked) == self.stop_after:
            self.stop.note(signal.SIGTERM)
        if should_abort():
            raise OutOfTimeError
        return [
            [self._one(p, k, sampling, step_key) for k in range(sampling.samples)] for p in prompts
        ]

    def _one(self, asked: Prompt, sample: int, sampling: Sampling, step_key: StepKey) -> Rollout:
        seed = request_seed(step_key, prompt_id=asked.id, sample=sample, purpose=sampling.purpose)
        return rollout(f"\\boxed{{{seed % 3}}}", name=asked.id, sample=sample)


@pytest.fixture(scope="module", autouse=True)
def one_rank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    step_key = tmp_path_factory.mktemp("ranks") / "store"
    dist.init_process_group("gloo", init_method=f"file://{step_key}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def make_job(*names: str, chunk: int, set_name: str = "mine") -> SetToMeasure:
    settings = EvalSetConfig(
        name=set_name, path="", kind=DataKind.jsonl, samples=4, max_response_tokens=5
    )
    problems = ProblemSet(
        name=set_name, settings=settings, questions=(), answers=dict.fromkeys(names, "1")
    )
    return SetToMeasure(
        problems=problems, prompts=tuple(prompt(name) for name in names), chunk=chunk
    )


def bench(
    engine: FakeEngine, *, stop_after: int = 0, grace: float = 1e9, seed: int = 1
) -> SetMeasurement:
    engine.stop_after = stop_after
    return SetMeasurement(
        engine=engine,
        seed=seed,
        deadline=Deadline(stop=engine.stop, grace=grace),
        quiet=True,
        verifier=Verifier(),
    )


def measure(
    path: Path, job: SetToMeasure, engine: FakeEngine, **settings: int
) -> dict[str, ProblemResult]:
    record = SetRecord(path, HEADER)
    bench(engine, **settings).measure(job, done=frozenset(record.done), record=record)
    return record.done


def test_an_evaluation_that_was_cut_off_samples_the_open_chunk_whole(tmp_path: Path) -> None:
    """Every request keeps its neighbours in the batch, and nothing is recorded twice."""
    job, engine, path = make_job(*"abcde", chunk=2), FakeEngine(), tmp_path / "mine.jsonl"
    whole = measure(tmp_path / "whole.jsonl", job, FakeEngine())
    cut = SetRecord(path, HEADER)
    cut.add([whole[name] for name in "abc"])  # the line of d was lost
    assert measure(path, job, engine) == whole
    assert engine.asked == [["c", "d"], ["e"]]
    assert [line.row.get("id") for line in read_lines(path)] == [None, *"abcde"]


def test_a_signal_stops_between_chunks_with_everything_finished_on_disk(tmp_path: Path) -> None:
    job, path = make_job(*"abcde", chunk=2), tmp_path / "mine.jsonl"
    with pytest.raises(RunStoppedError, match="stopped after 4 of 5 problems") as stopped:
        measure(path, job, FakeEngine(), stop_after=2)
    assert stopped.value.exit_code == 75
    engine = FakeEngine()
    assert list(measure(path, job, engine)) == [*"abcde"]
    assert engine.asked == [["e"]]


def test_a_chunk_that_no_longer_fits_is_given_up_and_sampled_again(tmp_path: Path) -> None:
    job, path = make_job(*"abcde", chunk=2), tmp_path / "mine.jsonl"
    with pytest.raises(RunStoppedError, match="stopped after 2 of 5 problems"):
        measure(path, job, FakeEngine(), stop_after=2, grace=0)
    engine = FakeEngine()
    assert list(measure(path, job, engine)) == [*"abcde"]
    assert engine.asked == [["c", "d"], ["e"]]


def test_results_depend_on_seed_set_problem_and_sample_alone(tmp_path: Path) -> None:
    names = [*"abcdefgh"]
    one = measure(tmp_path / "1", make_job(*names, chunk=8), FakeEngine())
    apart = measure(tmp_path / "2", make_job(*reversed(names), chunk=3), FakeEngine())
    assert one == apart
    assert one != measure(tmp_path / "3", make_job(*names, chunk=8), FakeEngine(), seed=2)
    other_set = make_job(*names, chunk=8, set_name="other")
    assert one != measure(tmp_path / "4", other_set, FakeEngine())


def test_a_full_disk_is_told_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = SetRecord(tmp_path / "mine.jsonl", HEADER)

    def refuse(descriptor: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", refuse)
    with pytest.raises(RlavrError, match="make room and start the same command again"):
        record.add([result("a", True)])
    assert record.done == {}


# --- texts ---------------------------------------------------------------------------------------


def measure_with_texts(
    folder: Path, job: SetToMeasure, engine: FakeEngine, **settings: int
) -> tuple[SetRecord, ResponsesRecord]:
    record = SetRecord(folder / "mine.jsonl", HEADER)
    texts = ResponsesRecord(responses_path(folder, "mine"), HEADER)
    measuring = replace(bench(engine, **settings), with_texts=True)
    done = frozenset(record.done) & texts.done
    measuring.measure(job, done=done, record=record, texts=texts)
    return record, texts


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_responses_are_written_one_line_per_problem_and_sample_and_hold_no_label(
    tmp_path: Path,
) -> None:
    record = measure_with_texts(tmp_path, make_job("a", "b", chunk=1), FakeEngine())
    file = tmp_path / "texts.jsonl"
    write_responses(file, [record])
    rows = rows_of(file)
    assert [(row["id"], row["sample"]) for row in rows] == [
        (name, k) for name in "ab" for k in range(4)
    ]
    assert rows[0].keys() == {
        *("set", "id", "sample", "prompt", "response"),
        *("answer", "correct", "truncated", "tokens"),
    }
    assert all(row["response"] == f"\\boxed{{{row['answer']}}}" for row in rows)
    assert all(row["correct"] == (row["answer"] == "1") for row in rows)
    assert {row["set"] for row in rows} == {"mine"}
    assert rows[0]["prompt"] == prompt("a").text
    check_responses_file(file)  # a second evaluation may replace it


def test_texts_are_for_the_user_alone(tmp_path: Path) -> None:
    record, texts = measure_with_texts(tmp_path, make_job("a", chunk=1), FakeEngine())
    file = tmp_path / "texts.jsonl"
    write_responses(file, [(record, texts)])
    assert [path.stat().st_mode & 0o777 for path in (file, texts.path)] == [0o600, 0o600]


def test_an_evaluation_cut_off_writes_the_same_texts_as_a_whole_one(tmp_path: Path) -> None:
    job = make_job(*"abcde", chunk=2)
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = measure_with_texts(tmp_path / "whole", job, FakeEngine())
    with pytest.raises(RunStoppedError):
        measure_with_texts(tmp_path / "cut", job, FakeEngine(), stop_after=2)
    engine = FakeEngine()
    cut = measure_with_texts(tmp_path / "cut", job, engine)
    assert engine.asked == [["e"]]
    for folder, records in (("whole", whole), ("cut", cut)):
        write_responses(tmp_path / folder / "texts.jsonl", [records])
    both = [(tmp_path / name / "texts.jsonl").read_text() for name in ("whole", "cut")]
    assert both[0] == both[1] != ""


def test_problems_measured_without_texts_are_sampled_again_with_the_same_results(
    tmp_path: Path,
) -> None:
    job = make_job(*"abc", chunk=2)
    before = measure(tmp_path / "mine.jsonl", job, FakeEngine())
    lines = (tmp_path / "mine.jsonl").read_bytes()
    engine = FakeEngine()
    record, texts = measure_with_texts(tmp_path, job, engine)
    assert engine.asked == [["a", "b"], ["c"]]
    assert record.done == before
    assert (tmp_path / "mine.jsonl").read_bytes() == lines
    write_responses(tmp_path / "new/t.jsonl", [(record, texts)])  # the folder is made
    assert len(rows_of(tmp_path / "new/t.jsonl")) == 12


def test_a_file_that_holds_something_else_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "notes.jsonl"
    for content in ('{"id": "a"}\n', "plain text\n", "no line break"):
        file.write_text(content)
        with pytest.raises(UserError, match="holds something else; name another file"):
            check_responses_file(file)
    with pytest.raises(UserError, match="is a folder"):
        check_responses_file(tmp_path)
    file.write_text("")
    check_responses_file(file)
    check_responses_file(tmp_path / "new.jsonl")


def test_texts_of_other_settings_are_refused(tmp_path: Path) -> None:
    path = responses_path(tmp_path, "mine")
    ResponsesRecord(path, HEADER)
    with pytest.raises(UserError, match=r"settings.samples: 2 -> 4"):
        ResponsesRecord(path, {"set": "mine", "settings": {"samples": 4, "seed": 1}})
