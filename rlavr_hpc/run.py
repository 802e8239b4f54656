"""`python -m rlavr_hpc.run`: compose a config, check it, run one job or launch a sweep."""

from __future__ import annotations

import os
import sys

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from rlavr_hpc.cluster.outcomes import OUTCOMES
from rlavr_hpc.config import shipped
from rlavr_hpc.config.run import RunConfig, resolve
from rlavr_hpc.errors import ExitCode, RlavrError, UserError
from rlavr_hpc.runs.folder import single_run_dir
from rlavr_hpc.trainer.job import end_process, run_job

CONF = shipped.CONF


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def compose_and_run(composed: DictConfig) -> None:
    """Hydra's entry: one job. A sweep's jobs go through the launcher instead."""
    try:
        OUTCOMES.append(_run_single(composed))
    except RlavrError as error:  # told here: Hydra would put its own words around it
        print(f"rlavr_hpc: {error}", file=sys.stderr)
        OUTCOMES.append(error.exit_code)


def _run_single(composed: DictConfig) -> ExitCode:
    config = resolve(composed)
    hydra_config = HydraConfig.get()
    if str(hydra_config.mode).endswith("MULTIRUN"):
        raise UserError(
            "sweeps need a launcher of this project: leave hydra/launcher out, or say slurm"
        )
    if hydra_config.runtime.choices["hydra/launcher"] == "slurm":
        raise UserError("hydra/launcher=slurm starts sweeps, also of one run: add -m")
    return run_job(config, single_run_dir(config))


def main() -> int:
    """Run and return the exit code; Hydra's own errors are mapped to the user's mistakes."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let errors come here instead of ending the process
    os.umask(0o027)  # Hydra makes folders too, and they are to be private like ours
    ConfigStore.instance().store(name="schema", node=RunConfig)
    try:
        compose_and_run()
    except RlavrError as error:
        print(f"rlavr_hpc: {error}", file=sys.stderr)
        return error.exit_code
    except (HydraException, OmegaConfBaseException) as error:
        cause = error.__cause__ or error
        print(f"rlavr_hpc: {_readable(error, cause)}", file=sys.stderr)
        return ExitCode.MISTAKE
    except OSError as error:  # Hydra makes a sweep's folder before any code of ours runs
        print(f"rlavr_hpc: {error}; choose another root", file=sys.stderr)
        return ExitCode.MISTAKE
    return max(OUTCOMES, default=ExitCode.DONE)


def _readable(error: BaseException, cause: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    reason = str(cause).splitlines()[0] if cause is not error and str(cause) else ""
    if len(lines) > 1 and "Could not find" not in lines[0]:
        lines = [line for line in lines if not line.strip().startswith(("full_key", "object_type"))]
    text = "\n  ".join(lines)
    return text if not reason or reason in text else f"{text}\n  {reason}"


if __name__ == "__main__":
    end_process(main())
