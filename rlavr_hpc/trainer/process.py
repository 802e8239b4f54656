"""One process of a run: it loads the models once, and starts an attempt after every roll-back."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from rlavr_hpc.acquisition.ledger import Ledger
from rlavr_hpc.answers.timed_out_answers import TimedOutAnswers, read_timed_out
from rlavr_hpc.cluster.preemption import Deadline, StopFlag
from rlavr_hpc.cluster.topology import Topology
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.errors import ExitCode, NewProcessError, RunStoppedError
from rlavr_hpc.rollout import global_random
from rlavr_hpc.runs.attempts import check_fence
from rlavr_hpc.runs.checkpoint_retention import RetentionPolicy
from rlavr_hpc.runs.checkpoints import Checkpoint, TrainingState
from rlavr_hpc.runs.first_start import first_start
from rlavr_hpc.telemetry.collapse.alarm.alarm import CollapseAlarm
from rlavr_hpc.trainer import build, distributed
from rlavr_hpc.trainer.attempt_files import AttemptFiles, open_files, open_heartbeat
from rlavr_hpc.trainer.build_engine import device_name
from rlavr_hpc.trainer.checkpoint import random_state, resume
from rlavr_hpc.trainer.checkpoint.write import CheckpointWriter
from rlavr_hpc.trainer.components import Components, Records
from rlavr_hpc.trainer.hooks.checkpoints import CheckpointSchedule
from rlavr_hpc.trainer.hooks.early_warning import WarningCheck
from rlavr_hpc.trainer.hooks.evaluation import accuracy_name
from rlavr_hpc.trainer.hooks.first_step import grading_keys
from rlavr_hpc.trainer.hooks.record import Recorder, RunRecord
from rlavr_hpc.trainer.loop import TrainingRun
from rlavr_hpc.trainer.policy.protocol import Policy
from rlavr_hpc.trainer.reporting.profile import profile_of
from rlavr_hpc.trainer.vote_audits import VoteAudits, build_audits, leaves_room

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
        """Start an attempt where the run stands now. All ranks call this together.

        Raises:
            UserError: the run folder does not fit this process.
            CheckpointError: its checkpoint cannot be loaded.
            RunStoppedError: a stop signal came while the models were loaded.
        """
        prompts = self.inputs.prompts
        request = resume.AttemptRequest(
            run_dir=self.run_dir,
            config=self.config,
            topology=self.topology,
            prompts_fingerprint=prompts.fingerprint,
            prompts=prompts.identity,
            facts=prompts.facts,
            device=device_name(self.topology),
            passes=self.inputs.passes,
        )
        started = resume.begin_attempt(request)
        if started.checkpoint is None and self._models is not None:
            self._need_a_new_process(request, started)
        files = distributed.on_main_only(lambda: open_files(request, started))
        try:
            components = self._components(started, files)
        except Exception as error:
            if files is not None:
                ended = "stopped" if isinstance(error, RunStoppedError) else "failed"
                files.recorder.heartbeat.beat(ended, step=started.state.step)
            raise
        return self._run(components, started, files.recorder if files else None)

    def _need_a_new_process(
        self, request: resume.AttemptRequest, started: resume.StartedAttempt
    ) -> NoReturn:
        beat = open_heartbeat(request, started).beat
        distributed.on_main(partial(beat, "stopped", step=0, exit_code=int(ExitCode.STOPPED)))
        raise NewProcessError(
            f"{self.run_dir} was rolled back to its start, and this process no longer holds the "
            "initial weights; start the same command again to continue"
        )

    def _components(self, started: resume.StartedAttempt, files: AttemptFiles | None) -> Components:
        """Everything built, and brought to the state of the checkpoint."""
        records = Records(
            attempt=started.attempt.number,
            run_dir=self.run_dir,
            heartbeat=files.recorder.heartbeat if files else None,
            ledger=files.ledger if files else None,
            timed_out=TimedOutAnswers(
                self.run_dir,
                started.attempt.number,
                fence=self._fence(started) if files else None,
                answer_ids=distributed.on_main(partial(read_timed_out, self.run_dir)),
            ),
        )
        self._stop_if_asked()
        components = self._build(records, started.state)
        self._stop_if_asked()
        global_random.seed_all(self.config.seed, rank=self.topology.rank)
        if started.checkpoint is not None:
            self._load(components, started.checkpoint)
        return components

    def _stop_if_asked(self) -> None:
        """Stop before the first step: there is nothing to save yet."""
        if distributed.anyone(self.stop.received is not None):
            raise RunStoppedError(
                "stopped while it started, nothing is lost; start the same command again"
            )

    def _fence(self, started: resume.StartedAttempt) -> Callable[[], None]:
        return partial(check_fence, self.run_dir, started.attempt)

    def _build(self, records: Records, state: TrainingState) -> Components:
        if self._models is None:
            self._models = build.load_models(self.config, self.inputs, self.topology)
        deadline = Deadline(
            stop=self.stop,
            grace=self.config.cluster.grace,
            warning=self.config.cluster.warning,
            save_seconds=distributed.on_main(partial(resume.usual_save_seconds, self.run_dir)),
        )
        older = distributed.on_main(lambda: first_start(self.run_dir).by_older_version)
        return build.build_components(
            self.config,
            self.inputs,
            self._models,
            records=records,
            deadline=deadline,
            audits=audits_of_branch(self.config, self.inputs, ledger=records.ledger, state=state),
            by_older_version=older,
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

    def _load_resharded(self, policy: Policy, folder: Path) -> None:
        """By way of a temporary checkpoint of as many ranks as there are now."""
        log.warning(
            "%s was written by another number of ranks: weights and optimizer states are "
            "redistributed; the run continues correctly, but its results differ in their last bits",
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

    def _run(
        self, components: Components, started: resume.StartedAttempt, recorder: Recorder | None
    ) -> TrainingRun:
        record = RunRecord(
            recorder=recorder,
            accuracy=accuracy_name(self.config),
            keys=grading_keys(self.config),
            alarm=components.audits.alarm if components.audits else None,
        )
        checkpoints = CheckpointSchedule(
            components=components, writer=self._writer(components, started), record=record
        )
        return TrainingRun(
            components=components,
            run_dir=self.run_dir,
            state=started.state,
            record=record,
            checkpoints=checkpoints,
            warning=WarningCheck(
                config=self.config,
                run_dir=self.run_dir,
                recorder=recorder,
                checkpoints=checkpoints,
                alarm=acted_on(self.config, components),
            ),
            fence=self._fence(started),
            profiled=profile_of(self.config, self.run_dir, attempt=started.attempt.number),
        )

    def _writer(self, components: Components, started: resume.StartedAttempt) -> CheckpointWriter:
        settings = self.config.checkpoint
        return CheckpointWriter(
            run_dir=self.run_dir,
            policy=components.policy,
            acquisition_state=components.acquisition_state,
            fence=self._fence(started),
            keep=RetentionPolicy(
                last=settings.keep_last,
                every=settings.keep_every,
                best=settings.keep_best,
                healthy_below=self.config.warning.healthy,
            ),
            background=settings.background,
            attempt=started.attempt.number,
            newest=started.state.step if started.checkpoint is not None else -1,
        )


def audits_of_branch(
    config: RunConfig, inputs: build.Inputs, *, ledger: Ledger | None, state: TrainingState
) -> VoteAudits | None:
    """The audits of the branch that the run is on. All ranks call this together."""
    stream, answers = inputs.prompts.stream, inputs.split.train.answers

    def has_room() -> bool:
        assert ledger is not None
        return leaves_room(config, stream, answers, state=state, ledger=ledger)

    enough = distributed.on_main(has_room)
    return build_audits(config, stream, answers, state=state, enough=enough)


def acted_on(config: RunConfig, components: Components) -> CollapseAlarm | None:
    """The alarm that warnings are; None where they are the hint."""
    audits = components.audits
    return audits.alarm if audits is not None and config.warning.on_alarm else None
