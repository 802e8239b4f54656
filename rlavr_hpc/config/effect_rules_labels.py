"""Rules for keys about where labels come from."""

from __future__ import annotations

from rlavr_hpc.config.key_effect import Rule
from rlavr_hpc.config.labels import OF_SOURCES, Ask, Pending
from rlavr_hpc.config.run import RunConfig


def _of_source(key: str) -> Rule:
    """A setting of some of the program's own sources."""
    sources = [name for name, keys in OF_SOURCES.items() if key in keys]
    return Rule(
        keys=(f"labels.{key}",),
        works=lambda c: c.labels.name in sources,
        because=lambda c: f"labels={c.labels.name} has no such setting",
        instead=f"say labels={' or labels='.join(sources)}",
        by=("labels",),
    )


def _from_the_data(config: RunConfig) -> str:
    return "labels=dataset takes labels from the data, at once"


PEOPLE = ("people", "labelstudio")
SETTINGS = sorted({key for keys in OF_SOURCES.values() for key in keys})
RULES = (
    *map(_of_source, SETTINGS),
    Rule(
        keys=("labels.desk",),
        works=lambda c: c.labels.name == "people",
        because=lambda c: f"labels={c.labels.name} has no page for annotators",
        instead="say labels=people",
        by=("labels",),
    ),
    Rule(
        keys=("labels.inline", "labels.deadline", "labels.max_failures"),
        works=lambda c: c.labels.live and c.labels.name != "people",
        because=lambda c: (
            "annotators answer at the desk, which is its own process"
            if c.labels.live
            else _from_the_data(c)
        ),
        instead="say labels=command or labels=judge",
        by=("labels",),
        idle=(False,),
    ),
    Rule(
        keys=("labels.gold_first",),
        works=lambda c: c.labels.live and c.labels.name not in PEOPLE,
        because=lambda c: (
            "annotators would soon know which questions come first"
            if c.labels.live
            else _from_the_data(c)
        ),
        instead="mix known answers in with labels.gold, e.g. 0.1, or say labels=judge",
        by=("labels",),
        idle=(0,),
    ),
    Rule(
        keys=("labels.patience", "labels.then"),
        works=lambda c: c.labels.live and c.labels.pending is Pending.wait,
        because=lambda c: (
            f"labels.pending={c.labels.pending} does not wait"
            if c.labels.live
            else _from_the_data(c)
        ),
        instead="say labels.pending=wait",
        by=("labels", "labels.pending"),
    ),
    Rule(
        keys=("labels.enough",),
        works=lambda c: c.labels.live and Pending.park in (c.labels.pending, c.labels.then),
        because=lambda c: "the run never parks" if c.labels.live else _from_the_data(c),
        instead="say labels.pending=park",
        by=("labels", "labels.pending"),
    ),
    Rule(
        keys=("labels.on_wrong",),
        works=lambda c: c.labels.live and c.labels.ask is Ask.verdict,
        because=lambda c: (
            f"labels.ask={c.labels.ask} asks for answers, which never say that a vote is wrong"
            if c.labels.live
            else _from_the_data(c)
        ),
        instead="say labels.ask=verdict (labels.mode=verify for labels=judge)",
        by=("labels", "labels.ask", "labels.mode"),
    ),
    Rule(
        keys=("labels.max_redundancy", "labels.resolve"),
        works=lambda c: c.labels.live and c.labels.most_answers > 1,
        because=lambda c: (
            "labels.redundancy=1 asks one answer per label" if c.labels.live else _from_the_data(c)
        ),
        instead="set labels.redundancy, e.g. to 3",
        by=("labels", "labels.redundancy"),
    ),
    Rule(
        keys=(
            "labels.version",
            "labels.price",
            "labels.ask",
            "labels.show",
            "labels.pending",
            "labels.poll",
            "labels.redundancy",
            "labels.gold",
            "labels.bank",
            "labels.settings",
        ),
        works=lambda c: c.labels.live,
        because=_from_the_data,
        instead="say labels=command, labels=judge or labels=people",
        by=("labels",),
    ),
)
