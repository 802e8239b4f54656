"""One process of a run: models once, and an attempt at the beginning and after every roll-back."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rlavr_hpc.answers.given_up import GivenUp, read_marks
from rlavr_hpc.attempts import check_fence
from rlavr_hpc.checkpoints import Checkpoint, Keep
from rlavr_hpc.cluster.preemption import Deadline, StopFlag
from rlavr_hpc.cluster.topology import Topology
from rlavr_hpc.config import RunConfig
from rlavr_hpc.errors import ExitCode, NewProcessError, RunStoppedError
from rlavr_hpc.rollout import global_random
from rlavr_hpc.trainer import assemble, random_state, ranks, resume
from rlavr_hpc.trainer.checkpoint import CheckpointWriter
from rlavr_hpc.trainer.deepspeed_policy import DeepspeedPolicy
from rlavr_hpc.trainer.loop import Run
from rlavr_hpc.trainer.parts import Parts, Records
from rlavr_hpc.trainer.profile import profile_of

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Process:
    """This rank, ready to start attempts."""

    config: RunConfig
    run_dir: Path
    topology: Topology
    inputs: assemble.Inputs
    stop: StopFlag
    _models: assemble.Models | None = None

    def start(self) -> Run:
        """Begin an attempt where the run stands now. All ranks call this together.

        Raises:
            UserError: the run folder does not fit this process.
            CheckpointError: its checkpoint cannot be loaded.
        """
        prompts = self.inputs.prompts
        start = resume.Start(
            run_dir=self.run_dir, config=self.config, topology=self.topology,
            prompts_fingerprint=prompts.fingerprint, facts=prompts.facts,
            device=assemble.device_name(self.topology),
        )  # fmt: skip
        begun = resume.begin(start)
        if begun.checkpoint is None and self._models is not None:
            beat = resume.heartbeat(start, begun).beat
            ranks.on_main(partial(beat, "stopped", step=0, exit_code=int(ExitCode.STOPPED)))
            raise NewProcessError(
                f"{self.run_dir} was rolled back to its start, and its first weights are not those "
                "that are loaded now; start the same command again to continue"
            )
        writers = ranks.on_main_only(lambda: resume.open_writers(start, begun))
        fence = partial(check_fence, self.run_dir, begun.attempt)
        records = Records(
            ledger=writers.ledger if writers else None,
            given_up=GivenUp(
                self.run_dir, begun.attempt.number, fence=fence if writers else None,
                marks=ranks.on_main(partial(read_marks, self.run_dir)),
            ),
        )  # fmt: skip
        try:
            self._heed_signal()
            parts = self._build(records)
            self._heed_signal()
            global_random.seed_all(self.config.seed, rank=self.topology.rank)
            if begun.checkpoint is not None:
                self._load(parts, begun.checkpoint)
        except Exception as error:
            if writers is not None:
                ended = "stopped" if isinstance(error, RunStoppedError) else "failed"
                writers.recorder.heartbeat.beat(ended, step=begun.state.step)
            raise
        return Run(
            parts=parts, run_dir=self.run_dir, state=begun.state, fence=fence,
            recorder=writers.recorder if writers else None,
            saver=self._saver(parts, fence, begun),
            profiled=profile_of(self.config, self.run_dir, attempt=begun.attempt.number),
        )  # fmt: skip

    def _heed_signal(self) -> None:
        """Models take minutes to load, and there is nothing to save yet."""
        if ranks.anyone(self.stop.received is not None):
            raise RunStoppedError(
                "stopped while it started, nothing is lost; start the same command again"
            )

    def _build(self, records: Records) -> Parts:
        if self._models is None:
            self._models = assemble.load_models(self.config, self.inputs, self.topology)
        deadline = Deadline(
            stop=self.stop, grace=self.config.cluster.grace, warning=self.config.cluster.warning,
            save_seconds=ranks.on_main(partial(resume.usual_save_seconds, self.run_dir)),
        )  # fmt: skip
        return assemble.build_parts(
            self.config, self.inputs, self._models, records=records, deadline=deadline
        )

    def _load(self, parts: Parts, checkpoint: Checkpoint) -> None:
        folder = checkpoint.folder
        config, policy = self.config, parts.policy
        if checkpoint.state.world_size == self.topology.world_size:
            policy.load(folder)
        else:
            self._load_resharded(policy, folder)
        ranks.on_main(
            lambda: parts.learner.load(folder, seed=config.seed, allowed=config.allow_change)
        )
        ranks.everyone(partial(random_state.load, folder))

    def _load_resharded(self, policy: DeepspeedPolicy, folder: Path) -> None:
        """By way of a folder that is like a checkpoint of as many ranks as there are now."""
        log.warning(
            "%s was written by another number of ranks: weights and optimizer are dealt anew; the "
            "run goes on correctly, but not bit for bit as it would have", folder,
        )  # fmt: skip
        work = folder.with_name(".resharded")

        def remove() -> None:
            shutil.rmtree(work, ignore_errors=True)

        ranks.on_main(remove)
        ranks.on_main(partial(policy.make_folders, work))
        ranks.everyone(partial(policy.reshard, folder, work))
        policy.load(work)
        ranks.barrier()
        ranks.on_main(remove)

    def _saver(self, parts: Parts, fence: partial[None], begun: resume.Begun) -> CheckpointWriter:
        settings, warning = self.config.checkpoint, self.config.warning
        return CheckpointWriter(
            run_dir=self.run_dir, policy=parts.policy, learner=parts.learner, fence=fence,
            keep=Keep(
                last=settings.keep_last, every=settings.keep_every, best=settings.keep_best,
                healthy_below=warning.healthy,
            ),
            background=settings.background,
            attempt=begun.attempt.number,
            newest=begun.state.step if begun.checkpoint is not None else -1,
        )  # fmt: skip
