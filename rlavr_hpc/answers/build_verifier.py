"""The verifier of a run, by its config."""

from __future__ import annotations

from rlavr_hpc.answers.sandbox.process import Limits
from rlavr_hpc.answers.verifier import Verifier
from rlavr_hpc.config.grading import GradingConfig
from rlavr_hpc.config.task import TaskConfig


def build_verifier(grading: GradingConfig, task: TaskConfig, *, workers: int) -> Verifier:
    """A verifier; its graders are started by the first answer that needs one."""
    return Verifier(
        limits=Limits(cpu_seconds=grading.cpu_seconds, memory_mib=grading.memory_mib),
        workers=workers,
        where=grading.extract,
        thoughts=grading.thoughts,
        evaluate=grading.evaluate_expressions,
        task=task,
    )
