"""The audits of a run on one of its branches: who is audited, and the alarm that watches them.

The alarm's state belongs to the checkpoint. A resumed branch goes on with it; a new branch begins
anew, with other members and half the chance of a false alarm of the branch before: what was known
of the members has acted on the run.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from rlavr_hpc.acquisition.ledger import Ledger
from rlavr_hpc.acquisition.ledger_state import budget_rules
from rlavr_hpc.acquisition.market import InstantLabels
from rlavr_hpc.acquisition.vote_audit import AuditDraw, usual_share
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.config.warning import VoteAudit
from rlavr_hpc.data.stream import PromptStream
from rlavr_hpc.errors import CheckpointError, UserError
from rlavr_hpc.labels.dataset import DatasetLabels
from rlavr_hpc.runs.checkpoints import TrainingState
from rlavr_hpc.telemetry.collapse.alarm.alarm import CollapseAlarm
from rlavr_hpc.telemetry.collapse.alarm.plan import AlarmPlan
from rlavr_hpc.types import StepKey

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteAudits:
    """What a step's audits need, the same on every rank."""

    draw: AuditDraw
    labels: InstantLabels
    alarm: CollapseAlarm
    reserved: int
    """Labels that a cap leaves to kept prompts."""

    def state(self) -> dict[str, Any]:
        """For the checkpoint's manifest."""
        return {**_settings(self.draw, self.alarm.plan), "alarm": self.alarm.state()}

    def report(self) -> dict[str, Any]:
        """For people and programs: what the alarm says, and what is certified."""
        raised = self.alarm.raised
        return {
            "alarm": None if raised is None else {**asdict(raised), "bound": str(raised.bound)},
            "evidence": round(self.alarm.evidence, 4),
            "trusted_audited": self.alarm.certificate.audits,
            "trusted_right": self.alarm.certificate.right,
            "certified": self.alarm.certified,
            "words": self.alarm.certificate.words(level=self.alarm.plan.false_alarm),
        }


def build_audits(
    config: RunConfig,
    stream: PromptStream,
    answers: Mapping[str, str],
    *,
    state: TrainingState,
    enough: bool,
) -> VoteAudits | None:
    """The audits of the branch that the run is on; None where no vote is audited.

    Args:
        config: of the run.
        stream: its training prompts.
        answers: labels that the data has, by prompt.
        state: where the run goes on.
        enough: whether the cap on labels leaves room for the members of a new branch.

    Raises:
        CheckpointError: the checkpoint holds an alarm that cannot be read.
    """
    if config.warning.audit is VoteAudit.none:
        return None
    draw = _draw(config, stream, answers, branch=state.branch, kept=enough)
    plan = _plan(config, stream, draw, begin=state.step)
    alarm, stored = CollapseAlarm(plan=plan), state.alarm
    if stored is not None and _same(stored, _settings(draw, plan)):
        try:
            alarm = CollapseAlarm.load(stored["alarm"])
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"the collapse alarm of the checkpoint cannot be read ({error!r}); restore the "
                "checkpoint"
            ) from error
    elif state.step:
        log.info("the collapse alarm begins anew after step %d", state.step)
    return VoteAudits(
        draw=draw, labels=DatasetLabels(answers=answers), alarm=alarm, reserved=draw.reserve()
    )


def leaves_room(
    config: RunConfig,
    stream: PromptStream,
    answers: Mapping[str, str],
    *,
    state: TrainingState,
    ledger: Ledger,
) -> bool:
    """Whether the cap on labels allows kept ones on this branch; on rank 0.

    It is told by what was spent before the branch began: its members are known to nobody then.

    Raises:
        UserError: it does not even allow them on the first one.
    """
    if config.budget_total is None or not config.warning.audit.keeps:
        return True
    reserved = _draw(config, stream, answers, branch=state.branch, kept=True).reserve()
    rules = replace(budget_rules(config), reserved=reserved)
    begin = StepKey(seed=config.seed, step=0, branch=state.branch)
    left = ledger.state.left_of(rules, begin)
    if left is None or left >= 0:
        return True
    if not state.branch:
        raise UserError(
            f"warning.audit={config.warning.audit} sets {reserved} labels aside, and budget_total="
            f"{rules.total} allows fewer; raise budget_total, or lower warning.kept_share"
        )
    log.warning("budget_total leaves too few labels to keep some from training on this branch")
    return False


def _draw(
    config: RunConfig,
    stream: PromptStream,
    answers: Mapping[str, str],
    *,
    branch: int,
    kept: bool,
) -> AuditDraw:
    warning, ids = config.warning, [prompt.id for prompt in stream.prompts]
    population = frozenset(ids).intersection(answers)
    share = warning.kept_share or usual_share(batch=stream.batch, prompts=max(1, len(population)))
    return AuditDraw(
        seed=config.seed,
        branch=branch,
        kept_share=share if warning.audit.keeps and kept else 0.0,
        used_per_step=warning.used_per_step if warning.audit.uses else 0.0,
        population=population,
    )


def _plan(config: RunConfig, stream: PromptStream, draw: AuditDraw, *, begin: int) -> AlarmPlan:
    labelled = len(draw.population) / len(stream.prompts)
    return AlarmPlan(
        false_alarm=config.warning.false_alarm / 2**draw.branch,
        begin=begin,
        steps=config.steps,
        steps_per_pass=stream.steps_per_epoch,
        kept_per_step=draw.kept_share * stream.batch * labelled,
        used_per_step=draw.used_per_step,
        trust_floor=config.warning.trust_floor,
    )


def _settings(draw: AuditDraw, plan: AlarmPlan) -> dict[str, Any]:
    """What the alarm's promise depends on; with other settings it begins anew."""
    return {
        "seed": draw.seed,
        "branch": draw.branch,
        "kept_share": draw.kept_share,
        "used_per_step": draw.used_per_step,
        "false_alarm": plan.false_alarm,
        "trust_floor": plan.trust_floor,
    }


def _same(stored: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    return {key: value for key, value in stored.items() if key != "alarm"} == settings


def stored_alarm(audits: VoteAudits | None) -> dict[str, Any] | None:
    """The state of the audits for a checkpoint; None without audits."""
    return None if audits is None else audits.state()
