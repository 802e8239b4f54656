"""Questions with a known answer that are asked first, and what is said of a source by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rlavr_hpc.acquisition.gold_check import GoldCheck, KnownAnswers
from rlavr_hpc.acquisition.gold_orders import GoldOrders
from rlavr_hpc.acquisition.ledger import read_ledger
from rlavr_hpc.commands.labels import open_known
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.labels.bridge import Bridge, LiveRun
from rlavr_hpc.labels.identity import source_identity
from rlavr_hpc.labels.mailbox import OrdersIn
from rlavr_hpc.labels.orders import Answer, Order
from rlavr_hpc.labels.sent import CallLog
from rlavr_hpc.labels.source import Source, SourceError
from rlavr_hpc.runs.identity import changed_keys
from tests.support.configs import composed
from tests.support.live_runs import LiveFolder

JUDGE = (
    *("labels=judge", "labels.base_url=http://127.0.0.1:1/v1", "labels.model=owl"),
    *("acquisition=random", "budget=0.1", "steps=20", "labels.gold_first=4"),
)
TRUTHS = ("f0-a1-b0", "f0-a2-b0", "f0-a3-b0", "f0-a4-b0", "f0-a5-b0")


@dataclass(kw_only=True)
class Oracle(Source):
    """Answers all at once, by prompt id, and counts."""

    says: dict[str, str]
    asked: list[str] = field(default_factory=list)

    def order(self, orders: Sequence[Order], log: CallLog) -> Iterator[Answer]:
        for order in orders:
            self.asked.append(order.prompt_id)
            text = self.says.get(order.prompt_id, "1")
            void = "cannot say" if text == "?" else None
            answer = None if void else text
            yield Answer(key=order.key, answer=answer, void=void, cost=0.5)


@dataclass
class Study:
    """A run with orders, and the bridge that serves it."""

    folder: Path
    overrides: tuple[str, ...] = ()
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.config: RunConfig = composed(*JUDGE, *self.overrides)
        self.run = LiveFolder(self.folder / "run", self.config, gold=TRUTHS)

    @property
    def truths(self) -> dict[str, str]:
        return dict(self.run.data.answers)

    def serve(self, says: dict[str, str], *, known: object = open_known) -> Oracle:
        """One start of a bridge, one look."""
        source = Oracle(says=says)
        live = LiveRun(run_dir=self.run.folder, config=self.config.labels)
        bridge = Bridge(
            find=lambda: [live],
            make_source=lambda run: source,
            say=self.said.append,
            watch=GoldCheck(open_known=known),  # type: ignore[arg-type]
        )
        bridge.look()
        return source

    def told(self) -> list[str]:
        return [line for line in self.said if "gold" in line or "BAD" in line]


def test_the_first_orders_have_known_answers_are_asked_once_and_cost_no_label(
    tmp_path: Path,
) -> None:
    study = Study(tmp_path)
    study.run.buy(1, "f0-a0-b0")
    placed = list(study.run.orders())
    assert placed == [*TRUTHS[:4], "f0-a0-b0"], "known answers come first"
    study.serve({})
    study.run.buy(1, "f0-a0-b0")
    study.run.buy(2, "f0-a6-b0")
    study.run.buy(3, "f0-a7-b0")
    assert set(study.run.orders()) == {*TRUTHS[:4], "f0-a0-b0", "f0-a6-b0", "f0-a7-b0"}
    state = read_ledger(study.run.folder)
    assert (state.bought, state.cost) == (1, 2.5)


def test_a_prompt_whose_label_is_wanted_is_no_gold_and_one_that_was_is_paid_once(
    tmp_path: Path,
) -> None:
    study = Study(tmp_path)
    study.run.buy(1, TRUTHS[0])
    assert list(study.run.orders()) == [*TRUTHS[1:], TRUTHS[0]]
    study.serve({})
    study.run.buy(1, TRUTHS[0])
    study.run.buy(2, TRUTHS[1])
    state = read_ledger(study.run.folder)
    assert (state.bought, state.cost, state.committed) == (2, 2.5, 2.5)


def test_known_answers_are_asked_as_far_as_the_money_goes(tmp_path: Path) -> None:
    study = Study(tmp_path, ("budget_cost=3.5",))
    study.run.book.cap = 3.5
    study.run.buy(1, "f0-a0-b0")
    assert list(study.run.orders()) == [*TRUTHS[:2], "f0-a0-b0"], "a question may cost 1"


def test_a_model_that_changed_behind_its_name_is_tried_anew(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.run.buy(1, "f0-a0-b0")
    study.serve({})
    study.run.buy(1, "f0-a0-b0")
    study.run.buy(2, "f0-a6-b0")
    history, maker = read_ledger(study.run.folder).orders, study.run.book.maker
    gold = GoldOrders(config=study.config.labels, prompts=tuple(study.truths))
    assert gold.make(history, maker, beside=["f0-a7-b0"], most=None) == []
    changed = maker.__class__(
        config=maker.config,
        source=maker.source,
        identity=source_identity(study.config.labels, model="another"),
        questions=maker.questions,
    )
    anew = gold.make(history, changed, beside=["f0-a7-b0"], most=None)
    assert len(anew) == 4
    assert not {order.prompt_id for order in anew} & set(TRUTHS[:4])


def test_how_many_come_right_is_said_before_the_first_other_answer_and_at_each_start(
    tmp_path: Path,
) -> None:
    study = Study(tmp_path)
    study.run.buy(1, "f0-a0-b0")
    study.serve({**study.truths, TRUTHS[1]: "17"})
    (line,) = study.told()
    name = "labels=judge labels.model=owl"
    assert line == f"run: {name}: 3 of 4 gold questions right (95% interval 19% to 99%)"
    assert study.said.index(line) == 4, "after four gold answers, before the fifth"
    again = study.serve({})
    assert again.asked == [], "nothing is paid again"
    assert study.told() == [line, line]


@pytest.mark.parametrize(("wrong", "line"), [("17", "0 of 4 gold"), ("?", "0 of 0 gold")])
def test_a_bad_one_is_named(tmp_path: Path, wrong: str, line: str) -> None:
    study = Study(tmp_path)
    study.run.buy(1, "f0-a0-b0")
    study.serve(dict.fromkeys(TRUTHS, wrong))
    counted, loud = study.told()
    assert line in counted
    assert "labels.model=owl IS BAD AT THESE QUESTIONS" in loud


def test_without_known_answers_nothing_is_said(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.run.book.gold = GoldOrders(config=study.config.labels, prompts=())
    study.run.buy(1, "f0-a0-b0")

    @contextmanager
    def never(run_dir: Path) -> Iterator[KnownAnswers]:
        raise AssertionError
        yield

    study.serve({}, known=never)
    assert list(study.run.orders()) == ["f0-a0-b0"]
    assert study.told() == []


def test_where_the_data_cannot_be_read_that_is_said_and_the_bridge_goes_on(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.run.buy(1, "f0-a0-b0")
    path = study.run.folder / "config.yaml"
    path.write_text(path.read_text().replace("kinds: HMHHMHXX", "kinds: Q"))
    study.serve({})
    (line,) = study.told()
    assert "the gold questions cannot be checked here" in line
    assert len(study.said) == 6


def test_a_run_whose_source_cannot_be_made_is_no_harm_to_the_others(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.run.buy(1, "f0-a0-b0")
    labels = study.config.labels
    runs = [LiveRun(run_dir=folder, config=labels) for folder in (tmp_path / "x", study.run.folder)]

    def make(run: LiveRun) -> Oracle:
        if run.run_dir.name == "x":
            raise SourceError("labels.template=gone.j2: it cannot be read")
        return Oracle(says={})

    bridge = Bridge(find=lambda: runs, make_source=make, say=study.said.append)
    assert bridge.look() == 5
    assert study.said[0] == "x is not served: labels.template=gone.j2: it cannot be read"
    assert bridge.failed


def test_a_template_is_the_same_file_for_job_and_bridge_and_its_folder_names_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        configs.append(composed(*JUDGE, "labels.template=t/ask.j2"))
    assert configs[0].labels.template == str(tmp_path / "a/t/ask.j2")
    assert changed_keys(*configs) == {}


def test_orders_look_alike(tmp_path: Path) -> None:
    study = Study(tmp_path)
    study.run.buy(1, "f0-a0-b0")
    orders = OrdersIn(study.run.folder).look()
    assert len({tuple(order.to_row()) for order in orders}) == 1
