"""From a prompt to the order that is placed for it: what is asked, shown, and paid."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rlavr_hpc.config.labels import Ask, LabelsConfig, Show
from rlavr_hpc.labels.identity import source_identity
from rlavr_hpc.labels.orders import Order, SourceIdentity, order_key
from rlavr_hpc.labels.source import LabelSource
from rlavr_hpc.types import Group, Message, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderMaker:
    """Makes a run's orders; the same prompt and the same things shown give the same key."""

    config: LabelsConfig
    source: LabelSource
    """For quotes alone."""
    identity: SourceIdentity
    questions: Mapping[str, Question]
    """By prompt id."""

    def of_model(self, models: Sequence[str]) -> OrderMaker:
        """The same for orders behind answers by these models.

        A model that changed behind its name is another source.
        """
        if not models or models[-1] == models[0]:
            return self
        return replace(self, identity=source_identity(self.config, model=models[-1]))

    def make(self, prompt_id: str, shown: Mapping[str, Any], *, copy: int) -> Order:
        """The order for a prompt.

        Args:
            prompt_id: the prompt.
            shown: what the source sees besides the question.
            copy: how many were asked for the same label before it.
        """
        question = self.questions[prompt_id]
        clusters = shown.get("clusters")
        order = Order(
            key=self.key_of(prompt_id, shown, copy=copy),
            prompt_id=prompt_id,
            messages=_messages(question),
            ask=self._ask(shown),
            task=question.task,
            price=self.config.price,
            vote=shown.get("vote"),
            clusters=None if clusters is None else tuple(clusters),
        )
        return replace(order, price=self.source.quote(order))

    def key_of(self, prompt_id: str, shown: Mapping[str, Any], *, copy: int) -> str:
        """The key of that order."""
        question = self.questions[prompt_id]
        return order_key(
            _messages(question),
            task=question.task,
            ask=self._ask(shown),
            source=self.identity,
            shown=shown,
            copy=copy,
        )

    def _ask(self, shown: Mapping[str, Any]) -> Ask:
        return Ask.verdict if self.asks_verdict(shown) else Ask.answer

    def asks_verdict(self, shown: Mapping[str, Any]) -> bool:
        """Whether a verdict is asked for; without a vote there is nothing to judge."""
        return self.config.ask is Ask.verdict and "vote" in shown

    def shown(self, group: Group) -> dict[str, Any]:
        """What the source sees besides the question."""
        vote, votes = group.vote.winner, self.config.show is Show.votes
        if vote is None or not (votes or self.config.ask is Ask.verdict):
            return {}
        if not votes:
            return {"vote": vote}
        texts = [group.vote.answers[members[0]] or "" for members in group.vote.clusters]
        return {"vote": vote, "clusters": sorted(texts, key=shuffled)}


def _messages(question: Question) -> tuple[Message, ...]:
    return question.messages or (Message(role="user", content=question.text),)


def shuffled(text: str) -> str:
    """Sorts in an order that says nothing of the sizes of clusters."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
