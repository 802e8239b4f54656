"""The settings of `labels=judge`, and what follows from them before anybody is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rlavr_hpc.config.labels import JudgeMode
from rlavr_hpc.labels.http_call import check_address
from rlavr_hpc.labels.orders import Order
from rlavr_hpc.labels.secret import read_key
from rlavr_hpc.labels.source import Source
from rlavr_hpc.labels.sources.judge_draws import Clusters, DrawPlan, Reader
from rlavr_hpc.labels.sources.judge_money import Prices
from rlavr_hpc.labels.sources.judge_request import Asker, load_template, others
from rlavr_hpc.labels.sources.judge_text import stated_answer

FIXED = ("model", "messages", "stream", "n", "temperature", "max_tokens")
"""Fields of a request that are settings of their own, or must be as they are."""
GRACE_SECONDS = 120.0
"""Between the end of a call and the line that logs it."""


@dataclass(kw_only=True)
class JudgeSettings(Source):
    """Who is asked, how, and what that may cost."""

    base_url: str | None = None
    model: str | None = None
    mode: JudgeMode = JudgeMode.solve
    template: str | None = None
    samples: int = 1
    agreement: float = 1.0
    temperature: float = 0.0
    max_tokens: int = 8192
    prompt_price: float = 0.0
    reply_price: float = 0.0
    concurrency: int = 8
    timeout: float = 600.0
    key_variable: str | None = None
    tries: int = 2
    """Calls per reply that an order's price pays for, where tokens have prices."""
    void_limit: int = 20
    """Orders in a row without any answer, after which the model is not asked any more."""
    length_field: str = "max_tokens"
    """As the service calls the limit on a reply's length."""
    body: dict[str, Any] = field(default_factory=dict)
    """More fields of every request."""
    reader: Reader = stated_answer
    """Finds the answer in a reply; set by whoever knows how the run reads answers."""
    clusters: Clusters | None = None
    """Which answers are equal; None = their texts are."""
    linger: float | None = None
    """Seconds after which a look leaves calls in flight to the next one; None = it waits."""
    asker: Asker = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse settings that cannot work."""
        self.base_url = check_address("labels.base_url", self.base_url)
        if not self.model:
            raise ValueError("labels.model is missing: the judge's name at labels.base_url")
        if self.samples > 1 and self.temperature == 0:
            raise ValueError(
                f"labels.samples={self.samples} with labels.temperature=0 draws one reply several "
                "times; set labels.temperature above 0"
            )
        if fixed := sorted(set(self.body) & {*FIXED, self.length_field}):
            raise ValueError(f"labels.settings.body may not hold {', '.join(fixed)}")
        self.mode = JudgeMode(self.mode)
        self.try_seconds = self.timeout + GRACE_SECONDS
        load_template(self.mode, self.template)
        self.asker = Asker(
            mode=self.mode,
            template=self.template,
            model=self.model,
            temperature=self.temperature,
            max_tokens=self.max_tokens,
            length_field=self.length_field,
            body=self.body,
        )

    def check_here(self) -> None:
        """Refuse a key that is not in this environment.

        Raises:
            SourceStoppedError: it is missing, or cannot be sent.
        """
        read_key(self.key_variable)

    def quote(self, order: Order) -> float:
        """The most that an answer may cost, all tries included; without prices the order's own."""
        if not self.prices.known:
            return order.price
        return self.bound(order) * self.plan(order).draws * self.tries

    @property
    def prices(self) -> Prices:
        """Of its tokens."""
        return Prices(prompt=self.prompt_price, reply=self.reply_price)

    def verifies(self, order: Order) -> bool:
        """Whether the judge sees the vote and says a verdict; otherwise it solves."""
        return self.asker.verifies(order)

    def plan(self, order: Order) -> DrawPlan:
        """How many replies an order takes."""
        compares = self.verifies(order) and bool(others(order))
        draws = max(2, self.samples + self.samples % 2) if compares else self.samples
        return DrawPlan(draws=draws, agreement=self.agreement, compares=compares)

    def bound(self, order: Order) -> float:
        """The most that one call may cost."""
        if not self.prices.known:
            return order.price / self.plan(order).draws
        return self.prices.of(self.asker.most_tokens(order), self.max_tokens)
