"""`rlavr completion bash|zsh|tcsh`: print the script that completes commands in a shell.

The script knows verbs, options and choices by itself: pressing Tab starts no Python.
"""

from __future__ import annotations

import argparse

import shtab

from rlavr_hpc.errors import ExitCode

DESCRIPTION = """\
Print the script that completes verbs, options and file names in your shell.
"""
EPILOG = """\
Examples:
  rlavr completion bash > ~/.local/share/bash-completion/completions/rlavr
  rlavr completion zsh > ~/.zfunc/_rlavr    (a folder in your fpath)
  rlavr completion tcsh >> ~/.cshrc

Exit codes: 0 printed, 2 your mistake.
"""
SHELLS = ("bash", "zsh", "tcsh")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `rlavr completion`."""
    parser.add_argument("shell", choices=SHELLS, help="your shell")


def run(given: argparse.Namespace) -> int:
    """Print the script of the parser that `whole` makes; returns the exit code."""
    parser: argparse.ArgumentParser = given.whole()
    _complete_paths(parser)
    print(shtab.complete(parser, shell=given.shell))
    return ExitCode.DONE


def _complete_paths(parser: argparse.ArgumentParser) -> None:
    """Have every argument that names a file or folder completed by those that exist."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                _complete_paths(below)
        elif action.metavar in ("DIR", "RUN", "OUT"):
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.metavar in ("FILE", "MODEL"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
