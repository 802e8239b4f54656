"""Policies, rewards, losses and tasks are classes named in YAML: `target: package.module:Class`.

One file plus one YAML makes a new one. Its settings are the class's own dataclass fields, so a
misspelt setting is found when the config is read, before any model is loaded. A run is identified
by the *name* and the settings of what it plugs in, never by an import path, so a name of the
program's own cannot be given to another class.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from rlavr_hpc.config.shipped import CONF, PACKAGE
from rlavr_hpc.errors import UserError

if TYPE_CHECKING:  # graders load plug-ins, too, and start again whenever one is killed
    from rlavr_hpc.config.run import RunConfig

GROUPS = {
    "acquisition": "acquisition",
    "reward": "reward",
    "labels": "labels",
    "algorithm.loss": "algorithm/loss",
    "task": "task",
}
"""Config key of each kind of plug-in, and its folder in `conf`."""


def load_plugin(target: str, settings: Mapping[str, Any], *, where: str) -> Any:  # noqa: ANN401
    """Build the class that `target` names from `settings`.

    Args:
        target: `package.module:Class`; the class must be a dataclass.
        settings: values of its fields.
        where: the config key, for the error message.

    Raises:
        UserError: no such class, an unknown or missing setting, or a value the class refuses.
    """
    kind = _find(target, where)
    fields = {field.name for field in dataclasses.fields(kind) if field.init}
    unknown = sorted(set(settings) - fields)
    if unknown:
        known = ", ".join(sorted(fields)) or "it takes none"
        called = _called(target, where)
        raise UserError(f"{where}.settings.{unknown[0]}: no such setting of {called} ({known})")
    try:
        return kind(**settings)
    except (TypeError, ValueError) as error:
        called = _called(target, where)
        own = f"{where}: " if called == target else ""
        raise UserError(f"{own}{called}: {error}") from error


def _called(target: str, where: str) -> str:
    """How the user chose the class: `labels=judge`; the class itself where it is their own."""
    names = (name for name, own in shipped_targets(where).items() if own == target)
    name = next(names, None) if where in GROUPS else None
    return target if name is None else f"{where.replace('.', '/')}={name}"


def _find(target: str, where: str) -> type[Any]:
    module_name, _, class_name = target.partition(":")
    try:
        kind = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{where}.target={target!r}: {error}; use package.module:Class") from error
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise UserError(f"{where}.target={target!r} is not a dataclass")
    return kind


@cache
def shipped_targets(group: str) -> Mapping[str, str]:
    """Name -> target of what the program brings for a key of `GROUPS`."""
    read = (yaml.safe_load(path.read_text()) for path in (CONF / GROUPS[group]).glob("*.yaml"))
    return {plugin["name"]: plugin["target"] for plugin in read}


def check_names(config: RunConfig) -> None:
    """Raise UserError where a class of one's own goes by a name of the program's own.

    Two runs whose names and settings are equal are the same run, so they would share a folder.
    """
    for group, plugin in plugins_of(config).items():
        shipped = shipped_targets(group).get(plugin.name)
        if shipped is not None and plugin.target != shipped:
            raise UserError(
                f"{group}.target={plugin.target} goes by the name {plugin.name!r}, which is "
                f"{shipped}; give it a name of its own: {group}.name=..."
            )


def plugins_of(config: RunConfig) -> dict[str, Any]:
    """The config's plug-ins by their key; without a task where rows say theirs."""
    own = {"task": config.task} if config.task.target else {}
    return {
        "acquisition": config.acquisition,
        "reward": config.reward,
        "labels": config.labels,
        "algorithm.loss": config.algorithm.loss,
        **own,
    }


def plugin_targets(config: RunConfig) -> set[str]:
    """`package.module:Class` of everything that a run's config plugs in."""
    return {plugin.target for plugin in plugins_of(config).values()}


def own_sources(targets: Iterable[str]) -> set[Path]:
    """Files and packages of plug-ins that live beside the user's work, not in an installation."""
    installed = [Path(sysconfig.get_path(kind)) for kind in ("stdlib", "purelib", "platlib")]
    found = set()
    for name in {target.partition(":")[0].partition(".")[0] for target in targets}:
        spec = importlib.util.find_spec(name) if name not in sys.builtin_module_names else None
        origin = Path(spec.origin) if spec is not None and spec.origin else None
        if origin is None or name == PACKAGE.name:
            continue
        if not any(origin.is_relative_to(folder) for folder in installed):
            found.add(origin.parent if origin.name == "__init__.py" else origin)
    return found


def source_digest(sources: Iterable[Path]) -> str:
    """Hex SHA-256 of Python and YAML files: of these files, and below these folders."""
    digest = hashlib.sha256()
    for source in sources:
        inside = (path for kind in ("*.py", "*.yaml") for path in source.rglob(kind))
        for path in sorted(inside) if source.is_dir() else [source]:
            data = path.read_bytes()
            digest.update(f"{path.relative_to(source.parent)} {len(data)}\n".encode() + data)
    return digest.hexdigest()


def plugin_facts(config: RunConfig) -> dict[str, dict[str, str]]:
    """What provenance keeps of a run's plug-ins, by key: name, target, and digest of one's own.

    `source` is missing for what the program brings: the code's revision says which it was.
    """
    facts = {}
    for group, plugin in plugins_of(config).items():
        facts[group] = {"name": plugin.name, "target": plugin.target}
        if own := own_sources([plugin.target]):
            facts[group]["source"] = source_digest(sorted(own))
    return facts


def changed_sources(before: Mapping[str, Any], now: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Keys whose plug-in has another source now.

    Args:
        before: `plugin_facts` of an earlier attempt as its record has them; of older versions {}.
        now: of this one.
    """
    return [
        group
        for group, facts in now.items()
        if isinstance(old := before.get(group), Mapping) and _source(old) != _source(facts)
    ]


def _source(facts: Mapping[str, str]) -> tuple[str, str] | None:
    """Target and digest; None of what the program brings."""
    return (facts["target"], facts["source"]) if facts.get("source") else None
