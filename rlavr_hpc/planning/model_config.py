"""The shape of the model that a config names, from its config.json; no network, no torch."""

from __future__ import annotations

import json
from pathlib import Path

from rlavr_hpc.config.model import ModelConfig, ModelSource
from rlavr_hpc.errors import UserError
from rlavr_hpc.offline import hub
from rlavr_hpc.planning.shape import KNOWN, REASONING, TESTBED, ModelShape, read_shape

BUILT_HERE = {ModelSource.testbed: TESTBED, ModelSource.reasoning: REASONING}
"""Shapes of the testbeds' models."""


def shape_of(model: ModelConfig) -> ModelShape:
    """Of a folder, of the hub's cache, or of the table.

    Raises:
        UserError: there is no such model here, or its parameters are not counted.
    """
    if model.source in BUILT_HERE:
        return BUILT_HERE[model.source]
    assert model.path is not None
    folder = Path(model.path).expanduser()
    if not folder.is_dir():
        found = hub.cached_model(model.path, hub.cache_folder())
        if found is None and model.path in KNOWN:
            return KNOWN[model.path]
        if found is None:
            raise UserError(
                f"model {model.path} is not a folder, not in the hub's cache and not in the table; "
                f"`rlavr fetch model.path={model.path}` downloads it"
            )
        folder = found
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / 'config.json'} cannot be read: {error}") from error
    return read_shape(config, where=str(folder))
