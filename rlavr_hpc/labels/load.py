"""Makes the live source that a config names."""

from __future__ import annotations

from rlavr_hpc.config.labels import LabelsConfig, source_settings
from rlavr_hpc.labels.source import LabelSource
from rlavr_hpc.plugins import load_plugin


def load_source(config: LabelsConfig) -> LabelSource:
    """The source of a run.

    Raises:
        UserError: there is no such class, or it refuses a setting.
    """
    source: LabelSource = load_plugin(config.target, source_settings(config), where="labels")
    return source
