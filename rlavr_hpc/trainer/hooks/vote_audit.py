"""The collapse alarm after every step: it sees the step's audits, on every rank alike."""

from __future__ import annotations

from rlavr_hpc.telemetry import names
from rlavr_hpc.telemetry.reduce import Mean, Metrics, mean_of
from rlavr_hpc.trainer.stages.audit import AuditedVotes
from rlavr_hpc.trainer.vote_audits import VoteAudits
from rlavr_hpc.types import StepKey


def observe_audits(audits: VoteAudits | None, audited: AuditedVotes, step_key: StepKey) -> Metrics:
    """Show the alarm what a step's audits say; its metrics, none without audits."""
    if audits is None:
        return {}
    alarm = audits.alarm
    alarm.observe(step_key.step, kept=audited.kept, used=audited.used)
    certified = {names.LABELS_CERTIFIED: Mean(alarm.certified)} if alarm.certificate.audits else {}
    return {
        names.COLLAPSE_ALARM: Mean(alarm.raised is not None),
        names.COLLAPSE_ALARM_EVIDENCE: Mean(alarm.evidence),
        names.LABELS_AUDITS: Mean(audited.bought),
        names.LABELS_AUDITS_TOTAL: Mean(audited.total),
        names.LABELS_KEPT_RIGHT: mean_of(audited.kept.values()),
        names.LABELS_USED_RIGHT: mean_of(audited.used),
        **certified,
    }
