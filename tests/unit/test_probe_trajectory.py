"""CARE's probes against ten steps that `tests/golden/make_probe_trajectory.py` worked out.

That file is a transcription of the method which imports nothing of the program. Here the program
plays the same ten steps in float64 from the same weights.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch

from rlavr_hpc.acquisition.policies.care import CarePolicy
from rlavr_hpc.acquisition.probes.features import Examples, Features
from rlavr_hpc.acquisition.probes.pair import Guess, Probes
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.types import Group, HiddenStates, LabelledGroup, StepKey, View
from tests.golden import make_probe_trajectory as golden
from tests.support.groups import prompt, rollout

CLOSE = 1e-9
LAYERS = {
    "prompt.norm": "branches.prompt.0",
    "prompt.linear": "branches.prompt.1",
    "response.norm": "branches.response.0",
    "response.inner": "branches.response.1",
    "response.outer": "branches.response.3",
    "head.norm": "head.0",
    "head.inner": "head.1",
    "head.outer": "head.3",
    "auxiliary.norm": "pair_head.0",
    "auxiliary.inner": "pair_head.1",
    "auxiliary.outer": "pair_head.3",
}
"""The transcription's name of a layer, and the program's."""
STAGES = {"stage1": "vote", "stage2": "count"}
Told = dict[str, Any]


@cache
def told() -> Told:
    loaded: Told = json.loads(golden.FILE.read_text())
    return loaded


class Float64Probes(Probes):
    """The program's probes, with weights and inputs in double precision; keeps the last guess."""

    last: Guess

    def guess(self, features: Features) -> Guess:
        none = torch.zeros(len(features.majority_N), dtype=torch.long)
        examples = Examples(
            features=features, right_N=none, correct_NG=none.unsqueeze(-1), elsewhere_N=none
        )
        self.last = super().guess(doubled(examples).features)
        return self.last

    def learn(self, examples: Examples | None, step_key: StepKey) -> dict[str, float]:
        return super().learn(examples and doubled(examples), step_key)


def doubled(examples: Examples) -> Examples:
    columns = examples.tensors().items()
    return Examples.of({n: c.double() if c.is_floating_point() else c for n, c in columns})


def parameters_of(probes: Probes) -> dict[str, torch.Tensor]:
    """By the transcription's names; the very tensors that are trained."""
    return {
        f"{stage}.{layer}.{name}": value
        for stage, network in STAGES.items()
        for layer, module in LAYERS.items()
        for name in ("weight", "bias", "running_mean", "running_var")
        if (value := getattr(probes, network).state_dict().get(f"{module}.{name}")) is not None
    }


def policy_at_start() -> tuple[CarePolicy, Float64Probes]:
    policy = CarePolicy(**told()["settings"])
    probes = Float64Probes(policy._training, hidden=golden.HIDDEN, group_size=golden.GROUP, seed=1)
    for network in (probes.vote, probes.count):
        network.double()
    mine = parameters_of(probes)
    for name, value in told()["start"].items():
        mine[name].copy_(torch.tensor(value, dtype=torch.float64))
    policy._probes = probes
    return policy, probes


def group_of(name: str, shown: Told) -> Group:
    """The group of a prompt of the file, its vote taken by the program."""
    texts = [f"\\boxed{{{a}}}" if a is not None else "no idea" for a in shown["answers"]]
    lengths = shown["lengths"]
    rollouts = [
        rollout(text, name=name, sample=i, tokens=lengths[i]) for i, text in enumerate(texts)
    ]
    return Verifier().vote([prompt(name)], [rollouts])[0]


def states_of(shown: Told) -> HiddenStates:
    prompt_D = np.array(shown["prompt"], dtype=np.float32)
    return HiddenStates(prompt_D=prompt_D, responses_GD=np.array(shown["responses"], np.float32))


def play(policy: CarePolicy, step: Told, number: int) -> tuple[Told, Mapping[str, float]]:
    """Choose and learn; what the policy told, in the form of the file."""
    names = [f"p{i}" for i in range(golden.PROMPTS)]
    groups = [group_of(name, shown) for name, shown in zip(names, step["prompts"], strict=True)]
    view = View(
        step_key=StepKey(seed=1, step=number),
        quota=step["quota"],
        hidden=dict(zip(names, map(states_of, step["prompts"]), strict=True)),
        max_response_tokens=told()["longest"],
    )
    selection = policy.choose(groups, view)
    bought = [names.index(name) for name in selection.selected]
    labelled = [
        LabelledGroup(group=groups[i], correct=tuple(map(bool, step["prompts"][i]["correct"])))
        for i in bought
    ]
    chosen = {
        "scores": [selection.scores[name] for name in names],
        "gate": [names.index(name) for name in selection.gate],
        "trusted": [names.index(name) for name in selection.trusted],
        "bought": bought,
    }
    return chosen, policy.learn(labelled, view)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_ten_steps_are_those_of_the_transcription() -> None:
    """Beliefs, scores, gate, purchases, losses; all weights and statistics at the end."""
    policy, probes = policy_at_start()
    for number, step in enumerate(told()["steps"], 1):
        chosen, losses = play(policy, step, number)
        assert chosen.pop("scores") == pytest.approx(step["scores"], abs=CLOSE), number
        assert chosen == {name: step[name] for name in chosen}, number
        assert probes.last.vote_right_N == pytest.approx(step["vote_right"], abs=CLOSE), number
        assert flat(probes.last.elsewhere_NC) == pytest.approx(flat(step["elsewhere"]), abs=CLOSE)
        expected = {
            network: mean(step["losses"][stage])
            for stage, network in STAGES.items()
            if step["losses"][stage]
        }
        assert losses == pytest.approx(expected, abs=CLOSE), number
    ends = {
        **told()["end"],
        **{f"{name}.running_mean": value for name, value in told()["running_mean"].items()},
        **{f"{name}.running_var": value for name, value in told()["running_variance"].items()},
    }
    mine = parameters_of(probes)
    assert mine.keys() == ends.keys()
    everything = {**probes.vote.state_dict(prefix="1"), **probes.count.state_dict(prefix="2")}
    assert len(mine) == sum("num_batches" not in name for name in everything), "a layer more"
    for name, value in ends.items():
        assert mine[name].flatten().tolist() == pytest.approx(
            torch.tensor(value, dtype=torch.float64).flatten().tolist(), abs=CLOSE
        ), name


def weights_of_classes() -> set[float]:
    """All class weights of the ten steps, of both stages."""
    memory, found = list[Told](), set[float]()
    for step in told()["steps"]:
        bought = [step["prompts"][i] for i in step["bought"]]
        batch = [*bought, *memory]
        for target in (golden.vote_is_right, golden.target_of):
            found |= set(golden.class_weights([int(target(p)) for p in batch]).values())
        memory = [*memory, *bought][-golden.SETTINGS["buffer"] :]
    return found


def test_the_file_is_what_the_transcription_writes_and_meets_every_rule() -> None:
    again = json.loads(golden.as_text(golden.trajectory()))
    assert flat(again) == pytest.approx(flat(told()), abs=CLOSE)
    steps = told()["steps"]
    bought = [step["prompts"][i] for step in steps for i in step["bought"]]
    trusted = [step["prompts"][i] for step in steps for i in step["trusted"]]
    assert any(not golden.clusters_of(p) for p in trusted), "a gate with a prompt without a vote"
    assert any(not golden.clusters_of(p) for p in bought)
    assert any(golden.target_of(p) not in golden.possible(p) for p in bought), "two right clusters"
    assert any(
        golden.vote_is_right(p) and sum(p["correct"]) > len(golden.clusters_of(p)[0])
        for p in bought
    )
    assert any(len(golden.clusters_of(p)) == 1 for p in bought), "nothing outside the vote"
    assert len(bought) > golden.SETTINGS["buffer"], "something is forgotten"
    for norm in ("norm1", "norm2"):
        norms = list(chain(*(step["losses"][norm] for step in steps)))
        assert min(norms) < golden.SETTINGS["clip_grad"] < max(norms)
    bounds = {golden.SETTINGS["class_weight_min"], golden.SETTINGS["class_weight_max"]}
    assert bounds < weights_of_classes()
    assert {0, 1} <= {len(step["bought"]) for step in steps}


def flat(value: object) -> list[float]:
    """All numbers of nested lists and dictionaries, in order."""
    if isinstance(value, Mapping):
        return [number for key in sorted(value) for number in flat(value[key])]
    if isinstance(value, list):
        return [number for one in value for number in flat(one)]
    return [value] if isinstance(value, int | float) else []


def test_the_transcription_imports_nothing_of_the_program() -> None:
    tree = ast.parse((golden.FILE.parent / "make_probe_trajectory.py").read_text())
    imported = {
        alias.name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {name.partition(".")[0] for name in imported} == {
        "__future__",
        "collections",
        "json",
        "math",
        "numpy",
        "pathlib",
        "torch",
        "typing",
    }
