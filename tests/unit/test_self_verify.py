"""The policy as its own judge: what it is asked, and what counts as a yes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from rlavr_hpc.errors import UserError
from rlavr_hpc.learning.self_verify import SelfVerifyReward
from rlavr_hpc.rollout.engine import Sampling, never
from rlavr_hpc.trainer.stages.self_verification import SelfVerifier, build_self_verifier, says_true
from rlavr_hpc.types import Prompt, Question, Rollout, SelfRewardInputs, StepKey
from tests.support.groups import PLACE, group, rollout

QUESTION = Question(id="p1", messages=(), text="What is 1 + 1?", task="math")


def write(question: Question) -> Prompt:
    """A token a word."""
    ids = tuple(range(len(question.text.split())))
    return Prompt(id=question.id, text=question.text, token_ids=ids, task=question.task)


@dataclass
class Oracle:
    """An engine that believes in 2 and in nothing else."""

    asked: list[tuple[Prompt, Sampling]] = field(default_factory=list)

    def sample(
        self,
        prompts: Sequence[Prompt],
        *,
        sampling: Sampling,
        step_key: StepKey,
        version: int,
        should_abort: Callable[[], bool] = never,
    ) -> list[list[Rollout]]:
        self.asked += [(prompt, sampling) for prompt in prompts]
        texts = [f"\\boxed{{{'boxed{2}' in prompt.text}}}" for prompt in prompts]
        return [[rollout(text)] for text in texts]


def self_verifier(*, longest_pair: int = 1000, positions: int | None = None) -> SelfVerifier:
    return build_self_verifier(
        SelfVerifyReward(), [QUESTION], write, longest_pair=longest_pair, positions=positions
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fine. \\boxed{True}", True),
        ("\\boxed{true}", True),
        ("\\boxed{\\text{True}}", True),
        ("\\boxed{False} no: \\boxed{True}", True),
        ("\\boxed{True} no: \\boxed{False}", False),
        ("\\boxed{Truely}", False),
        ("True", False),
        ("", False),
        ("\\boxed{" * 500 + "True", False),
    ],
)
def test_only_a_last_boxed_true_is_a_yes(text: str, expected: bool) -> None:
    assert says_true(text) is expected


def test_each_response_is_asked_about_once_with_its_problem_and_its_own_seed() -> None:
    engine = Oracle()
    rollouts = [[rollout("so \\boxed{2}"), rollout("so \\boxed{3}", sample=1)]]
    said = self_verifier().judge(engine, rollouts, step_key=PLACE, version=0)  # type: ignore[arg-type]
    assert said == {"p1": (True, False)}
    prompts = [prompt for prompt, _ in engine.asked]
    assert [p.id for p in prompts] == ["p1/verify/0", "p1/verify/1"]
    assert all("What is 1 + 1?" in p.text for p in prompts)
    sampling = engine.asked[0][1]
    assert (sampling.samples, sampling.temperature, sampling.max_tokens) == (1, 0.5, 4096)
    assert sampling.purpose == "verify"


def test_a_response_too_long_to_ask_about_is_not_believed() -> None:
    engine = Oracle()
    long = rollout("so \\boxed{2} " + "word " * 300)
    said = self_verifier(longest_pair=50).judge(engine, [[long]], step_key=PLACE, version=0)  # type: ignore[arg-type]
    assert said == {"p1": (False,)}
    assert engine.asked == []


def test_a_judgement_takes_the_room_the_model_has() -> None:
    roomy = self_verifier(longest_pair=100, positions=1000)
    assert roomy.room == 1000 - roomy.longest
    with pytest.raises(UserError, match=r"self_verify.*max_response_tokens"):
        self_verifier(longest_pair=990, positions=1000)


def test_the_reward_is_the_judgement() -> None:
    own = SelfRewardInputs(verdicts=(True, False))
    assert SelfVerifyReward().of(group(["1", "2"]), (0.0, 1.0), own) == (1.0, 0.0)


@pytest.mark.parametrize("instruction", ["{problem}", "{problem} {solution} {else}", "{"])
def test_an_instruction_that_cannot_be_filled_in_is_refused(instruction: str) -> None:
    with pytest.raises(ValueError, match="instruction"):
        SelfVerifyReward(instruction=instruction)
