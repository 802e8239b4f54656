"""One evaluation from the command line's options to its exit code, on every rank.

Order: what can be wrong in the options and files before torch; the records before any weights; a
set that is finished costs no engine.
"""

from __future__ import annotations

import os
from typing import Any

from rlavr_hpc.cluster.preemption import StopFlag
from rlavr_hpc.cluster.topology import announce_ranks, apply_threads, read_topology
from rlavr_hpc.errors import ExitCode, RlavrError, UserError
from rlavr_hpc.evaluation.evaluated_model import find_subject, settings_of
from rlavr_hpc.evaluation.options import EvaluationOptions
from rlavr_hpc.evaluation.responses import check_responses_file
from rlavr_hpc.evaluation.test_sets import load_sets
from rlavr_hpc.runs.folder import check_writable
from rlavr_hpc.trainer.job import check_rendezvous, quiet_vendors, say, set_up_logging
from rlavr_hpc.trainer.model_folder.folder import check_model


def run_evaluation(options: EvaluationOptions) -> tuple[ExitCode, list[dict[str, Any]]]:
    """Measure, continue a measurement, or report a finished one.

    Returns:
        The process's exit code, and on rank 0 what was found for each test set; errors have been
        printed.
    """
    stop = StopFlag()
    stop.install()
    try:
        return ExitCode.DONE, _evaluate(options, stop)
    except RlavrError as error:
        say(str(error), mistake=isinstance(error, UserError))
        return error.exit_code, []
    except OSError as error:
        say(f"{error}; make room or mend the path, then start the same command again")
        return ExitCode.FAILED, []


def _evaluate(options: EvaluationOptions, stop: StopFlag) -> list[dict[str, Any]]:
    topology = read_topology(os.environ, threads=options.threads, runs_per_node=1)
    set_up_logging(topology)
    subject = find_subject(options.model, step=options.step)
    settings = settings_of(subject, options)
    check_model(settings.model)
    if topology.world_size % settings.rollout.tensor_parallel:
        raise UserError(
            f"--tensor-parallel {settings.rollout.tensor_parallel} does not divide the "
            f"{topology.world_size} ranks"
        )
    sets = load_sets(options, subject)
    if options.out is not None:
        check_writable(options.out)
    if options.responses is not None:
        check_writable(options.responses.absolute().parent)
        check_responses_file(options.responses)
    apply_threads(topology, os.environ)
    check_rendezvous(topology)
    announce_ranks(topology, os.environ)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    import torch  # noqa: PLC0415

    torch.set_num_threads(topology.threads)
    quiet_vendors(on_cpu=not torch.cuda.is_available())
    from rlavr_hpc.evaluation.distributed import carry_out, join  # noqa: PLC0415
    from rlavr_hpc.evaluation.plan import make_plan  # noqa: PLC0415

    device = join(topology)
    plan = make_plan(options, subject, settings, sets)
    return carry_out(plan, topology, device, options=options, stop=stop)
