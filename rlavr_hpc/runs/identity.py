"""Which run is this? A config as plain values, the keys that decide results, and their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from omegaconf import OmegaConf

from rlavr_hpc.config.run import RunConfig, resolve
from rlavr_hpc.errors import UserError
from rlavr_hpc.io import canonical_json

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
ADDED = {
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
    "lora.rank": 0,
    "lora.alpha": 32.0,
    "lora.targets": ["all-linear"],
}
"""Keys that came later: at this value, which does on CPU what was done without them, they do not
count, so that the command of an older run still finds its folder."""
CONFIG_VERSION = 1


def to_dict(config: RunConfig) -> dict[str, Any]:
    """Plain nested values, as `config.yaml` holds them."""
    plain: dict[str, Any] = OmegaConf.to_container(  # type: ignore[assignment]
        OmegaConf.create(asdict(config)), resolve=True, enum_to_str=True
    )
    return {"version": CONFIG_VERSION, **plain}


def from_dict(values: Mapping[str, Any]) -> RunConfig:
    """The inverse of `to_dict`.

    Raises:
        UserError: written by a newer version of this program, or not a config.
    """
    version = values.get("version")
    if version != CONFIG_VERSION:
        raise UserError(f"config version {version!r} is not {CONFIG_VERSION}, the one known here")
    return resolve(OmegaConf.create({k: v for k, v in values.items() if k != "version"}))


def identity(config: RunConfig) -> dict[str, Any]:
    """The flat keys and values that decide a run's results."""
    nested = {k: v for k, v in to_dict(config).items() if k not in NOT_IDENTITY}
    return {k: v for k, v in _flatten(nested) if k not in ADDED or v != ADDED[k]}


def hash8(config: RunConfig) -> str:
    """Eight hex digits that name a run: equal for equal results, whatever steps or folder."""
    return hashlib.sha256(canonical_json(identity(config)).encode()).hexdigest()[:8]


def changed_keys(old: RunConfig, new: RunConfig) -> dict[str, tuple[Any, Any]]:
    """Keys that decide results and differ, with their old and new values."""
    before, after = identity(old), identity(new)
    return {
        key: (before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
