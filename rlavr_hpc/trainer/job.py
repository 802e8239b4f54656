"""One run from its config to its exit code, on every rank.

Order: threads before torch; the folder, the plug-ins and the data before any model; the attempt's
token before any writer; the model last.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import traceback
import warnings
from functools import partial
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
    start_name,
)
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import (
    EarlyWarningError,
    ExitCode,
    FencedError,
    NewProcessError,
    RlavrError,
    RunStoppedError,
    UserError,
)
from rlavr_hpc.runs.failures import Failure, write_failure
from rlavr_hpc.runs.folder import CONFIG, Start, check_start, check_writable
from rlavr_hpc.trainer.inputs import load_inputs

if TYPE_CHECKING:
    from rlavr_hpc.trainer.loop import TrainingRun
    from rlavr_hpc.trainer.process import Process

log = logging.getLogger("rlavr_hpc")
# The default is a semaphore between processes; `end_process` would leave it behind, and Python 3.14
# reports that. One process draws the bars, so a lock between threads is enough.
tqdm.set_lock(RLock())


def run_job(config: RunConfig, run_dir: Path) -> ExitCode:
    """Run, continue or recognize as finished the run in `run_dir`.

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
            _leave_record(run_dir, error)
        return error.exit_code
    except OSError as error:
        say(f"{error}; make room or mend the path, then start the same command again")
        _leave_record(run_dir, error)
        return ExitCode.FAILED
    except Exception as error:
        _leave_record(run_dir, error)
        raise


def _leave_record(run_dir: Path, error: Exception) -> None:
    """What `why` tells of this rank; a folder that is no run's is left alone."""
    if not (run_dir / CONFIG).exists():
        return
    expected = isinstance(error, RlavrError)
    failure = Failure(
        start=start_name(os.environ),
        rank=int(os.environ.get("RANK", "0")),
        exit_code=error.exit_code if isinstance(error, RlavrError) else ExitCode.FAILED,
        error=str(error) if expected else f"{type(error).__name__}: {error}",
        traceback="" if expected else "".join(traceback.format_exception(error)),
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    with contextlib.suppress(OSError):  # the error is on stderr already
        write_failure(run_dir, failure)


def say(text: str, *, mistake: bool = False) -> None:
    """Print an error once: every rank finds the user's mistakes, rank 0 tells of them."""
    rank = os.environ.get("RANK", "0")
    if rank == "0" or not mistake:
        print(f"rlavr: {'' if rank == '0' else f'rank {rank}: '}{text}", file=sys.stderr)


def end_process(code: int) -> NoReturn:
    """Exit at once with this code, after everything has been written.

    The interpreter's own end would tear down threads of gloo, DeepSpeed and vLLM in an order that
    aborts now and then, and turn a finished run into one that failed with signal 6.
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
    if start is Start.finished:
        log.info("%s is finished already (DONE.json); nothing to do", run_dir)
        return ExitCode.DONE
    check_writable(run_dir)
    apply_threads(topology, os.environ)
    check_rendezvous(topology)
    process = join(config, run_dir, topology, stop)
    run = process.start()
    try:
        while run.fit() == "rolled_back":
            run = process.start()
    except (RunStoppedError, EarlyWarningError) as stopped:
        _conclude(run, "stopped", code=stopped.exit_code)
        _leave()
        raise
    except (FencedError, NewProcessError):
        raise  # the folder belongs to the successor now
    except Exception:
        with contextlib.suppress(RlavrError, OSError):  # the first error is the one to tell
            _conclude(run, "failed", code=ExitCode.FAILED)
        raise
    return _finish(run)


def join(config: RunConfig, run_dir: Path, topology: Topology, stop: StopFlag) -> Process:
    """Read the inputs and become a rank among ranks; imports torch."""
    split = load_inputs(config)
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    import torch  # noqa: PLC0415

    torch.set_num_threads(topology.threads)
    quiet_vendors(on_cpu=not torch.cuda.is_available())
    from rlavr_hpc.trainer import build  # noqa: PLC0415
    from rlavr_hpc.trainer.policy import build_ops  # noqa: PLC0415
    from rlavr_hpc.trainer.policy.deepspeed_policy import init_ranks  # noqa: PLC0415
    from rlavr_hpc.trainer.policy.tokenizer import load_tokenizer  # noqa: PLC0415
    from rlavr_hpc.trainer.process import Process  # noqa: PLC0415

    plugins = build.load_plugins(config)
    bundle = load_tokenizer(config, quiet=not topology.is_main)
    prompts = build.prepare_prompts(config, split, bundle)
    if not torch.cuda.is_available():
        keep_freed_memory()
        build_ops.build_ops()
    init_ranks(
        device=build.pick_device(topology), rank=topology.rank, world_size=topology.world_size
    )
    inputs = build.Inputs(plugins=plugins, split=split, bundle=bundle, prompts=prompts)
    return Process(config=config, run_dir=run_dir, topology=topology, inputs=inputs, stop=stop)


def _finish(run: TrainingRun) -> ExitCode:
    from rlavr_hpc.trainer import distributed  # noqa: PLC0415

    words = distributed.on_main(lambda: _conclude(run, "done", code=ExitCode.DONE))
    if run.recorder is not None:
        print(words)
    _leave()
    _close_mirror(run, ExitCode.DONE)  # may take long, and no rank waits for it
    return ExitCode.DONE


def _leave() -> None:
    from rlavr_hpc.trainer import distributed  # noqa: PLC0415

    distributed.leave()


def _conclude(run: TrainingRun, status: str, *, code: ExitCode) -> str:
    """Write the summary and the last heartbeat on rank 0; returns the outcome in words."""
    from rlavr_hpc.trainer.reporting.summary import explain, summarize, write_done  # noqa: PLC0415

    config, run_dir = run.components.config, run.run_dir
    if run.recorder is None or run.components.ledger is None:
        return ""
    run.fence()
    run.components.ledger.book.check(run.components.rules)
    summary = summarize(run_dir, config, status=status, book=run.components.ledger.book)
    run.recorder.heartbeat.beat(status, step=run.state.step, exit_code=int(code))
    if status == "done":
        write_done(run_dir, run.state.step)
    if code is not ExitCode.DONE:
        _close_mirror(run, code)
    return explain(summary, config, run_dir)


def _close_mirror(run: TrainingRun, code: ExitCode) -> None:
    """Have the dashboard told how the attempt ended, on the rank that has one."""
    if run.recorder is None or run.recorder.mirror is None or run.components.ledger is None:
        return
    from rlavr_hpc.trainer.reporting.outcome import outcome_of, read_summary  # noqa: PLC0415

    facts = (
        run.run_dir,
        run.components.config,
        run.components.ledger.book,
        read_summary(run.run_dir),
    )
    run.recorder.mirror.close(code, partial(outcome_of, *facts))


def set_up_logging(topology: Topology) -> None:
    """Rank 0 speaks; the others only when something is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    root = logging.getLogger("rlavr_hpc")
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if topology.is_main else logging.WARNING)
    root.propagate = False


def quiet_vendors(*, on_cpu: bool) -> None:
    """Vendors' banners are not a run's output, their errors are; call before they are imported."""
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("DS_LOG_LEVEL", "error")
    if on_cpu:
        os.environ.setdefault("DS_ACCELERATOR", "cpu")  # else deepspeed warns that it found none
    for name in ("DeepSpeed", "deepspeed", "transformers", "torch.distributed"):
        logging.getLogger(name).setLevel(logging.ERROR)
    vendors = r"(torch|deepspeed|vllm|transformers|numba|_distutils_hack)\b"
    warnings.filterwarnings("ignore", module=vendors)


def check_rendezvous(topology: Topology) -> None:
    """Several ranks must have been told where to meet; a lone one picks a free port."""
    told = {"MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()
    if topology.world_size > 1 and not told:
        raise UserError(
            f"{topology.world_size} ranks were started without MASTER_ADDR and MASTER_PORT, so "
            "they cannot meet; start them with torchrun or srun, or set both"
        )
    if not told:
        os.environ["MASTER_PORT"] = str(_free_port())


def _free_port() -> int:
    """A port for the rendezvous of a lone rank; several ranks are told theirs by their launcher."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
