"""One run on every rank, from its config to its exit code.

The order: set the threads before torch is imported; check the folder, the plug-ins and the data
before a model is loaded; publish the attempt's token before anything is written.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import warnings
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, NoReturn

from tqdm import tqdm

from rlavr_hpc.cluster.memory_allocator import keep_freed_memory
from rlavr_hpc.cluster.preemption import TORCHRUN_ECHO_SECONDS, StopFlag
from rlavr_hpc.cluster.topology import (
    Topology,
    announce_ranks,
    apply_threads,
    below_torchrun,
    read_topology,
)
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import (
    EarlyWarningError,
    ExitCode,
    FencedError,
    LabelsPendingError,
    LabelsStoppedError,
    NewProcessError,
    RlavrError,
    RunStoppedError,
    UserError,
)
from rlavr_hpc.runs.done import DONE_FILE
from rlavr_hpc.runs.first_start import first_start
from rlavr_hpc.runs.folder import StartKind, check_start, check_writable
from rlavr_hpc.trainer.inputs import check_inline_source, load_inputs
from rlavr_hpc.trainer.leave_record import leave_record
from rlavr_hpc.trainer.memory_check import check_memory

if TYPE_CHECKING:
    from rlavr_hpc.trainer.loop import TrainingRun
    from rlavr_hpc.trainer.process import Process

log = logging.getLogger("rlavr_hpc")
# The default is a semaphore between processes; `end_process` would leave it behind, and Python 3.14
# reports that. One process draws the bars, so a lock between threads is enough.
tqdm.set_lock(RLock())


def run_job(config: RunConfig, run_dir: Path) -> ExitCode:
    """Start or resume the run in `run_dir`; a finished run is left as it is.

    Args:
        config: the checked config.
        run_dir: the run's folder.

    Returns:
        The process's exit code; errors have been printed.
    """
    stop = (
        StopFlag(echo_seconds=TORCHRUN_ECHO_SECONDS) if below_torchrun(os.environ) else StopFlag()
    )
    stop.install()
    try:
        return _run(config, run_dir, stop)
    except RlavrError as error:
        say(str(error), mistake=isinstance(error, UserError))
        if error.exit_code in (ExitCode.FAILED, ExitCode.MISTAKE):
            leave_record(run_dir, error)
        return error.exit_code
    except OSError as error:
        say(f"{error}; free disk space or correct the path, then start the same command again")
        leave_record(run_dir, error)
        return ExitCode.FAILED
    except Exception as error:
        leave_record(run_dir, error)
        raise


def say(text: str, *, mistake: bool = False) -> None:
    """Print an error; a user's mistake, which every rank finds, on rank 0 alone."""
    rank = os.environ.get("RANK", "0")
    if rank == "0" or not mistake:
        print(f"rlavr: {'' if rank == '0' else f'rank {rank}: '}{text}", file=sys.stderr)


def end_process(code: int) -> NoReturn:
    """Exit at once with this code, after everything has been written.

    The interpreter's normal shutdown ends the threads of gloo, DeepSpeed and vLLM in an order that
    sometimes aborts, and a finished run would appear to have failed with signal 6.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(config: RunConfig, run_dir: Path, stop: StopFlag) -> ExitCode:
    topology = read_topology(
        os.environ, threads=config.cluster.threads, runs_per_node=config.cluster.runs_per_node
    )
    announce_ranks(topology, os.environ)
    set_up_logging(topology)
    for remark in config.remarks:
        log.info("note: %s", remark)
    start = check_start(run_dir, config)
    if start is StartKind.finished:
        log.info("%s is finished already (%s); nothing to do", run_dir, DONE_FILE)
        return ExitCode.DONE
    check_writable(run_dir)
    apply_threads(topology, os.environ)
    check_rendezvous(topology)
    process = join(config, run_dir, topology, stop)
    run = process.start()
    try:
        while run.fit() == "rolled_back":
            run = process.start()
    except (RunStoppedError, EarlyWarningError, LabelsPendingError) as stopped:
        failed = isinstance(stopped, LabelsStoppedError)
        _conclude(run, "failed" if failed else "stopped", code=stopped.exit_code)
        _leave()
        raise
    except (FencedError, NewProcessError):
        raise  # a newer attempt owns the folder
    except Exception:
        with contextlib.suppress(RlavrError, OSError):  # report the first error
            _conclude(run, "failed", code=ExitCode.FAILED)
        raise
    return _finish(run)


def join(config: RunConfig, run_dir: Path, topology: Topology, stop: StopFlag) -> Process:
    """Ask the plan, read the inputs and join the other ranks; imports torch."""
    passes = check_memory(config, run_dir, topology, os.environ)
    split = load_inputs(config)
    if topology.is_main:
        check_inline_source(config)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    import torch  # noqa: PLC0415

    torch.set_num_threads(topology.threads)
    quiet_vendors(on_cpu=not torch.cuda.is_available())
    from rlavr_hpc.trainer import build, distributed  # noqa: PLC0415
    from rlavr_hpc.trainer.agree_passes import agree  # noqa: PLC0415
    from rlavr_hpc.trainer.build_engine import pick_device  # noqa: PLC0415
    from rlavr_hpc.trainer.inspected_prompts import prepare_inspected, with_date  # noqa: PLC0415
    from rlavr_hpc.trainer.policy import build_ops  # noqa: PLC0415
    from rlavr_hpc.trainer.policy.deepspeed_policy import init_ranks  # noqa: PLC0415
    from rlavr_hpc.trainer.policy.tokenizer import load_tokenizer  # noqa: PLC0415
    from rlavr_hpc.trainer.process import Process  # noqa: PLC0415

    plugins = build.load_plugins(config)
    bundle = load_tokenizer(config, quiet=not topology.is_main).as_begun(first_start(run_dir))
    prompts = prepare_inspected(config, split, bundle, quiet=not topology.is_main)
    if not torch.cuda.is_available():
        keep_freed_memory()
        build_ops.build_ops()
    init_ranks(device=pick_device(topology), rank=topology.rank, world_size=topology.world_size)
    agreed = distributed.on_main(lambda: bundle.moment)
    prompts = with_date(prompts, config, split, bundle, agreed=agreed)
    inputs = build.Inputs(
        plugins=plugins,
        split=split,
        bundle=prompts.bundle,
        prompts=prompts,
        passes=agree(passes),
    )
    return Process(config=config, run_dir=run_dir, topology=topology, inputs=inputs, stop=stop)


def _finish(run: TrainingRun) -> ExitCode:
    from rlavr_hpc.trainer import distributed  # noqa: PLC0415
    from rlavr_hpc.trainer.reporting.conclude import end_mirror  # noqa: PLC0415

    outcome = distributed.on_main(lambda: _conclude(run, "done", code=ExitCode.DONE))
    if run.record.recorder is not None:
        print(outcome)
    _leave()
    end_mirror(run, ExitCode.DONE)  # may take long; no rank waits for it
    return ExitCode.DONE


def _leave() -> None:
    from rlavr_hpc.trainer import distributed  # noqa: PLC0415

    distributed.leave()


def _conclude(run: TrainingRun, status: str, *, code: ExitCode) -> str:
    from rlavr_hpc.trainer.reporting.conclude import conclude  # noqa: PLC0415

    return conclude(run, status, code=code)


def set_up_logging(topology: Topology) -> None:
    """Rank 0 logs everything, the other ranks warnings and errors."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    root = logging.getLogger("rlavr_hpc")
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if topology.is_main else logging.WARNING)
    root.propagate = False


def quiet_vendors(*, on_cpu: bool) -> None:
    """Silence libraries' banners, but not their errors; call before they are imported."""
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("DS_LOG_LEVEL", "error")
    if on_cpu:
        os.environ.setdefault("DS_ACCELERATOR", "cpu")  # else deepspeed warns that it found none
    for name in ("DeepSpeed", "deepspeed", "transformers", "torch.distributed"):
        logging.getLogger(name).setLevel(logging.ERROR)
    vendors = r"(torch|deepspeed|vllm|transformers|numba|_distutils_hack)\b"
    warnings.filterwarnings("ignore", module=vendors)


def check_rendezvous(topology: Topology) -> None:
    """Check MASTER_ADDR and MASTER_PORT where there are several ranks; one rank picks a port."""
    has_address = {"MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()
    if topology.world_size > 1 and not has_address:
        raise UserError(
            f"{topology.world_size} ranks were started without MASTER_ADDR and MASTER_PORT and "
            "cannot find each other; start them with torchrun or srun, or set both variables"
        )
    if not has_address:
        os.environ["MASTER_PORT"] = str(_free_port())


def _free_port() -> int:
    """A free port for the rendezvous of a single rank."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
