"""Which source is asked: its name, and a version made of all that changes what it answers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from rlavr_hpc.config.labels import LabelsConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.io import canonical_json
from rlavr_hpc.labels.orders import SourceIdentity

OF_A_JUDGE = ("model", "mode", "samples", "agreement", "temperature", "max_tokens")


def source_identity(config: LabelsConfig, *, model: str = "") -> SourceIdentity:
    """Who is asked, as keys of orders know it: the same in every run with these settings.

    Args:
        config: of the run.
        model: what the service calls itself, once it has changed behind its name; "" before.

    Raises:
        UserError: `labels.template` cannot be read.
    """
    facts: dict[str, Any] = {"version": config.version, "settings": config.settings}
    if config.name == "judge":
        facts |= {key: str(getattr(config, key)) for key in OF_A_JUDGE}
        facts["template"] = _digest_of(config.template)
    if model:
        facts["changed_to"] = model
    digest = hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:12]
    return SourceIdentity(name=config.name, version=digest)


def _digest_of(template: str | None) -> str:
    if template is None:
        return ""
    try:
        return hashlib.sha256(Path(template).read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"labels.template={template}: {error.strerror}") from error
