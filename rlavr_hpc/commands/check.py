"""`rlavr check KEY=VALUE ...`: a look at a run's data, prompts and grader before it is started."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rlavr_hpc.cluster.effects import Asked, refuse_idle
from rlavr_hpc.cluster.overrides import config_of
from rlavr_hpc.config.run import RunConfig
from rlavr_hpc.data.asked_form import SHOWN, AskedForm
from rlavr_hpc.data.findings import DataFinding, FindingLevel
from rlavr_hpc.data.load_split import Split
from rlavr_hpc.errors import ExitCode, RlavrError
from rlavr_hpc.trainer.inputs import load_inputs
from rlavr_hpc.trainer.inspection import DataInspection, inspect_data

DESCRIPTION = """\
Look at a run before it is started: which task reads which rows and why, labels that are no answer,
prompts that are repeated, cut, too long or in a chat template already, what the prompts ask for
against what the grader reads, what ends a response, and one prompt as the model will read it.
Takes the run's own overrides. Loads the tokenizer and no model.
"""
EPILOG = """\
A warning concerns some rows and names the first five of them. An error concerns all: `rlavr run`
refuses it too. `rlavr run` prints the warnings when it starts, and keeps all findings in
provenance/N.json of the run's folder.

In the rendered prompt special tokens stand in «»; a mark outside of «» is plain text to the model.

--json prints one object: prompts, held_out, tasks (task, prompts, labelled, answers: labels that
are an answer, reads: forms that are read), asked (form -> prompts that ask for it), findings (kind,
level: note, warning or error, text, count, rows), example (id, text, tokens; null = none).

Examples:
  rlavr check data=jsonl data.path=questions.jsonl model=pretrained model.path=Qwen/Qwen3-4B
  rlavr check experiment=math

Exit codes: 0 nothing is wrong for all rows, 2 something is, or another mistake of yours.
"""
COLUMNS = ("task", "prompts", "labelled", "labels that are an answer", "reads")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr check`."""
    parser.add_argument("overrides", metavar="KEY=VALUE", nargs="*", help="as for `rlavr run`")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(given: argparse.Namespace) -> int:
    """Look; returns the exit code."""
    config = config_of(given.overrides)
    refuse_idle([Asked(config=config, overrides=given.overrides, exists=False)])
    split = load_inputs(config)
    findings, example = _look_at_prompts(config, split)
    inspection = inspect_data(config, split, also=findings)
    values = as_values(split, inspection, example)
    print(json.dumps(values) if given.json else "\n".join(as_lines(config, values)))
    return ExitCode.MISTAKE if inspection.errors else ExitCode.DONE


def _look_at_prompts(
    config: RunConfig, split: Split
) -> tuple[Sequence[DataFinding], Mapping[str, Any] | None]:
    """What was found in the templated prompts, and one of them; imports the tokenizer's library."""
    from rlavr_hpc.trainer.job import quiet_vendors  # noqa: PLC0415

    quiet_vendors(on_cpu=True)
    from rlavr_hpc.trainer.inspected_prompts import look_at_prompts  # noqa: PLC0415

    try:
        findings, example = look_at_prompts(config, split)
    except RlavrError as error:  # shown with the rest, and an error all the same
        found = DataFinding(kind="prompts", level=FindingLevel.error, text=str(error))
        return (found,), None
    return findings, asdict(example)


def as_values(
    split: Split, inspection: DataInspection, example: Mapping[str, Any] | None
) -> dict[str, Any]:
    """For programs."""
    return {
        "prompts": len(split.train.questions),
        "held_out": len(split.held_out.questions),
        **inspection.facts(),
        "example": example,
    }


def as_lines(config: RunConfig, values: Mapping[str, Any]) -> Iterator[str]:
    """For people."""
    place = config.data.path or f"data={config.data.kind}"
    yield f"{place}: {values['prompts']} training prompts, {values['held_out']} held out"
    yield ""
    yield from _table(
        [
            COLUMNS,
            *(
                (t["task"], t["prompts"], t["labelled"], t["answers"], ", ".join(t["reads"]))
                for t in values["tasks"]
            ),
        ]
    )
    yield ""
    for form, count in values["asked"].items():
        yield f"{count} of {values['prompts']} prompts ask for an answer {_form(form)}"
    for level in (FindingLevel.error, FindingLevel.warning, FindingLevel.note):
        for finding in values["findings"]:
            if finding["level"] == level:
                yield from _finding(finding)
    if values["example"] is not None:
        yield from _example(values["example"])
    yield ""
    unnamed = values["asked"].get(AskedForm.nothing, 0) == values["prompts"]
    yield _summary(values["findings"], unnamed=unnamed)


def _form(form: str) -> str:
    shown = SHOWN[AskedForm(form)]
    return shown if form == AskedForm.nothing else f"as {shown}"


def _table(rows: Sequence[Sequence[object]]) -> Iterator[str]:
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        texts = [
            cell.rjust(width) if 0 < place < len(row) - 1 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(texts).rstrip()


def _finding(finding: Mapping[str, Any]) -> Iterator[str]:
    yield f"{finding['level']:8s} {printable(finding['text'])}"
    if finding["rows"] and finding["rows"][0].rpartition(", ")[2] not in finding["text"]:
        more = " ..." if finding["count"] > len(finding["rows"]) else ""
        yield f"         {printable(', '.join(finding['rows']))}{more}"


def _example(example: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"prompt {printable(example['id'])} as the model reads it, {example['tokens']} tokens:"
    yield from (f"  | {printable(line)}" for line in example["text"].split("\n"))


def _summary(findings: Sequence[Mapping[str, Any]], *, unnamed: bool) -> str:
    errors = sum(finding["level"] == FindingLevel.error for finding in findings)
    warnings = sum(finding["level"] == FindingLevel.warning for finding in findings)
    if errors:
        return f"{errors} wrong for all rows: `rlavr run` refuses this"
    found = f"{warnings} wrong for some rows" if warnings else "nothing is wrong"
    if not unnamed:
        return found
    return (
        f"{found}{'' if warnings else ' with the rows'}; but no prompt says where its answer "
        "shall stand, so a model that is not used to such prompts may give none that can be read"
    )


def printable(text: str) -> str:
    """A text of the data on one line, safe for a terminal."""
    clean = text.encode("utf-8", "replace").decode()
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in clean)
