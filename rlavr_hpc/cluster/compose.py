"""The configs of a sweep's jobs, without composing every one from its files.

Hydra takes a tenth of a second per job, and jobs of a sweep mostly differ in plain values. So each
set of chosen groups is composed once, and values are put into copies of it, by Hydra's own rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf


@dataclass(slots=True, kw_only=True)
class Composer:
    """Composes the jobs of one sweep."""

    context: HydraContext
    config: DictConfig
    """Hydra's, of the sweep."""
    _known: dict[tuple[str, ...], DictConfig] = field(default_factory=dict)

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """A job's config without Hydra's own part.

        Raises:
            HydraException: a key that does not exist, or a value that cannot be there.
        """
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        values = [override for override in parsed if self._is_value(override)]
        rest = tuple(str(o.input_line) for o in parsed if not self._is_value(o))
        if rest not in self._known:
            self._known[rest] = self._from_files(rest)
        composed = OmegaConf.masked_copy(self._known[rest], list(map(str, self._known[rest])))
        OmegaConf.set_struct(composed, True)
        ConfigLoaderImpl._apply_overrides_to_config(values, composed)
        return composed

    def _is_value(self, override: Override) -> bool:
        """Whether it gives a key another plain value, and chooses no group, adds and deletes none.

        What Hydra itself reads, it reads while it composes.
        """
        changes = override.is_add() or override.is_force_add() or override.is_delete()
        choices = self.config.hydra.runtime.choices
        key = override.key_or_group
        return not (changes or override.package or key in choices or key.startswith("hydra"))

    def _from_files(self, overrides: Sequence[str]) -> DictConfig:
        composed = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        keys = [str(key) for key in composed if key != "hydra"]
        return OmegaConf.masked_copy(composed, keys)
