"""Makes the live source that a config names."""

from __future__ import annotations

from collections.abc import Callable

from rlavr_hpc.config.labels import LabelsConfig, source_settings
from rlavr_hpc.labels.orders import Order
from rlavr_hpc.labels.source import LabelSource
from rlavr_hpc.plugins import load_plugin

Reader = Callable[[str, Order], str | None]
"""Finds the answer to an order in a reply; None = there is none."""


def load_source(
    config: LabelsConfig, *, reader: Reader | None = None, linger: float | None = None
) -> LabelSource:
    """The source of a run.

    Args:
        config: of the run.
        reader: for sources that get replies in prose.
        linger: seconds that one look may last, for sources that ask many at a time; None = until
            all are asked.

    Raises:
        UserError: there is no such class, or it refuses a setting.
    """
    source: LabelSource = load_plugin(config.target, source_settings(config), where="labels")
    for name, value in (("reader", reader), ("linger", linger)):
        if value is not None and hasattr(source, name):
            setattr(source, name, value)
    return source
