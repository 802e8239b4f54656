"""The policy's judgements of its own responses, for the self-verification reward."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rlavr_hpc.errors import UserError
from rlavr_hpc.labels.extract import last_boxed
from rlavr_hpc.learning.self_verify import SelfVerifyReward
from rlavr_hpc.rollout.engine import RolloutEngine, Sampling, never
from rlavr_hpc.types import Message, Prompt, Question, Rollout, StepKey

PURPOSE = "verify"
FEWEST_TOKENS = 16
"""A judgement needs at least this many."""

SelfVerdicts = dict[str, tuple[bool, ...]]
"""Prompt id -> (G,): whether the policy judges its response correct."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfVerifier:
    """Asks the policy about responses, and parses its judgements."""

    reward: SelfVerifyReward
    questions: Mapping[str, Question]
    """The training questions, without any template around them."""
    write: Callable[[Question], Prompt]
    """Templates and tokenizes, as for training prompts."""
    longest: int
    """Tokens of a question about a response; a longer one counts as judged incorrect."""
    room: int
    """Tokens of a judgement."""

    def judge(
        self,
        engine: RolloutEngine,
        rollouts: Sequence[Sequence[Rollout]],
        *,
        step_key: StepKey,
        version: int,
        should_abort: Callable[[], bool] = never,
    ) -> SelfVerdicts:
        """One judgement per rollout; unparsable ones count as incorrect.

        Args:
            engine: holds the policy of `version`.
            rollouts: per prompt.
            step_key: the step.
            version: of the policy.
            should_abort: see `RolloutEngine.sample`.
        """
        asked = [self._about(rollout) for group in rollouts for rollout in group]
        fitting = [prompt for prompt in asked if len(prompt.token_ids) <= self.longest]
        sampling = Sampling(
            samples=1, temperature=self.reward.temperature, max_tokens=self.room, purpose=PURPOSE
        )
        answers = engine.sample(
            fitting,
            sampling=sampling,
            step_key=step_key,
            version=version,
            should_abort=should_abort,
        )
        said = {p.id: says_true(found[0].text) for p, found in zip(fitting, answers, strict=True)}
        return {
            group[0].prompt_id: tuple(said.get(_name(rollout), False) for rollout in group)
            for group in rollouts
        }

    def _about(self, rollout: Rollout) -> Prompt:
        question = self.questions[rollout.prompt_id]
        text = self.reward.about(problem=question.text, solution=rollout.text)
        return self.write(
            Question(
                id=_name(rollout),
                messages=(Message(role="user", content=text),),
                text=text,
                task=question.task,
            )
        )


def build_self_verifier(
    reward: SelfVerifyReward,
    questions: Sequence[Question],
    write: Callable[[Question], Prompt],
    *,
    longest_pair: int,
    positions: int | None,
) -> SelfVerifier:
    """A verifier whose questions and judgements fit the model.

    Args:
        reward: its settings.
        questions: of the training data.
        write: see `SelfVerifier`.
        longest_pair: tokens of the longest prompt and the longest response together.
        positions: tokens the model holds; None = no limit known.

    Raises:
        UserError: there is no room for a judgement.
    """
    empty = reward.about(problem="", solution="")
    frame = Question(
        id="", messages=(Message(role="user", content=empty),), text=empty, task="math"
    )
    longest = longest_pair + len(write(frame).token_ids)
    room = reward.max_tokens if positions is None else min(reward.max_tokens, positions - longest)
    if room < FEWEST_TOKENS:
        raise UserError(
            f"reward=self_verify: a question about a response takes up to {longest} tokens, and "
            f"the model's context has {positions}; lower rollout.max_response_tokens or "
            "rollout.max_prompt_tokens"
        )
    return SelfVerifier(
        reward=reward,
        questions={q.id: q for q in questions},
        write=write,
        longest=longest,
        room=room,
    )


def says_true(text: str) -> bool:
    r"""Whether a judgement ends in `\boxed{True}`, however it is spelt."""
    answer = last_boxed(text)
    return (
        answer is not None and answer.removeprefix("\\text{").rstrip("}").strip().lower() == "true"
    )


def _name(rollout: Rollout) -> str:
    return f"{rollout.prompt_id}/{PURPOSE}/{rollout.sample}"
