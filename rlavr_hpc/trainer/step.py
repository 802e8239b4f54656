"""One RLAVR training step. Read `run_step` as the method's page: a line is a stage.

`trainer/stages/` holds the stages. Each gathers what it needs from the other ranks and times
itself; what it returns, every rank holds.
"""

from __future__ import annotations

from rlavr_hpc.learning.advantages import compute_advantages
from rlavr_hpc.learning.batch import make_mini_batches
from rlavr_hpc.learning.dynamic_sampling import filter_informative_groups
from rlavr_hpc.trainer.components import Components
from rlavr_hpc.trainer.reporting.step_metrics import step_metrics
from rlavr_hpc.trainer.stages.audit import buy_audit_labels, check_votes, with_used_labels
from rlavr_hpc.trainer.stages.buy import acquire_labels
from rlavr_hpc.trainer.stages.context import begin_step
from rlavr_hpc.trainer.stages.grade import grade_groups, newly_labelled
from rlavr_hpc.trainer.stages.probes import update_probes
from rlavr_hpc.trainer.stages.records import StepRecords, StepResult
from rlavr_hpc.trainer.stages.reward import reward_groups, self_reward_inputs
from rlavr_hpc.trainer.stages.rollout import generate_rollouts, sync_engine
from rlavr_hpc.trainer.stages.score import score_rollouts
from rlavr_hpc.trainer.stages.update import update_policy
from rlavr_hpc.trainer.stages.vote import begin_vote, finish_vote
from rlavr_hpc.types import StepKey


def run_step(components: Components, step_key: StepKey, *, quota: int) -> StepResult:
    """One step at `step_key`; every rank calls it and returns the same result.

    Shapes: B prompts that the step trains on, G rollouts of a prompt.

    Args:
        components: what the run is made of.
        step_key: the step.
        quota: new labels it may buy.

    Raises:
        OutOfTimeError: on all ranks, when a stop signal leaves no time; nothing was bought and
            nothing has changed.
        DivergedError: on all ranks, when a loss or a gradient is not a finite number.
    """
    algorithm, shaping = components.config.algorithm, components.shaping
    step = begin_step(components, step_key, quota=quota)
    prompts = components.stream.at(step_key)
    sync_engine(step)
    rollouts = generate_rollouts(step, prompts)
    vote = begin_vote(step, rollouts)  # on another thread, while the policy scores
    scores = score_rollouts(step, rollouts)
    drawn = finish_vote(step, vote, rollouts)
    groups = filter_informative_groups(drawn, batch=algorithm.batch)
    step.abort_if_out_of_time()  # the last chance: from here on the step changes the run
    chosen = acquire_labels(step, groups, scores, drawn=drawn)
    audits = buy_audit_labels(step, chosen, drawn=drawn)
    purchase = with_used_labels(chosen, audits)
    grades = grade_groups(step, drawn, purchase)
    own = self_reward_inputs(groups, scores, rollouts)
    rewarded = reward_groups(step, groups, purchase=purchase, grades=grades, self_inputs=own)
    advantages_BG = compute_advantages(rewarded, shaping)
    batches = make_mini_batches(
        rewarded,
        advantages_BG,
        mini_batch=algorithm.prompts_per_update,
        keep_all=components.policy.trains_zero_advantage,
        shaping=shaping,
    )
    skip_update = purchase.selection.skip_update
    updates = update_policy(step, batches, scores, skip_update=skip_update)
    labelled = newly_labelled(groups, purchase, grades)
    audited = check_votes(step, drawn, audits, grades)
    probe_losses = update_probes(step, groups, labelled, scores, purchase=purchase)
    records = StepRecords(
        drawn=drawn,
        groups=groups,
        purchase=purchase,
        grades=grades,
        labelled=labelled,
        audited=audited,
        training_groups=rewarded,
        batches=batches,
        updates=updates,
        probe_losses=probe_losses,
    )
    return StepResult(records=records, metrics=step_metrics(step, records))
