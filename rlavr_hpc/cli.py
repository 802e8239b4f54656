"""`rlavr VERB ...`, also `python -m rlavr_hpc VERB ...`: one parser, one place for errors.

Only the module of the verb that was asked for is imported. So help is fast, and a verb that needs
no torch imports none. A verb's module has DESCRIPTION, EPILOG, `add_arguments(parser)` and
`run(given)`, which returns the exit code and raises `RlavrError` for what is expected to go wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rlavr_hpc import __version__
from rlavr_hpc.errors import ExitCode, RlavrError, UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A verb, and where its code is."""

    name: str
    summary: str
    group: str
    """Heading in `rlavr --help`."""
    passes_on: bool = False
    """Its module reads the arguments by itself, in `pass_on(arguments, parser)`."""

    @property
    def module(self) -> str:
        """The module with the verb's code."""
        return f"rlavr_hpc.commands.{self.name.replace('-', '_')}"


GROUPS: dict[str, dict[str, str]] = {
    "run": {
        "run": "start or resume a run, or a sweep of runs",
        "check": "look at the data, prompts and grader of a run before it starts",
        "plan": "estimate memory, time and GPU-hours of a run before it starts",
        "fetch": "download the model and data of a run, for nodes without network",
        "rollback": "make a run continue from an earlier checkpoint",
    },
    "look": {
        "status": "show the state and progress of runs and sweeps",
        "why": "explain why a run failed, stopped or waits, and what to do next",
        "logs": "print the log of a run's newest job",
        "report": "analyse runs and write the report: collapse, conditions, budget",
        "track": "send runs to the dashboard, or rebuild them there",
    },
    "label": {
        "ledger": "show or verify the labels that were bought",
        "labels": "get labels from programs, services and people",
        "grade": "vote on and grade responses from a file",
    },
    "cluster": {
        "doctor": "check the settings of the Slurm cluster",
        "cancel": "cancel the jobs of runs or sweeps",
        "retry": "submit failed or cancelled runs again",
        "start-now": "start requeued jobs without Slurm's delay",
    },
    "model": {
        "evaluate": "evaluate a model on test sets, with confidence intervals",
        "export": "write a checkpoint as a Hugging Face model folder",
    },
    "shell": {
        "completion": "print the script that completes commands in your shell",
    },
}
VERSION = f"rlavr {__version__}"
PASSES_ON = ("run", "report")
VERBS = {
    name: Verb(name=name, summary=summary, group=group, passes_on=name in PASSES_ON)
    for group, verbs in GROUPS.items()
    for name, summary in verbs.items()
}
DESCRIPTION = """\
Reinforcement learning of language models with active verifiable rewards (RLAVR): most prompts have
no label, the model's majority vote stands in, and a budget buys true labels.
"""
EPILOG = """\
Examples:
  rlavr run steps=50 budget=0.1
  rlavr status runs
  rlavr report runs

`rlavr VERB --help` explains a verb, its options and its exit codes.
"""


class _TopParser(argparse.ArgumentParser):
    """Lists the verbs in their groups."""

    def format_help(self) -> str:
        width = max(map(len, VERBS)) + 2
        lines = [f"usage: {self.prog} VERB ...", "", DESCRIPTION]
        for group, verbs in GROUPS.items():
            lines += [f"{group}:", *(f"  {name:{width}}{text}" for name, text in verbs.items()), ""]
        lines += [
            "options:",
            f"  {'-h, --help':{width}} show this help",
            f"  {'--version':{width}} show the version",
            "",
        ]
        return "\n".join([*lines, EPILOG])


def build_parser() -> argparse.ArgumentParser:
    """The whole parser, with every verb's arguments; imports every verb's module."""
    return _parser(VERBS)[0]


def _parser(
    names: Iterable[str],
) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The parser of the verbs named, and each verb's own; only their modules are imported."""
    parser = _TopParser(prog="rlavr", description=DESCRIPTION, epilog=EPILOG, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=VERSION)
    verbs = parser.add_subparsers(
        dest="verb", metavar="VERB", required=True, parser_class=argparse.ArgumentParser
    )
    own = {}
    for name in names:
        module = _module(name)
        own[name] = verbs.add_parser(
            name,
            help=VERBS[name].summary,
            description=module.DESCRIPTION,
            epilog=module.EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(own[name])
        own[name].set_defaults(whole=build_parser)
    return parser, own


def _module(name: str) -> Any:  # noqa: ANN401
    return import_module(VERBS[name].module)


def call(arguments: Sequence[str]) -> int:
    """Do what a command line says; returns the exit code after reporting any error."""
    return reporting_errors(lambda: _call(list(arguments)))


def _call(arguments: list[str]) -> int:
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help", "--version"):
        print(VERSION if name == "--version" else _parser(())[0].format_help().rstrip("\n"))
        return ExitCode.DONE
    if name not in VERBS:
        raise UserError(_unknown(name))
    parser, own = _parser([name])
    if VERBS[name].passes_on:
        return int(_module(name).pass_on(arguments[1:], own[name]))
    return int(_module(name).run(parser.parse_args(arguments)))


def _unknown(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415

    close = get_close_matches(name, VERBS, cutoff=0.5)
    meant = f"did you mean {' or '.join(close)}? " if close else ""
    kind = "option" if name.startswith("-") else "verb"
    return f"there is no {kind} {name!r}; {meant}`rlavr --help` lists them"


def reporting_errors(work: Callable[[], int]) -> int:
    """Do the work; an expected error becomes one line on stderr, and its exit code.

    Anything that is not expected keeps its traceback.
    """
    try:
        code = work()
        sys.stdout.flush()
    except RlavrError as error:
        if os.environ.get("RANK", "0") == "0" or not isinstance(error, UserError):
            print(f"rlavr: {error}", file=sys.stderr)  # every rank finds a user's mistake
        return error.exit_code
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except OSError as error:
        print(f"rlavr: {error}", file=sys.stderr)
        return ExitCode.FAILED
    except KeyboardInterrupt:
        print("rlavr: interrupted", file=sys.stderr)
        return ExitCode.SECOND_SIGNAL
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """The process's command line; returns the exit code, or ends the process with it."""
    code = call(sys.argv[1:] if arguments is None else arguments)
    if "torch" in sys.modules:
        from rlavr_hpc.trainer.job import end_process  # noqa: PLC0415

        end_process(code)
    return code
