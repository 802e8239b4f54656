"""Which run is this? A config as plain values, the keys that decide results, and their hash.

What a run plugs in (policy, reward, loss) counts by its registered name and its settings. Import
paths stand in the config for the record; those of the program's own classes are looked up anew by
name, so that moving a module orphans no run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from rlavr_hpc.config.run import RunConfig, resolve
from rlavr_hpc.errors import UserError
from rlavr_hpc.io import canonical_json
from rlavr_hpc.plugins import GROUPS, plugins_of, shipped_targets
from rlavr_hpc.runs.identity_v1 import graded_as_before, with_old_grading, with_old_targets

NOT_IDENTITY = (
    "run_dir",
    "root",
    "steps",
    "audit",
    "profile",
    "allow_change",
    "retry_failed",
    "checkpoint",
    "tracking",
    "cluster",
)
"""Keys (with all below them) that do not change results, so they do not name the run."""
ADDED: Mapping[str, Any] = {
    "data.system_role": "keep",
    "data.stop_at_turn_end": True,
    "grading.thoughts": "read",
    "grading.evaluate_expressions": True,
    "task.name": "auto",
    "task.target": "",
    "task.settings": {},
    "model.attention": "auto",
    "algorithm.micro_tokens": None,
    "algorithm.packing": "auto",
    "algorithm.advantage": "normalized",
    "algorithm.oversample": 1,
    "algorithm.leave_out": "none",
    "algorithm.overlong.mask": False,
    "algorithm.overlong.buffer": 0.0,
    "algorithm.overlong.penalty": 1.0,
    "algorithm.loss.settings.kl_estimator": "k3",
    "deepspeed.offload_states": False,
    "acquisition.candidates": "auto",
    "data.columns.prompt": None,
    "data.columns.answer": None,
    "data.columns.id": None,
    "data.columns.data_source": None,
    "data.columns.choices": None,
    "data.choices": "render",
    "data.conflicts": "drop",
    "budget_cost": None,
    "labels.on_wrong": "drop",
    "labels.gold_first": 0,
    "lora.rank": 0,
    "lora.alpha": 32.0,
    "lora.targets": ["all-linear"],
}
"""Keys that came later: at this value, which does on CPU what was done without them, they do not
count, so that the command of an older run still finds its folder."""
UNSET = {"algorithm.micro_batch": 64, "deepspeed.gradient_checkpointing": False}
"""Keys whose null is chosen at a run's first start, by the memory there is: in the identity null
counts as the value that was the default before it could be null."""
CONFIG_VERSION = 2
READ_VERSIONS = (1, 2)
"""Of config.yaml: 1 was written by version 0.1, whose hash counted import paths."""
OF_A_PLUGIN = ("name", "settings", "candidates")
"""What of a plug-in decides results; its defaults are resolved into the run's own keys."""
OF_LABELS = (
    *("name", "settings", "version", "price", "ask", "on_wrong", "show", "pending"),
    *("redundancy", "max_redundancy", "resolve", "gold", "gold_first"),
    *("model", "mode", "template", "samples", "agreement", "temperature", "max_tokens"),
)
"""What of a label source decides results; how labels are fetched does not."""
SAME_PENDING = {"park": "wait"}
"""A run that parks gives the same results as one that waits."""


def to_dict(config: RunConfig) -> dict[str, Any]:
    """Plain nested values, as `config.yaml` holds them."""
    plain: dict[str, Any] = OmegaConf.to_container(  # type: ignore[assignment]
        OmegaConf.create(asdict(config)), resolve=True, enum_to_str=True
    )
    return {"version": CONFIG_VERSION, **plain}


def from_dict(values: Mapping[str, Any]) -> RunConfig:
    """The inverse of `to_dict`, with today's classes under the program's own names.

    Raises:
        UserError: written by a newer version of this program, or not a config.
    """
    version = values.get("version")
    if version not in READ_VERSIONS:
        known = ", ".join(map(str, READ_VERSIONS))
        raise UserError(
            f"config version {version!r} is none of {known}, the ones known here; it was written "
            "by a newer version of the program, or is no config"
        )
    values = with_old_grading({k: v for k, v in values.items() if k != "version"})
    config = resolve(OmegaConf.create(dict(values)))
    for group, plugin in plugins_of(config).items():
        shipped = shipped_targets(group).get(plugin.name)
        if shipped is not None and plugin.target.startswith("rlavr_hpc."):
            plugin.target = shipped
    return config


def identity(config: RunConfig) -> dict[str, Any]:
    """The flat keys and values that decide a run's results."""
    return {k: v for k, v in _deciding(config).items() if _counts(k)}


def hash8(config: RunConfig) -> str:
    """Eight hex digits that name a run: equal for equal results, whatever steps or folder."""
    return _hash(identity(config))


def hash8_v1(config: RunConfig) -> str:
    """The name that version 0.1 gave to this run."""
    return _hash(with_old_targets(_deciding(config)))


def hashes_before(config: RunConfig) -> tuple[str, ...]:
    """The names that a run of these settings may have had under older defaults of `grading`.

    A folder of such a name need not be this run's: its config says which settings it has.
    """
    before = graded_as_before(config)
    return (hash8(before), hash8_v1(before))


def hash_of_folder(config: RunConfig, run_dir: Path) -> str:
    """The hash that a run's folder goes by: version 0.1's where it was made by that."""
    old = hash8_v1(config)
    return old if run_dir.absolute().name.endswith(old) else hash8(config)


def is_hash_of(config: RunConfig, text: str) -> bool:
    """Whether this is, or was for version 0.1, the config's hash."""
    return text in (hash8_v1(config), hash8(config))


def changed_keys(old: RunConfig, new: RunConfig) -> dict[str, tuple[Any, Any]]:
    """Keys that decide results and differ, with their old and new values."""
    before, after = identity(old), identity(new)
    return {
        key: (before.get(key, ADDED.get(key)), after.get(key, ADDED.get(key)))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }


def _deciding(config: RunConfig) -> dict[str, Any]:
    """Flat keys and values without those that change no results or came later, at their default."""
    nested = {k: v for k, v in to_dict(config).items() if k not in (*NOT_IDENTITY, "version")}
    if not config.labels.live:
        del nested["labels"]  # as before there were other sources
    flat = {k: UNSET[k] if k in UNSET and v is None else v for k, v in _flatten(nested)}
    if config.labels.live:
        pending = str(flat["labels.pending"])
        flat["labels.pending"] = SAME_PENDING.get(pending, pending)
        if flat["labels.template"]:  # its text is in the orders' keys, wherever it lies
            flat["labels.template"] = Path(str(flat["labels.template"])).name
    return {k: v for k, v in flat.items() if k not in ADDED or v != ADDED[k]}


def _counts(key: str) -> bool:
    """Whether a key names or sets something; what else is known of a plug-in does not count."""
    group = next((group for group in GROUPS if key.startswith(f"{group}.")), None)
    deciding = OF_LABELS if group == "labels" else OF_A_PLUGIN
    return group is None or key[len(group) + 1 :].partition(".")[0] in deciding


def _hash(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(values).encode()).hexdigest()[:8]


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
