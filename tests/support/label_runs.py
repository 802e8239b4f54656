"""A run folder with orders in its mailbox, served by a source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlavr_hpc.config.labels import Ask, LabelsConfig
from rlavr_hpc.labels.line_files import start_name
from rlavr_hpc.labels.mailbox import OrdersOut
from rlavr_hpc.labels.orders import Answer, Order
from rlavr_hpc.labels.sent import CallsIn
from rlavr_hpc.labels.served_run import ServedRun
from rlavr_hpc.labels.source import LabelSource
from rlavr_hpc.types import Message


def an_order(question: str = "6*7?", *, key: str = "k", **changes: Any) -> Order:  # noqa: ANN401
    values: dict[str, Any] = {
        "prompt_id": f"p-{key}",
        "messages": (Message(role="user", content=question),),
        "ask": Ask.answer,
        "task": "math",
        "price": 1.0,
        **changes,
    }
    return Order(key=key, **values)


@dataclass
class Bridge:
    """One start of a bridge for one run."""

    run_dir: Path
    source: LabelSource
    orders: Sequence[Order] = ()
    config: LabelsConfig = field(default_factory=lambda: LabelsConfig(name="mine", target=""))
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        attempt = len(list((self.run_dir / "labels/orders").glob("*"))) + 1
        if self.orders:
            OrdersOut(self.run_dir, attempt=attempt).place(self.orders)
        self.run = ServedRun(
            run_dir=self.run_dir,
            config=self.config,
            source=self.source,
            say=self.said.append,
            start=start_name(),
        )

    def look(self) -> dict[str, Answer]:
        """One look; all answers that count, by key."""
        self.run.look()
        return self.run.answers.first

    def paid(self, key: str = "k") -> float:
        """What the log of calls says."""
        calls = CallsIn(self.run_dir)
        calls.look()
        return calls.calls[key].cost if key in calls.calls else 0.0

    def calls(self, key: str = "k") -> int:
        """How often it was sent, as the log says."""
        calls = CallsIn(self.run_dir)
        calls.look()
        return len(calls.calls[key].begun) if key in calls.calls else 0
