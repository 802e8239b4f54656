"""Votes of three kinds that hidden states tell apart: right, wrong with a right minority, noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rlavr_hpc.types import Group, HiddenStates, LabelledGroup, StepKey, View
from tests.support.groups import group

SIZE = 8
RIGHT, WRONG, NOISE = "right", "wrong", "noise"


def world(
    count: int, *, flip: Sequence[int] = (), seed: int = 0, answer: str = "7"
) -> tuple[list[Group], View]:
    """Groups of three kinds, told apart by their hidden states; `flip` makes votes `answer`."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(9).standard_normal((3, SIZE))
    groups, hidden = [], {}
    for i in range(count):
        kind = i % 3
        answers = [["1"] * 5 + ["2"] * 2 + ["3"], ["4"] * 4 + ["5"] * 3 + ["6"], list("12345678")]
        said = [answer] * 8 if i in flip else answers[kind]
        name = f"{(RIGHT, WRONG, NOISE)[kind]}{i}"
        groups.append(group(said, name=name))
        states = centres[kind] + 0.1 * rng.standard_normal((9, SIZE))
        hidden[name] = HiddenStates(
            prompt_D=states[0].astype(np.float32), responses_GD=states[1:].astype(np.float32)
        )
    return groups, View(step_key=StepKey(seed=1, step=1), quota=6, hidden=hidden)


def lessons_of(groups: Sequence[Group], selected: Sequence[str]) -> list[LabelledGroup]:
    """True answers: 1 for the right kind, 5 for the wrong one, none of them for noise."""
    by_name = {g.prompt.id: g for g in groups}
    truth = {RIGHT: "1", WRONG: "5", NOISE: "0"}
    return [
        LabelledGroup(
            group=by_name[name],
            correct=tuple(a == truth[name[:5]] for a in by_name[name].vote.answers),
        )
        for name in selected
    ]
