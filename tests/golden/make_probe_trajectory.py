"""`python -m tests.golden.make_probe_trajectory`: writes probe_trajectory.json beside itself.

Ten steps of CARE's two probes (arXiv 2605.25864), transcribed from the text of the method and from
nothing else: this file imports nothing of the program. Float64; gradients are torch's, while
normalization, loss, clipping and AdamW are written out. What the text leaves open is torch's
default: BatchNorm with eps 1e-5 and momentum 0.1, its running variance unbiased; a weighted cross
entropy divides by the sum of the weights; AdamW with betas 0.9 and 0.999 and eps 1e-8.

Everything is small, and replay has nothing to draw: the buffer is no larger than what is replayed.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

FILE = Path(__file__).with_name("probe_trajectory.json")
HIDDEN, GROUP, PROMPTS, LONGEST = 8, 4, 6, 8
QUOTAS = (1, 3, 3, 3, 3, 0, 3, 3, 2, 3)
"""Labels a step may buy: the first step has too few to learn from, the sixth only remembers."""
SETTINGS: dict[str, Any] = {
    "gate": 0.25,
    "warmup_steps": 4,
    "updates": 3,
    "lr": 1e-3,
    "weight_decay": 0.0,
    "clip_grad": 1.0,
    "pair_weight": 1.5,
    "buffer": 12,
    "replayed": 12,
    "class_weight_min": 0.8,
    "class_weight_max": 1.25,
    "prompt_width": 6,
    "response_inner_width": 5,
    "response_width": 7,
    "head_width": 9,
}
"""The paper's, but for sizes, a shorter warm-up, faster learning, and bounds that are met."""
Prompt = dict[str, Any]
Params = dict[str, Tensor]


# --- the task: answers, lengths, states and what a label would say -------------------------------


def make_prompts(rng: np.random.Generator) -> list[Prompt]:
    """A step's prompts; numbers are multiples of 1/64, so that float32 holds them, too."""
    return [make_prompt(rng) for _ in range(PROMPTS)]


def make_prompt(rng: np.random.Generator) -> Prompt:
    kind = rng.random()
    if kind < 0.15:
        answers: list[str | None] = [None] * GROUP
    elif kind < 0.25:
        answers = ["1"] * GROUP
    else:
        answers = [
            (None, "1", "2", "3")[int(i)] for i in rng.choice(4, GROUP, p=[0.1, 0.4, 0.3, 0.2])
        ]
    right = [str(i + 1) for i in rng.permutation(3)[: int(rng.integers(0, 3))]]
    # A label may agree with two clusters that do not agree with each other.
    return {
        "answers": answers,
        "correct": [int(answer in right) for answer in answers],
        "lengths": [int(n) for n in rng.integers(1, LONGEST + 4, GROUP)],
        "prompt": sixty_fourths(rng.standard_normal(HIDDEN)),
        "responses": sixty_fourths(rng.standard_normal((GROUP, HIDDEN))),
    }


def sixty_fourths(values: Any) -> Any:  # noqa: ANN401
    return (np.round(values * 64) / 64).tolist()


def make_layers(rng: np.random.Generator) -> Params:
    """Initial weights of both stages, by `stage.part.layer.name`."""
    width = SETTINGS["prompt_width"], SETTINGS["response_inner_width"], SETTINGS["response_width"]
    joint, head = width[0] + width[2], SETTINGS["head_width"]
    made: Params = {}

    def linear(name: str, inputs: int, outputs: int) -> None:
        bound = 1 / math.sqrt(inputs)
        made[f"{name}.weight"] = rounded(rng.uniform(-bound, bound, (outputs, inputs)))
        made[f"{name}.bias"] = rounded(rng.uniform(-bound, bound, outputs))

    def norm(name: str, inputs: int) -> None:
        made[f"{name}.weight"] = rounded(rng.uniform(0.5, 1.5, inputs))
        made[f"{name}.bias"] = rounded(rng.uniform(-0.25, 0.25, inputs))

    def classifier(name: str, classes: int) -> None:
        norm(f"{name}.norm", joint)
        linear(f"{name}.inner", joint, head)
        linear(f"{name}.outer", head, classes)

    for stage, extra in (("stage1", 1), ("stage2", 0)):
        norm(f"{stage}.prompt.norm", HIDDEN + 1 + GROUP)
        linear(f"{stage}.prompt.linear", HIDDEN + 1 + GROUP, width[0])
        norm(f"{stage}.response.norm", HIDDEN + extra)
        linear(f"{stage}.response.inner", HIDDEN + extra, width[1])
        linear(f"{stage}.response.outer", width[1], width[2])
    classifier("stage1.head", 2)
    classifier("stage1.auxiliary", 2)
    classifier("stage2.head", GROUP + 1)
    return made


def rounded(values: Any) -> Tensor:  # noqa: ANN401
    return torch.tensor(np.round(values * 1024) / 1024, dtype=torch.float64)


# --- votes ---------------------------------------------------------------------------------------


def clusters_of(prompt: Prompt) -> list[list[int]]:
    """Members of each cluster: the largest first, then the one whose first member came first."""
    members: dict[str, list[int]] = {}
    for i, answer in enumerate(prompt["answers"]):
        if answer is not None:
            members.setdefault(answer, []).append(i)
    return sorted(members.values(), key=len, reverse=True)


def vote_is_right(prompt: Prompt) -> bool:
    clusters = clusters_of(prompt)
    return bool(clusters) and bool(prompt["correct"][clusters[0][0]])


def target_of(prompt: Prompt) -> int:
    """0 when the vote is right, else the sum of the correct clusters that lost."""
    if vote_is_right(prompt):
        return 0
    return sum(len(c) for c in clusters_of(prompt)[1:] if prompt["correct"][c[0]])


def gap(x: int, y: int) -> float:
    """Corrective advantage gap of a wrong vote of x rollouts, with y correct ones outside it."""
    if x in (0, GROUP) and y == 0:
        return 0.0
    if y == 0:
        return math.sqrt(GROUP)
    return math.sqrt(2 * GROUP * (1 + math.sqrt(x * y / ((GROUP - x) * (GROUP - y)))))


# --- networks ------------------------------------------------------------------------------------


class Probes:
    """Weights, running statistics and AdamW's moments of both stages."""

    def __init__(self, layers: Params) -> None:
        self.layers = {name: value.clone().requires_grad_() for name, value in layers.items()}
        norms = [name.removesuffix(".weight") for name in layers if name.endswith("norm.weight")]
        self.mean = {n: torch.zeros_like(layers[f"{n}.weight"]) for n in norms}
        self.variance = {n: torch.ones_like(layers[f"{n}.weight"]) for n in norms}
        self.first = {name: torch.zeros_like(value) for name, value in layers.items()}
        self.second = {name: torch.zeros_like(value) for name, value in layers.items()}
        self.updates = Counter[str]()
        self.training = False

    def linear(self, name: str, x: Tensor) -> Tensor:
        return x @ self.layers[f"{name}.weight"].T + self.layers[f"{name}.bias"]

    def norm(self, name: str, x: Tensor) -> Tensor:
        """BatchNorm of rows x features."""
        mean, variance = self.mean[name], self.variance[name]
        if self.training:
            mean = x.mean(0)
            variance = ((x - mean) ** 2).mean(0)
            unbiased = variance.detach() * len(x) / (len(x) - 1)
            self.mean[name] = 0.9 * self.mean[name] + 0.1 * mean.detach()
            self.variance[name] = 0.9 * self.variance[name] + 0.1 * unbiased
        scaled = (x - mean) / torch.sqrt(variance + 1e-5)
        return scaled * self.layers[f"{name}.weight"] + self.layers[f"{name}.bias"]

    def prompt_branch(self, stage: str, prompts: list[Prompt]) -> Tensor:
        rows = []
        for prompt in prompts:
            sizes = [len(c) / GROUP for c in clusters_of(prompt)]
            parsable = sum(answer is not None for answer in prompt["answers"]) / GROUP
            rows.append([*prompt["prompt"], parsable, *sizes, *([0.0] * (GROUP - len(sizes)))])
        x = self.norm(f"{stage}.prompt.norm", torch.tensor(rows, dtype=torch.float64))
        return self.linear(f"{stage}.prompt.linear", x).relu()

    def response_branch(self, stage: str, rows: list[list[float]]) -> Tensor:
        x = self.norm(f"{stage}.response.norm", torch.tensor(rows, dtype=torch.float64))
        x = self.linear(f"{stage}.response.inner", x).relu()
        return self.linear(f"{stage}.response.outer", x).relu()

    def classifier(self, name: str, x: Tensor) -> Tensor:
        x = self.linear(f"{name}.inner", self.norm(f"{name}.norm", x)).relu()
        return self.linear(f"{name}.outer", x)

    def stage1(self, prompts: list[Prompt]) -> tuple[Tensor, Tensor]:
        """Logits of (wrong, right) for each vote, and for each response, prompt by prompt."""
        from_prompts = self.prompt_branch("stage1", prompts)
        rows = [
            [*state, min(length / LONGEST, 1.0)]
            for prompt in prompts
            for state, length in zip(prompt["responses"], prompt["lengths"], strict=True)
        ]
        from_responses = self.response_branch("stage1", rows)
        means = [from_responses[i : i + GROUP].mean(0) for i in range(0, len(rows), GROUP)]
        votes = self.classifier("stage1.head", torch.cat([from_prompts, torch.stack(means)], 1))
        pairs = [torch.cat([from_prompts[i // GROUP], from_responses[i]]) for i in range(len(rows))]
        return votes, self.classifier("stage1.auxiliary", torch.stack(pairs))

    def stage2(self, prompts: list[Prompt], allowed: list[set[int]]) -> Tensor:
        """Logits of how many rollouts outside the vote are right."""
        from_prompts = self.prompt_branch("stage2", prompts)
        pools = [[i for c in clusters_of(prompt)[1:] for i in c] for prompt in prompts]
        rows = [
            state if i in pool else [0.0] * HIDDEN
            for prompt, pool in zip(prompts, pools, strict=True)
            for i, state in enumerate(prompt["responses"])
        ]
        from_responses = self.response_branch("stage2", rows)
        means = []
        for n, pool in enumerate(pools):
            chosen = [from_responses[n * GROUP + i] for i in pool]
            empty = torch.zeros(SETTINGS["response_width"], dtype=torch.float64)
            means.append(sum(chosen, start=empty) / max(1, len(chosen)))
        logits = self.classifier("stage2.head", torch.cat([from_prompts, torch.stack(means)], 1))
        closed = [[y not in classes for y in range(GROUP + 1)] for classes in allowed]
        return torch.where(torch.tensor(closed), torch.tensor(-1e9, dtype=torch.float64), logits)

    def update(self, stage: str, loss: Tensor) -> float:
        """One AdamW update of a stage's weights; returns the norm of the gradient."""
        mine = [name for name in self.layers if name.startswith(stage)]
        for name in mine:
            self.layers[name].grad = None
        loss.backward()
        gradients = {name: gradient_of(self.layers[name]) for name in mine}
        total = math.sqrt(sum(float((g**2).sum()) for g in gradients.values()))
        self.updates[stage] += 1
        for name, gradient in gradients.items():
            self._adamw(name, gradient * min(1.0, SETTINGS["clip_grad"] / (total + 1e-6)), stage)
        return total

    def _adamw(self, name: str, gradient: Tensor, stage: str) -> None:
        weight, t = self.layers[name].data, self.updates[stage]
        self.first[name] = 0.9 * self.first[name] + 0.1 * gradient
        self.second[name] = 0.999 * self.second[name] + 0.001 * gradient**2
        first = self.first[name] / (1 - 0.9**t)
        second = self.second[name] / (1 - 0.999**t)
        weight *= 1 - SETTINGS["lr"] * SETTINGS["weight_decay"]
        weight -= SETTINGS["lr"] * first / (torch.sqrt(second) + 1e-8)


def gradient_of(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


# --- losses --------------------------------------------------------------------------------------


def class_weights(targets: list[int]) -> dict[int, float]:
    """count^-0.5, scaled to mean 1 over the classes present, then clipped."""
    raw = {name: count**-0.5 for name, count in Counter(targets).items()}
    mean = sum(raw.values()) / len(raw)
    low, high = SETTINGS["class_weight_min"], SETTINGS["class_weight_max"]
    return {name: min(max(value / mean, low), high) for name, value in raw.items()}


def cross_entropy(logits: Tensor, targets: list[int], weights: dict[int, float]) -> Tensor:
    rows = torch.arange(len(targets))
    losses = torch.logsumexp(logits, 1) - logits[rows, torch.tensor(targets)]
    weight = torch.tensor([weights[t] for t in targets], dtype=torch.float64)
    return (losses * weight).sum() / weight.sum()


def learn(probes: Probes, batch: list[Prompt]) -> dict[str, list[float]]:
    """Updates on the bought and the replayed prompts; losses and norms of the gradients."""
    told: dict[str, list[float]] = {name: [] for name in ("stage1", "stage2", "norm1", "norm2")}
    if len(batch) < 2:
        return told
    right = [int(vote_is_right(prompt)) for prompt in batch]
    correct = [c for prompt in batch for c in prompt["correct"]]
    elsewhere = [target_of(prompt) for prompt in batch]
    opened = [possible(p) | {y} for p, y in zip(batch, elsewhere, strict=True)]
    probes.training = True
    for _ in range(SETTINGS["updates"]):
        votes, pairs = probes.stage1(batch)
        auxiliary = cross_entropy(pairs, correct, {0: 1.0, 1: 1.0})
        loss1 = cross_entropy(votes, right, class_weights(right))
        loss1 = loss1 + SETTINGS["pair_weight"] * auxiliary
        told["norm1"].append(probes.update("stage1", loss1))
        loss2 = cross_entropy(probes.stage2(batch, opened), elsewhere, class_weights(elsewhere))
        told["norm2"].append(probes.update("stage2", loss2))
        told["stage1"].append(float(loss1.detach()))
        told["stage2"].append(float(loss2.detach()))
    probes.training = False
    return told


# --- a step --------------------------------------------------------------------------------------


def possible(prompt: Prompt) -> set[int]:
    return {0} | {len(c) for c in clusters_of(prompt)[1:]}


def choose(probes: Probes, prompts: list[Prompt], *, step: int) -> dict[str, Any]:
    """Scores, gate and purchase of a step, before any label is seen."""
    with torch.no_grad():
        votes = torch.softmax(probes.stage1(prompts)[0], 1)[:, 1].tolist()
        counts = torch.softmax(probes.stage2(prompts, [possible(p) for p in prompts]), 1).tolist()
    scores = []
    for prompt, chances in zip(prompts, counts, strict=True):
        x = len(clusters_of(prompt)[0]) if clusters_of(prompt) else 0
        scores.append(sum(chances[y] * gap(x, y) for y in sorted(possible(prompt))))
    believed = sorted(range(PROMPTS), key=lambda i: -votes[i])
    gate = believed[: math.ceil(SETTINGS["gate"] * PROMPTS)]
    trusted = gate if step > SETTINGS["warmup_steps"] else []
    rest = [i for i in sorted(range(PROMPTS), key=lambda i: -scores[i]) if i not in trusted]
    return {
        "vote_right": votes,
        "elsewhere": counts,
        "scores": scores,
        "gate": gate,
        "trusted": trusted,
        "bought": rest[: QUOTAS[step - 1]],
    }


def trajectory(seed: int = 12) -> dict[str, Any]:
    """Inputs, initial weights, what each step made of them, and the weights in the end."""
    rng = np.random.default_rng(seed)
    start = make_layers(rng)
    probes, memory, steps = Probes(start), list[Prompt](), []
    for step in range(1, len(QUOTAS) + 1):
        prompts = make_prompts(rng)
        chosen = choose(probes, prompts, step=step)
        bought = [prompts[i] for i in chosen["bought"]]
        losses = learn(probes, [*bought, *memory])
        memory = [*memory, *bought][-SETTINGS["buffer"] :]
        steps.append({"prompts": prompts, "quota": QUOTAS[step - 1], **chosen, "losses": losses})
    return {
        "settings": SETTINGS,
        "longest": LONGEST,
        "start": {name: value.tolist() for name, value in start.items()},
        "steps": steps,
        "end": {name: value.tolist() for name, value in probes.layers.items()},
        "running_mean": {name: value.tolist() for name, value in probes.mean.items()},
        "running_variance": {name: value.tolist() for name, value in probes.variance.items()},
    }


def as_text(told: dict[str, Any]) -> str:
    """JSON with a line for each parameter and each entry of a step: a change can be read."""
    text = json.dumps(told)
    for key in ('"prompts": ', '"quota"', '"prompt": ', '"losses"'):
        text = text.replace(key, f"\n{key}")
    return text.replace('], "', '],\n"') + "\n"


if __name__ == "__main__":
    FILE.write_text(as_text(trajectory()))
