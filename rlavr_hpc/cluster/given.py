"""Which keys a user gave a run: on the command line, and in the file of the chosen experiment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra.conf import HydraConf
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from rlavr_hpc.config.key_effect import Given
from rlavr_hpc.config.shipped import CONF

EXPERIMENT = "experiment"
NO_KEYS = ("defaults", "hydra")
"""Of an experiment's file: what Hydra reads itself."""


def given_of(overrides: Sequence[str], hydra: DictConfig | HydraConf | None = None) -> Given:
    """What a user gave.

    Args:
        overrides: of one run, as they were typed; those of Hydra itself are passed over.
        hydra: Hydra's own config, which knows where else there are experiments; None = nowhere.
    """
    typed: dict[str, Any] = {}
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.key_or_group
        if override.is_delete() or key.startswith("hydra"):
            continue
        typed |= dict(_flat({key.replace("/", "."): override.value()}))
    name = typed.pop(EXPERIMENT, None)
    content = read_experiment(str(name), folders_of(hydra)) if name else {}
    return Given(typed=typed, experiment=experiment_keys(content))


def folders_of(hydra: DictConfig | HydraConf | None) -> list[Path]:
    """Folders with config files, ours first."""
    sources = [] if hydra is None else hydra.runtime.config_sources
    others = [Path(source.path) for source in sources if source.schema == "file"]
    return list(dict.fromkeys([Path(CONF), *others]))


def read_experiment(name: str, folders: Sequence[Path]) -> dict[str, Any]:
    """What an experiment's own file says; empty where there is none, or it says nothing.

    Files that it builds on are left out: they were written for what they choose themselves.
    """
    path = next((p for f in folders if (p := f / EXPERIMENT / f"{name}.yaml").is_file()), None)
    content = yaml.safe_load(path.read_text(encoding="utf-8")) if path else None
    return dict(content) if isinstance(content, Mapping) else {}


def sweep_of(content: Mapping[str, Any]) -> str:
    """What an experiment's file sweeps over, as `KEY=VALUES`; "" = nothing."""
    values: Any = content
    for name in ("hydra", "sweeper", "params"):
        values = values.get(name) if isinstance(values, Mapping) else None
    found = values if isinstance(values, Mapping) else {}
    return " ".join(f"{key}={value}" for key, value in found.items())


def experiment_keys(content: Mapping[str, Any]) -> dict[str, Any]:
    """Flat keys and values that it sets, and the options that it chooses."""
    chosen: dict[str, Any] = {}
    for entry in content.get("defaults") or ():
        chosen |= _choices(entry) if isinstance(entry, Mapping) else {}
    return chosen | dict(_flat({k: v for k, v in content.items() if k not in NO_KEYS}))


def _choices(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Of a line `override /GROUP: OPTION` in a list of defaults."""
    named = {key.removeprefix("override ").strip().lstrip("/"): v for key, v in entry.items()}
    return {key.replace("/", "."): v for key, v in named.items() if not key.startswith("hydra")}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
