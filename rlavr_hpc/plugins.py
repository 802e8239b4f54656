"""Policies, rewards and losses are classes named in YAML: `target: package.module:Class`.

One file plus one YAML makes a new one. Its settings are the class's own dataclass fields, so a
misspelt setting is found when the config is read, before any model is loaded.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping
from typing import Any

from rlavr_hpc.errors import UserError


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
        raise UserError(f"{where}.settings.{unknown[0]}: no such setting of {target} ({known})")
    try:
        return kind(**settings)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {target}: {error}") from error


def _find(target: str, where: str) -> type[Any]:
    module_name, _, class_name = target.partition(":")
    try:
        kind = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"{where}.target={target!r}: {error}; use package.module:Class") from error
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise UserError(f"{where}.target={target!r} is not a dataclass")
    return kind
