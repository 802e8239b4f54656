"""The model card: facts of an exported policy in words. Pure text, no torch, no files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from rlavr_hpc.release.facts import (
    Code,
    Facts,
    LabelSpend,
    Method,
    Origin,
    TrainingOutcome,
    Weights,
)

TAGS = ("rlavr", "reinforcement-learning", "verifiable-rewards")
PAPER = "arXiv 2605.25864"


def model_card(facts: Facts) -> str:
    """README.md of an exported policy."""
    parts = [
        _front_matter(facts.weights),
        _introduction(facts),
        _loading(facts.weights, facts.method),
        _section("Labels", _labels(facts.spend, facts.method)),
        _section("Results", _results(facts.outcome, facts.origin)),
        _section("Training", _training(facts.method, facts.weights)),
        _section("Provenance", [*_origin(facts.origin), *_code(facts.code)]),
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(weights: Weights) -> str:
    fields: dict[str, Any] = {
        "library_name": "peft" if weights.adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": list(TAGS),
    }
    if weights.on_hub:
        fields |= {
            "base_model": weights.base,
            "base_model_relation": "adapter" if weights.adapter else "finetune",
        }
    return f"---\n{yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)}---"


def _introduction(facts: Facts) -> str:
    origin = facts.origin
    lines = [
        f"# {origin.run}-{origin.config_hash}, step {origin.step}",
        "",
        f"{_base(facts.weights)} after {origin.step} of {origin.steps} steps of reinforcement "
        f"learning with active verifiable rewards (RLAVR, {PAPER}), trained with rlavr_hpc. "
        f"{facts.spend.bought:,} labels were bought for it.",
    ]
    if facts.method.uses_oracle:
        lines += [
            "",
            f"> **Research only.** acquisition={facts.method.acquisition} looks at labels that "
            "nobody bought (`uses_oracle`), so the spend below understates what this model knows.",
        ]
    if facts.outcome.collapsed:
        lines += [
            "",
            "> **Collapsed.** By this step the run's accuracy had fallen far below its best.",
        ]
    return "\n".join(lines)


def _base(weights: Weights) -> str:
    if weights.on_hub:
        return f"[{weights.base}](https://huggingface.co/{weights.base})"
    if weights.base == "testbed":
        return "The testbed's tiny base model"
    return f"A model from a local folder named `{weights.base}`"


def _loading(weights: Weights, method: Method) -> str:
    remote = ", trust_remote_code=True" if weights.trust_remote_code else ""
    stops = ", ".join(str(i) for i in method.stop_token_ids)
    if weights.adapter:
        return _loading_adapter(weights, method)
    return f"""\
## Load it

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

folder = "FOLDER"  # the one this file lies in
tokenizer = AutoTokenizer.from_pretrained(folder{remote})
model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto"{remote})
```

or `vllm serve FOLDER{" --trust-remote-code" if remote else ""}`. {_format(weights)} \
`generation_config.json` samples as the run did: temperature {method.temperature:g} from the full
distribution, at most {method.max_response_tokens:,} new tokens, ended by token {stops}. \
{_prompting(method)}"""


def _loading_adapter(weights: Weights, method: Method) -> str:
    remote = ", trust_remote_code=True" if weights.trust_remote_code else ""
    base = weights.base if weights.on_hub else "BASE"
    return f"""\
## Load it

Adapters of rank {weights.lora_rank} for the base model above, without its weights; needs peft:

```python
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("{base}", dtype="{weights.trained_dtype}"{remote})
model.load_adapter("FOLDER")  # the one this file lies in
```

{_format(weights)} The run sampled at temperature {method.temperature:g} from the full
distribution, at most {method.max_response_tokens:,} new tokens. {_prompting(method)}"""


def _format(weights: Weights) -> str:
    told = f"{weights.parameters:,} parameters in {weights.dtype}"
    if weights.dtype == weights.trained_dtype:
        return f"{told}, as they were trained."
    if weights.trained_dtype == "bfloat16":
        return f"{told}: the optimizer's own copy of weights that ran in bfloat16 in training."
    return f"{told}, rounded from the {weights.trained_dtype} of training."


def _prompting(method: Method) -> str:
    template = {
        True: "Prompts were put in the chat template",
        False: "Prompts were not put in a chat template",
        None: "Whether prompts were put in a chat template was not recorded",
    }[method.chat_template]
    if method.system_prompt:
        return f"{template}, behind a system prompt that is not told here."
    return f"{template}, without a system prompt."


def _labels(spend: LabelSpend, method: Method) -> Iterable[str]:
    cap = "" if spend.budget_total is None else f", at most {spend.budget_total:,} in all"
    yield f"acquisition policy: {method.acquisition}"
    yield (
        f"budget: {spend.budget:.1%} of prompts asked, {spend.budget_effective:.1%} effective "
        f"({spend.quota} of {method.batch} a step{cap})"
    )
    yield f"labels bought: {spend.bought:,} of {spend.allowed:,} allowed by this step"
    yield f"labels reused free of charge: {spend.reused:,}"
    if spend.void:
        yield f"purchases that met no label: {spend.void:,}"
    yield f"cost: {spend.cost:g}"


def _results(outcome: TrainingOutcome, origin: Origin) -> Iterable[str]:
    what = f"held-out {outcome.statistic}"
    if outcome.held_out is not None:
        what += f" on {outcome.held_out:,} prompts"
    if outcome.accuracy_start is not None:
        yield f"{what}, before training: {outcome.accuracy_start:.3f}"
    if outcome.accuracy is not None:
        yield f"{what}, at this step: {outcome.accuracy:.3f}"
    elif outcome.last_measured is not None:
        step, accuracy = outcome.last_measured
        yield f"{what}, at this step: not measured ({accuracy:.3f} at step {step})"
    else:
        yield f"{what}: not measured"
    collapsed = {True: "yes", False: "no", None: "not known"}[outcome.collapsed]
    yield f"collapsed by step {origin.step}: {collapsed}"
    alarm = outcome.early_warning
    yield (
        "early warning: none"
        if alarm is None
        else f"early warning: at step {alarm['step']}, risk {alarm['risk']:.2f}: {alarm['reason']}"
    )


def _training(method: Method, weights: Weights) -> Iterable[str]:
    prompts = "" if method.prompts is None else f", {method.prompts:,} prompts"
    yield f"data: {method.data}{prompts} (fingerprint {method.prompts_fingerprint})"
    yield f"a step: {method.batch} prompts x {method.group_size} rollouts"
    yield f"loss: {method.loss}, learning rate {method.learning_rate:g}"
    yield f"reward without a label: {method.reward}; prompts without one: {method.unlabelled}"
    if weights.lora_rank is not None:
        merged = "" if weights.adapter else ", merged into the weights here"
        yield f"trained: adapters (LoRA) of rank {weights.lora_rank}{merged}"


def _origin(origin: Origin) -> Iterable[str]:
    yield f"run: {origin.run}, config hash {origin.config_hash}, seed {origin.seed}"
    if origin.config_changed:
        yield "the run has been given other settings since; those told here are the later ones"
    yield (
        f"checkpoint: step {origin.step}, branch {origin.branch}, written by attempt "
        f"{origin.attempt} on {origin.ranks} rank{'' if origin.ranks == 1 else 's'}"
    )
    yield f"sha256 of the checkpoint's manifest: {origin.manifest_sha256}"


def _code(code: Code) -> Iterable[str]:
    yield f"code revision: {code.revision or 'not recorded'}"
    if code.earlier_revisions:
        yield f"earlier attempts ran on: {', '.join(code.earlier_revisions)}"
    versions = [f"{name} {version}" for name, version in sorted(code.packages.items())]
    if code.python:
        versions.insert(0, f"Python {code.python}")
    yield f"versions: {', '.join(versions) or 'not recorded'}"


def _section(title: str, lines: Iterable[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines)
