"""What is evaluated: a run, one of its checkpoints, a model folder or a hub name."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from rlavr_hpc.config.data import DataConfig
from rlavr_hpc.config.grading import GradingConfig
from rlavr_hpc.config.model import ModelConfig
from rlavr_hpc.config.rollout import Engine, RolloutConfig
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.config.task import TaskConfig
from rlavr_hpc.errors import UserError
from rlavr_hpc.evaluation.options import EvaluationOptions
from rlavr_hpc.runs.find import find_runs, name_one
from rlavr_hpc.runs.folder import CONFIG, read_config
from rlavr_hpc.trainer.model_folder.folder import ADAPTER, check_model_folder
from rlavr_hpc.trainer.model_folder.folder import CONFIG as MODEL_CONFIG

T = TypeVar("T")
CHECKPOINTS = "checkpoints"
CHECKPOINT = re.compile(r"step_([0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSubject:
    """A run of this project, at a checkpoint."""

    run_dir: Path
    config: RunConfig
    step: int | None
    """None = the newest valid checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSubject:
    """A model in Hugging Face format."""

    path: Path | str
    """A folder, or a hub name."""


Subject = RunSubject | ModelSubject


def find_subject(model: str, *, step: int | None) -> Subject:
    """Decide what MODEL names.

    Raises:
        UserError: it names nothing that can be evaluated, or `step` has no run to count in.
    """
    path = Path(model).expanduser()
    found = CHECKPOINT.fullmatch(path.name)
    if found and path.parent.name == CHECKPOINTS and path.is_dir():
        if step is not None and step != int(found[1]):
            raise UserError(f"--step {step} contradicts {model}; leave one of them out")
        run_dir = path.absolute().parents[1]
        return RunSubject(run_dir=run_dir, config=read_config(run_dir), step=int(found[1]))
    if (path / CONFIG).is_file():
        return RunSubject(run_dir=path, config=read_config(path), step=step)
    if step is not None:
        raise UserError(f"--step {step} needs a run folder, and {model} is none")
    return ModelSubject(path=_model_path(model, path))


def _model_path(model: str, path: Path) -> Path | str:
    if (path / MODEL_CONFIG).is_file() or (path / ADAPTER).is_file():
        check_model_folder(path)
        return path
    if path.is_dir() and (runs := [run.name for run in find_runs(path) if not run.foreign]):
        raise UserError(name_one(model, runs))
    if path.exists():
        raise UserError(
            f"{model} is neither a run's folder (it has no {CONFIG}), nor a checkpoint, nor a "
            f"model's (it has no {MODEL_CONFIG})"
        )
    if model.startswith((".", "/", "~")) or model.count("/") > 1:  # else it is a hub name
        raise UserError(f"{model} does not exist")
    return model


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the model is loaded, prompted and sampled, as groups of a run's config."""

    model: ModelConfig
    data: DataConfig
    rollout: RolloutConfig
    grading: GradingConfig
    task: TaskConfig
    """The run's own task, beside those that come with the program."""


def settings_of(subject: Subject, options: EvaluationOptions) -> Settings:
    """The run's own settings, or plain defaults, with what the command line says otherwise."""
    if isinstance(subject, RunSubject):
        config = subject.config
        model, data, rollout, grading = config.model, config.data, config.rollout, config.grading
    else:
        model, data = ModelConfig(path=str(subject.path)), DataConfig()
        rollout, grading = RolloutConfig(), GradingConfig()
    task = subject.config.task if isinstance(subject, RunSubject) else TaskConfig()
    engine = options.engine or rollout.engine
    if engine is Engine.hf and (options.tensor_parallel or 1) > 1:
        raise UserError(f"--tensor-parallel {options.tensor_parallel} needs --engine vllm")
    shared = 1 if engine is Engine.hf else options.tensor_parallel or rollout.tensor_parallel
    stops = options.stop_token_ids
    return Settings(
        model=replace(
            model,
            dtype=options.dtype or model.dtype,
            trust_remote_code=options.trust_remote_code or model.trust_remote_code,
        ),
        data=replace(
            data,
            chat_template=options.chat_template or data.chat_template,
            system_prompt=_first(options.system_prompt, data.system_prompt) or None,
            system_role=options.system_role or data.system_role,
            enable_thinking=_first(options.enable_thinking, data.enable_thinking),
        ),
        rollout=replace(
            rollout,
            engine=engine,
            stop_token_ids=rollout.stop_token_ids if stops is None else list(stops),
            tensor_parallel=shared,
            gpu_memory_utilization=options.gpu_memory_utilization,
        ),
        grading=replace(grading, extract=options.extract or grading.extract),
        task=task,
    )


def _first(given: T | None, own: T | None) -> T | None:
    return own if given is None else given
