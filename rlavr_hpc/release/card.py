"""The model card, from the template `model_card.md.j2`. No torch.

Names and texts in it come from folders and models of strangers. Each is put on one line, and what
Markdown or HTML could read in it is escaped: it cannot end a list, begin a tag, or close a fence.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from rlavr_hpc.release.facts import Code, Facts, Weights

TEMPLATE = "model_card.md.j2"
TAGS = ("rlavr", "reinforcement-learning", "verifiable-rewards")
ESCAPED = re.compile(r"[\\`*\[\]|~]")
"""Characters that Markdown reads within a line; an underscore within a word means nothing."""
HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def model_card(facts: Facts) -> str:
    """README.md of an exported policy."""
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            facts=facts,
            front_matter=Markup(_front_matter(facts.weights)),
            versions=_versions(facts.code),
        )
    )


def _front_matter(weights: Weights) -> str:
    """YAML, whose own writer quotes what needs it."""
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
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True)


def _versions(code: Code) -> list[str]:
    python = [f"Python {code.python}"] if code.python else []
    return [*python, *(f"{name} {version}" for name, version in sorted(code.packages.items()))]


def _inert(value: object) -> object:
    """A text as it can stand in a line of Markdown; anything else as it is."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    text = ESCAPED.sub(r"\\\g<0>", _one_line(value))
    return Markup("".join(HTML.get(character, character) for character in text))


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _code(text: str) -> Markup:
    """A text as a code span; its fence is longer than any run of backticks in it."""
    line = _one_line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return Markup(f"{fence}{pad}{line}{pad}{fence}")


def _literal(text: str) -> Markup:
    """A text as it stands in Python code, on one line."""
    return Markup(json.dumps(text))


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("rlavr_hpc.release", ""),
        autoescape=True,
        finalize=_inert,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters |= {"spec": format, "code": _code, "literal": _literal}
    return made
