"""One process of a run: models once, and an attempt at the beginning and after every roll-back."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rlavr_hpc.answers.timed_out_answers import TimedOutAnswers, read_timed_out
from rlavr_hpc.cluster.preemption import Deadline, StopFlag
from rlavr_hpc.cluster.topology import Topology
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import ExitCode, NewProcessError, RunStoppedError
from rlavr_hpc.rollout import global_random
from rlavr_hpc.runs.attempts import check_fence
from rlavr_hpc.runs.checkpoint_retention import RetentionPolicy
from rlavr_hpc.runs.checkpoints import Checkpoint
from rlavr_hpc.trainer import build, distributed
from rlavr_hpc.trainer.checkpoint import random_state, resume
from rlavr_hpc.trainer.checkpoint.write import CheckpointWriter
from rlavr_hpc.trainer.components import Components, Records
from rlavr_hpc.trainer.loop import TrainingRun
from rlavr_hpc.trainer.policy.deepspeed_policy import DeepspeedPolicy
from rlavr_hpc.trainer.reporting.profile import profile_of

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Process:
    """This rank, ready to start attempts."""

    config: RunConfig
    run_dir: Path
    topology: Topology
    inputs: build.Inputs
    stop: StopFlag
    _models: build.Models | None = None

    def start(self) -> TrainingRun:
        """Begin an attempt where the run stands now. All ranks call this together.

        Raises:
            UserError: the run folder does not fit this process.
            CheckpointError: its checkpoint cannot be loaded.
        """
        prompts = self.inputs.prompts
        start = resume.AttemptStart(
            run_dir=self.run_dir,
            config=self.config,
            topology=self.topology,
            prompts_fingerprint=prompts.fingerprint,
            facts=prompts.facts,
            device=build.device_name(self.topology),
        )
        begun = resume.begin(start)
        if begun.checkpoint is None and self._models is not None:
            beat = resume.heartbeat(start, begun).beat
            distributed.on_main(partial(beat, "stopped", step=0, exit_code=int(ExitCode.STOPPED)))
            raise NewProcessError(
                f"{self.run_dir} was rolled back to its start, and its first weights are not those "
                "that are loaded now; start the same command again to continue"
            )
        writers = distributed.on_main_only(lambda: resume.open_writers(start, begun))
        fence = partial(check_fence, self.run_dir, begun.attempt)
        records = Records(
            ledger=writers.ledger if writers else None,
            timed_out=TimedOutAnswers(
                self.run_dir,
                begun.attempt.number,
                fence=fence if writers else None,
                answer_ids=distributed.on_main(partial(read_timed_out, self.run_dir)),
            ),
        )
        try:
            self._heed_signal()
            components = self._build(records)
            self._heed_signal()
            global_random.seed_all(self.config.seed, rank=self.topology.rank)
            if begun.checkpoint is not None:
                self._load(components, begun.checkpoint)
        except Exception as error:
            if writers is not None:
                ended = "stopped" if isinstance(error, RunStoppedError) else "failed"
                writers.recorder.heartbeat.beat(ended, step=begun.state.step)
            raise
        return TrainingRun(
            components=components,
            run_dir=self.run_dir,
            state=begun.state,
            fence=fence,
            recorder=writers.recorder if writers else None,
            saver=self._saver(components, fence, begun),
            profiled=profile_of(self.config, self.run_dir, attempt=begun.attempt.number),
        )

    def _heed_signal(self) -> None:
        """Models take minutes to load, and there is nothing to save yet."""
        if distributed.anyone(self.stop.received is not None):
            raise RunStoppedError(
                "stopped while it started, nothing is lost; start the same command again"
            )

    def _build(self, records: Records) -> Components:
        if self._models is None:
            self._models = build.load_models(self.config, self.inputs, self.topology)
        deadline = Deadline(
            stop=self.stop,
            grace=self.config.cluster.grace,
            warning=self.config.cluster.warning,
            save_seconds=distributed.on_main(partial(resume.usual_save_seconds, self.run_dir)),
        )
        return build.build_components(
            self.config, self.inputs, self._models, records=records, deadline=deadline
        )

    def _load(self, components: Components, checkpoint: Checkpoint) -> None:
        folder = checkpoint.folder
        config, policy = self.config, components.policy
        if checkpoint.state.world_size == self.topology.world_size:
            policy.load(folder)
        else:
            self._load_resharded(policy, folder)
        distributed.on_main(
            lambda: components.acquisition_state.load(
                folder, seed=config.seed, allowed=config.allow_change
            )
        )
        distributed.everyone(partial(random_state.load, folder))

    def _load_resharded(self, policy: DeepspeedPolicy, folder: Path) -> None:
        """By way of a folder that is like a checkpoint of as many ranks as there are now."""
        log.warning(
            "%s was written by another number of ranks: weights and optimizer are dealt anew; the "
            "run goes on correctly, but not bit for bit as it would have",
            folder,
        )
        work = folder.with_name(".resharded")

        def remove() -> None:
            shutil.rmtree(work, ignore_errors=True)

        distributed.on_main(remove)
        distributed.on_main(partial(policy.make_folders, work))
        distributed.everyone(partial(policy.reshard, folder, work))
        policy.load(work)
        distributed.barrier()
        distributed.on_main(remove)

    def _saver(
        self, components: Components, fence: partial[None], begun: resume.Begun
    ) -> CheckpointWriter:
        settings, warning = self.config.checkpoint, self.config.warning
        return CheckpointWriter(
            run_dir=self.run_dir,
            policy=components.policy,
            acquisition_state=components.acquisition_state,
            fence=fence,
            keep=RetentionPolicy(
                last=settings.keep_last,
                every=settings.keep_every,
                best=settings.keep_best,
                healthy_below=warning.healthy,
            ),
            background=settings.background,
            attempt=begun.attempt.number,
            newest=begun.state.step if begun.checkpoint is not None else -1,
        )
