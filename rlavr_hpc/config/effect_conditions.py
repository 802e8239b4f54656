"""What decides whether a key has an effect: conditions on a run's config, and words for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlavr_hpc.config.acquisition import Unlabelled
from rlavr_hpc.config.data import MADE_PUZZLES, ChatTemplate, DataKind
from rlavr_hpc.config.model import ModelSource
from rlavr_hpc.config.task import BUILT_IN

if TYPE_CHECKING:
    from rlavr_hpc.config.run import RunConfig

MADE = (DataKind.testbed, *MADE_PUZZLES)
"""Prompts that the program makes itself."""


def pretrained(config: RunConfig) -> bool:
    """Whether the model is the user's."""
    return not config.model.built_here


def from_file(config: RunConfig) -> bool:
    """Whether the prompts are."""
    return config.data.kind not in MADE


def makes_puzzles(config: RunConfig) -> bool:
    """Whether they are puzzles, of the task that the program knows."""
    return config.data.kind in MADE_PUZZLES


def buys(config: RunConfig) -> bool:
    """Whether a label may be bought."""
    return config.quota > 0


def held_out(config: RunConfig) -> bool:
    """Whether there are prompts to evaluate on."""
    data = config.data
    if makes_puzzles(config):
        return data.eval_count > 0
    return data.holdout > 0 or bool(data.eval_path and from_file(config))


def trains_votes(config: RunConfig) -> bool:
    """Whether a prompt without a label may be trained on."""
    trusts = config.unlabelled is Unlabelled.trusted and config.acquisition.has_trust
    return trusts or config.unlabelled in (Unlabelled.pseudo, Unlabelled.soft)


def weighs_votes(config: RunConfig) -> bool:
    """Whether scores weigh them."""
    return trains_votes(config) and config.unlabelled is not Unlabelled.pseudo


def testbed_questions(config: RunConfig) -> bool:
    """Whether the testbed's questions are asked, or its model has read about them."""
    return config.data.kind is DataKind.testbed or config.model.source is ModelSource.testbed


def draws_data(config: RunConfig) -> bool:
    """Whether the data set is made or divided at random."""
    drawn = bool(config.data.holdout) and not config.data.eval_path
    return drawn if from_file(config) and pretrained(config) else True


def templates(config: RunConfig) -> bool:
    """Whether a chat template may be applied."""
    return pretrained(config) and config.data.chat_template is not ChatTemplate.none


def unlabelled_remain(config: RunConfig) -> bool:
    """Whether some prompt may stay without a label.

    A policy that trusts votes does not buy what it trusts; of one's own nothing is known.
    """
    capped = config.budget_total is not None
    picky = config.acquisition.has_trust or not config.acquisition.comes_with_the_program
    return capped or picky or from_file(config) or config.quota < config.algorithm.batch


def chooses_task(config: RunConfig) -> bool:
    """Whether the prompts leave open what an answer is."""
    return not makes_puzzles(config)


def takes_task(config: RunConfig) -> bool:
    """Whether a task can be named: of a user's own class, for any prompts."""
    own = bool(config.task.target) and not config.task.comes_with_the_program
    return own or chooses_task(config)


def reads_mathematics(config: RunConfig) -> bool:
    """Whether some prompts may be mathematics."""
    return chooses_task(config) and config.task_name in (None, "math")


def may_read_thoughts(config: RunConfig) -> bool:
    """Whether the task leaves it to the config where an answer may stand."""
    return not chooses_task(config) or config.task_name in (None, *BUILT_IN)


def data_words(config: RunConfig) -> str:
    """Where the prompts come from."""
    puzzles = dict.fromkeys(MADE_PUZZLES, "makes puzzles")
    made = {DataKind.testbed: "asks the testbed's questions", **puzzles}
    return f"data={config.data.kind} {made.get(config.data.kind, 'reads its prompts from a file')}"


def unlabelled_words(config: RunConfig) -> str:
    """What happens to prompts without a label."""
    trust = config.unlabelled is Unlabelled.trusted and not config.acquisition.has_trust
    policy = f" and acquisition={config.acquisition.name} trusts no vote" if trust else ""
    return f"unlabelled={config.unlabelled}{policy}"


def template_words(config: RunConfig) -> str:
    """Why no chat template is applied."""
    if pretrained(config):
        return "data.chat_template=none leaves the template out"
    return f"model={config.model.source} has no chat template"


def task_words(config: RunConfig) -> str:
    """Whose answers are not math."""
    if makes_puzzles(config):
        return f"data={config.data.kind} asks for who is what"
    return f"the task of all prompts is {config.task_name}"
