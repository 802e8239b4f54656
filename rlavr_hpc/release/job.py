"""One export from the command line's options to its exit code. One process, no ranks.

Order: what can be wrong in the options before torch; the record before any weights.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rlavr_hpc.config.model import Dtype
from rlavr_hpc.errors import ExitCode, RlavrError, UserError
from rlavr_hpc.evaluation.evaluated_model import CHECKPOINTS, RunSubject, find_subject
from rlavr_hpc.release.card import model_card
from rlavr_hpc.release.facts import Facts
from rlavr_hpc.release.staging import check_free, staged
from rlavr_hpc.runs.folder import check_writable
from rlavr_hpc.trainer.job import quiet_vendors, say
from rlavr_hpc.trainer.model_folder.folder import check_model, check_model_folder

CARD = "README.md"
PROVENANCE = "rlavr_hpc.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What the command line asks for."""

    run: str
    """A run's folder, or one of its checkpoints."""
    out: Path
    step: int | None = None
    """None = the newest valid checkpoint."""
    dtype: Dtype | None = None
    """None = the run's own."""
    adapter: bool = False
    """The adapters alone, for peft, instead of whole weights."""


def run_export(options: ExportOptions) -> tuple[ExitCode, dict[str, Any]]:
    """Write the folder.

    Returns:
        The process's exit code, and what was written (empty where nothing was); errors have been
        printed.
    """
    try:
        return ExitCode.DONE, _export(options)
    except RlavrError as error:
        say(str(error), mistake=isinstance(error, UserError))
        return error.exit_code, {}
    except OSError as error:
        say(f"{error}; make room or correct the path, then start the same command again")
        return ExitCode.FAILED, {}
    except KeyboardInterrupt:
        say(f"interrupted; {options.out} was not written")
        return ExitCode.SECOND_SIGNAL, {}


def _export(options: ExportOptions) -> dict[str, Any]:
    subject = find_subject(options.run, step=options.step)
    if not isinstance(subject, RunSubject):
        raise UserError(
            f"{options.run} is neither a run's folder nor one of its {CHECKPOINTS}/step_S; only "
            "these are exported"
        )
    out = options.out.expanduser().resolve()
    _check_out(out, subject.run_dir)
    check_model(subject.config.model)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    import torch  # noqa: PLC0415

    quiet_vendors(on_cpu=not torch.cuda.is_available())
    from transformers.utils import logging as transformers_logging  # noqa: PLC0415

    from rlavr_hpc.evaluation.weights import find_checkpoint  # noqa: PLC0415
    from rlavr_hpc.release.record import (  # noqa: PLC0415
        base_name,
        describe_weights,
        gather,
        with_recorded_stops,
    )
    from rlavr_hpc.trainer.checkpoint.consolidate import consolidate, write_adapters  # noqa: PLC0415
    from rlavr_hpc.trainer.policy.tokenizer import load_tokenizer  # noqa: PLC0415

    transformers_logging.disable_progress_bar()
    checkpoint, config = find_checkpoint(subject), subject.config
    if subject.step is None:
        say(
            f"exporting {checkpoint.folder}, the newest valid checkpoint (step "
            f"{checkpoint.state.step} of {config.steps})"
        )
    bundle = load_tokenizer(config, quiet=True)
    bundle = with_recorded_stops(subject.run_dir, checkpoint.state, bundle)
    model = replace(config.model, dtype=options.dtype or config.model.dtype)
    with staged(out) as folder:
        if options.adapter:
            name = base_name(config.model)[0]
            parameters = write_adapters(checkpoint, folder, model=model, base=bundle, name=name)
        else:
            parameters = consolidate(
                checkpoint, folder, model=model, base=bundle, rollout=config.rollout
            )
            check_model_folder(folder)
        weights = replace(
            describe_weights(config.model, model, parameters=parameters),
            lora_rank=config.lora.rank or None,
            adapter=options.adapter,
        )
        facts = gather(subject, checkpoint, bundle, weights=weights)
        _write_texts(folder, facts)
    return _told(out, facts)


def _check_out(out: Path, run_dir: Path) -> None:
    check_free(out)
    if run_dir.resolve() / CHECKPOINTS in (out, *out.parents):
        raise UserError(f"{out} is where the run keeps its checkpoints; choose another folder")
    check_writable(out.parent)


def _write_texts(folder: Path, facts: Facts) -> None:
    (folder / CARD).write_text(model_card(facts), encoding="utf-8")
    text = json.dumps(facts.as_dict(), indent=1, allow_nan=False) + "\n"
    (folder / PROVENANCE).write_text(text, encoding="utf-8")


def _told(out: Path, facts: Facts) -> dict[str, Any]:
    """What was written, for the person who asked."""
    files = {
        str(path.relative_to(out)): path.stat().st_size
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }
    return {"out": str(out), "files": files, "provenance": facts.as_dict()}
