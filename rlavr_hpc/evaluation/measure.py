"""The measurement itself: sample a chunk of problems on all ranks, grade it, record it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from tqdm import tqdm

from rlavr_hpc.answers.verifier import Grade, Verifier
from rlavr_hpc.cluster.preemption import Deadline
from rlavr_hpc.errors import OutOfTimeError, RunStoppedError
from rlavr_hpc.evaluation.record import ProblemResult, SetRecord
from rlavr_hpc.evaluation.responses import GradedProblem, ResponsesRecord
from rlavr_hpc.evaluation.test_sets import ProblemSet
from rlavr_hpc.rollout.engine import RolloutEngine, Sampling
from rlavr_hpc.trainer import distributed
from rlavr_hpc.types import Group, Prompt, Rollout, StepKey

VERSION = 0
"""Of the weights in the engine: there is but one."""
CHUNK_SAMPLES = 512
"""Responses that go to disk together, unless the command line says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetToMeasure:
    """A test set ready to be measured."""

    problems: ProblemSet
    prompts: tuple[Prompt, ...]
    chunk: int
    """Problems of a chunk."""
    chats: bool = False
    """Whether the prompts are in the model's chat template."""

    @property
    def sampling(self) -> Sampling:
        """How it is sampled; the purpose keeps the sets' seeds apart."""
        settings = self.problems.settings
        assert settings.max_response_tokens is not None
        return Sampling(
            samples=settings.samples,
            temperature=settings.temperature,
            top_p=settings.top_p,
            max_tokens=settings.max_response_tokens,
            purpose=f"eval/{self.problems.name}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMeasurement:
    """The engine with the weights, and how responses are graded."""

    engine: RolloutEngine
    seed: int
    deadline: Deadline
    """Says when to stop, and when to give up a chunk."""
    quiet: bool
    """No progress bar."""
    verifier: Verifier
    with_texts: bool = False
    """Whether prompts and responses are kept, too."""

    def measure(
        self,
        job: SetToMeasure,
        *,
        done: frozenset[str],
        record: SetRecord | None,
        texts: ResponsesRecord | None = None,
    ) -> None:
        """Complete the record of the set. All ranks call this together.

        A chunk that was recorded in part is sampled whole again, so that every request keeps its
        neighbours in the batch and the results are those of an uninterrupted evaluation.

        Args:
            job: the set.
            done: problems that the record held at the start.
            record: on rank 0 only: there is one writer.
            texts: the same, where texts are kept.

        Raises:
            RunStoppedError: a signal came; what was finished is on disk.
        """
        name, total = job.problems.name, len(job.prompts)
        finished = len(done)
        with tqdm(
            total=total, initial=finished, desc=name, unit="problem", disable=self.quiet
        ) as bar:
            for chunk in _chunks(job.prompts, job.chunk):
                new = sum(prompt.id not in done for prompt in chunk)
                if not new:
                    continue
                try:
                    problems = self._run(chunk, job)
                except OutOfTimeError:
                    raise RunStoppedError(
                        f"{name}: stopped after {finished} of {total} problems; the same command "
                        "goes on from there"
                    ) from None
                distributed.on_main(partial(_keep, record, texts, problems))
                finished += new
                bar.update(new)

    def _run(self, chunk: Sequence[Prompt], job: SetToMeasure) -> list[GradedProblem]:
        distributed.abort_together(self._requested)
        share = chunk[self.engine.replica :: self.engine.replicas]
        rollouts: list[list[Rollout]] = []
        with self.deadline.work("chunk"), suppress(OutOfTimeError):  # raised below on every rank
            rollouts = self._sample(share, job) if share else []
        distributed.abort_together(self.deadline.out_of_time)
        leads = share if self.engine.is_leader else []
        mine = grade(self.verifier, leads, rollouts, job.problems.answers) if leads else []
        graded = [
            GradedProblem(result=result, **(_texts(prompt, given) if self.with_texts else {}))
            for result, prompt, given in zip(mine, leads, rollouts if leads else [], strict=True)
        ]
        by_id = {p.result.id: p for part in distributed.gather_lists(graded) for p in part}
        return [by_id[prompt.id] for prompt in chunk]

    def _requested(self) -> bool:
        return self.deadline.stop.received is not None

    def _sample(self, share: Sequence[Prompt], job: SetToMeasure) -> list[list[Rollout]]:
        return self.engine.sample(
            share,
            sampling=job.sampling,
            step_key=StepKey(seed=self.seed, step=0),
            version=VERSION,
            should_abort=self.deadline.out_of_time,
        )


def _texts(prompt: Prompt, rollouts: Sequence[Rollout]) -> dict[str, Any]:
    return {"prompt": prompt.text, "responses": tuple(rollout.text for rollout in rollouts)}


def _keep(
    record: SetRecord | None, texts: ResponsesRecord | None, problems: list[GradedProblem]
) -> None:
    if texts is not None:
        texts.add(problems)
    if record is not None:
        record.add(problem.result for problem in problems)


def _chunks(prompts: Sequence[Prompt], size: int) -> Iterator[Sequence[Prompt]]:
    """The same chunks at every start, whatever is finished."""
    return (prompts[start : start + size] for start in range(0, len(prompts), size))


def grade(
    verifier: Verifier,
    prompts: Sequence[Prompt],
    rollouts: Sequence[Sequence[Rollout]],
    answers: Mapping[str, str],
) -> list[ProblemResult]:
    """Read, vote and grade; the only caller of the verifier."""
    groups = verifier.vote(prompts, rollouts)
    grades = verifier.grade(groups, answers)
    return [_result(group, grades[group.prompt.id]) for group in groups]


def _result(group: Group, grade: Grade) -> ProblemResult:
    clusters = group.vote.clusters
    lost = {*group.vote.ungradable, *grade.ungradable}
    return ProblemResult(
        id=group.prompt.id,
        answers=group.vote.answers,
        correct=grade.correct,
        ungradable=tuple(i in lost for i in range(len(group.rollouts))),
        vote=clusters[0][0] if clusters else None,
        tokens=tuple(len(rollout.token_ids) for rollout in group.rollouts),
        truncated=tuple(rollout.truncated for rollout in group.rollouts),
    )
