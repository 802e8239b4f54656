"""Every config group and key with its sentence, type, choices and default, for help and docs.

Read from the sources of the dataclasses: the sentence of a key is the string literal behind its
field. Slow beside a run's own use of the config, so nothing but help and docs calls it.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import yaml
from omegaconf import MISSING as SET_BY_OPTION

from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.config.shipped import CONF

OWN = "run"
"""The group of keys that belong to no group: they have no prefix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of a run's config."""

    group: str
    key: str
    """With its group, as on the command line: `algorithm.lr`."""
    type: str
    """In YAML's terms: int, float, bool, string, list of int, mapping; `or null` where it may
    be."""
    default: str
    """As YAML or JSON; "" = the group's option sets it."""
    choices: Mapping[str, str]
    """Allowed values with a sentence each ("" = it needs none); empty = any value of the type."""
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyGroup:
    """One group of keys."""

    name: str
    sentence: str
    options: Sequence[str]
    """Names for GROUP=OPTION; empty = there are none to choose from."""
    default_option: str
    """The option that is chosen when none is given; "" = none."""
    keys: Sequence[Key]


def groups() -> tuple[KeyGroup, ...]:
    """All groups: first the run's own keys, then the others in the config's order."""
    own, others = [], []
    for name, hint in get_type_hints(RunConfig).items():
        if is_dataclass(hint):
            others.append(_group(name, hint))
        else:
            own += list(keys_of(RunConfig, OWN, prefix="", only=name))
    run = KeyGroup(
        name=OWN,
        sentence="Keys without a group.",
        options=(),
        default_option="",
        keys=tuple(own),
    )
    return (run, *(_without_keys(name, text) for name, text in WITHOUT_KEYS.items()), *others)


WITHOUT_KEYS = {
    "experiment": "A whole setting of data, model, algorithm and baselines.",
    "algorithm/loss": "The loss; every algorithm chooses its own.",
}
"""Groups that set keys of other groups."""


def _without_keys(name: str, sentence: str) -> KeyGroup:
    options = options_of(name)
    return KeyGroup(name=name, sentence=sentence, options=options, default_option="", keys=())


def _group(name: str, kind: Any) -> KeyGroup:  # noqa: ANN401
    return KeyGroup(
        name=name,
        sentence=SENTENCES.get(name) or _first_paragraph(inspect.getdoc(kind) or ""),
        options=options_of(name) if name not in NO_OPTIONS else (),
        default_option=default_options().get(name, ""),
        keys=tuple(keys_of(kind, name, prefix=f"{name}.")),
    )


SENTENCES = {"reward": "The reward of a response to a prompt without a label."}
"""Of groups whose class serves others too."""
NO_OPTIONS = ("eval",)
"""Groups whose folder in conf/ holds something else: test sets of `rlavr evaluate`."""


def default_options() -> dict[str, str]:
    """Group -> the option that conf/config.yaml chooses."""
    listed = yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))["defaults"]
    chosen = {group: name for one in listed if isinstance(one, dict) for group, name in one.items()}
    return {group: name for group, name in chosen.items() if name is not None}


def options_of(group: str) -> tuple[str, ...]:
    """Names of a group's files in conf/."""
    return tuple(sorted(path.stem for path in (CONF / group).glob("*.yaml")))


def keys_of(kind: Any, group: str, *, prefix: str, only: str = "") -> Iterator[Key]:  # noqa: ANN401
    """The keys of a dataclass, with those of dataclasses in it."""
    hints, sentences = get_type_hints(kind), field_sentences(kind)
    for field in fields(kind):
        if only and field.name != only:
            continue
        hint = hints[field.name]
        if is_dataclass(hint):
            yield from keys_of(hint, group, prefix=f"{prefix}{field.name}.")
            continue
        yield Key(
            group=group,
            key=f"{prefix}{field.name}",
            type=_type(hint),
            default=_default(field),
            choices=_choices(hint),
            sentence=sentences.get(field.name, ""),
        )


def field_sentences(kind: type) -> dict[str, str]:
    """The string literal behind each field or enum member of a class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if not base.__module__.startswith("rlavr_hpc."):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(base))).body[0]
        assert isinstance(body, ast.ClassDef)
        for before, after in zip(body.body, body.body[1:], strict=False):
            if (name := _assigned(before)) and (sentence := _literal(after)):
                found[name] = sentence
    return found


def _assigned(node: ast.stmt) -> str:
    target: ast.expr | None = None
    if isinstance(node, ast.AnnAssign | ast.Assign):
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
    return target.id if isinstance(target, ast.Name) else ""


def _literal(node: ast.stmt) -> str:
    value = node.value if isinstance(node, ast.Expr) else None
    text = value.value if isinstance(value, ast.Constant) else None
    return " ".join(text.split()) if isinstance(text, str) else ""


def _first_paragraph(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())


def _type(hint: Any) -> str:  # noqa: ANN401
    if get_origin(hint) is UnionType:
        inner = next(one for one in get_args(hint) if one is not NoneType)
        return f"{_type(inner)} or null"
    if get_origin(hint) is list:
        return f"list of {_type(get_args(hint)[0])}"
    if get_origin(hint) is dict:
        return "mapping"
    if _enum(hint):
        return "choice"
    return "string" if hint is str else str(hint.__name__)


def _enum(hint: Any) -> type[Enum] | None:  # noqa: ANN401
    for one in get_args(hint) or (hint,):
        if isinstance(one, type) and issubclass(one, Enum):
            return one
    return None


def _choices(hint: Any) -> dict[str, str]:  # noqa: ANN401
    kind = _enum(hint)
    if kind is None:
        return {}
    sentences = field_sentences(kind)
    return {str(member): sentences.get(member.name, "") for member in kind}


def _default(field: Any) -> str:  # noqa: ANN401
    value = field.default
    if value is MISSING:
        value = SET_BY_OPTION if field.default_factory is MISSING else field.default_factory()
    return "" if value == SET_BY_OPTION else as_yaml(value)


def as_yaml(value: object) -> str:
    """A value as one would type it in an override."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value)


def value_of(config: RunConfig, key: str) -> str | None:
    """A key's value in a run's config, as one would type it; None = it is no key of a run."""
    value: Any = config
    for name in key.split("."):
        if not hasattr(value, name):
            return None
        value = getattr(value, name)
    return as_yaml(value)
