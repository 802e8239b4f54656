"""Exit codes of the jobs this process ran or launched; Hydra swallows what they return."""

from __future__ import annotations

from rlavr_hpc.errors import ExitCode

OUTCOMES: list[ExitCode] = []
