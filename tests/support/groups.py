"""Small records for tests, made by hand."""

from __future__ import annotations

from collections.abc import Sequence

from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.types import Group, Prompt, Rollout, StepKey

PLACE = StepKey(seed=1, step=1)


def prompt(name: str = "p1", *, text: str = "question", task: str = "math") -> Prompt:
    return Prompt(id=name, text=text, token_ids=(1, 2), task=task)


def rollout(text: str, *, name: str = "p1", sample: int = 0, tokens: int = 3) -> Rollout:
    return Rollout(
        prompt_id=name,
        sample=sample,
        token_ids=tuple(range(tokens)),
        logprobs=(-0.5,) * tokens,
        text=text,
        truncated=False,
    )


def group(answers: Sequence[str | None], *, name: str = "p1") -> Group:
    """A math group whose rollouts box these answers; None = no box."""
    texts = [f"so \\boxed{{{a}}}" if a is not None else "no idea" for a in answers]
    rollouts = [rollout(text, name=name, sample=i) for i, text in enumerate(texts)]
    return Verifier().vote([prompt(name)], [rollouts])[0]
