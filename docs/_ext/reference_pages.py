"""Pages written when the site is built: commands, config keys, changelog, benchmark tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rlavr_hpc.cli import build_parser
from rlavr_hpc.commands.command_reference import Command, Option, commands
from rlavr_hpc.config.keys import Key, KeyGroup, groups

MADE = "<!-- Written by docs/_ext/reference_pages.py when the site is built. -->\n"


def write_pages(folder: Path) -> None:
    """Write cli.md and config.md to `folder`."""
    (folder / "cli.md").write_text("\n".join(command_page()), encoding="utf-8")
    (folder / "config.md").write_text("\n".join(config_page()), encoding="utf-8")


def write_copies(root: Path, folder: Path) -> None:
    """Write the changelog and the tables of benchmarks as pages, with links that hold there."""
    for table in sorted((root / "benchmarks/results").glob("*.md")):
        text = table.read_text(encoding="utf-8")
        page = folder / f"results-{table.stem}.md"
        page.write_text(f"---\norphan: true\n---\n\n{text}", encoding="utf-8")
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    (folder / "changelog.md").write_text(text.replace("](docs/", "](../"), encoding="utf-8")


def command_page() -> Iterator[str]:
    """Every verb: usage, options, and its help text."""
    yield MADE
    yield (
        "`rlavr VERB` and `python -m rlavr_hpc VERB` are the same. `rlavr run` is also "
        "`python -m rlavr_hpc.run`, and `rlavr report` is also `python -m analysis`. "
        "`rlavr VERB --help` prints what stands here. This page is made from the parser.\n"
    )
    found = list(commands(build_parser()))
    yield "| command | what it does |\n|---|---|"
    for one in found:
        anchor = f"rlavr-{one.name.replace(' ', '-')}"
        yield f"| [`rlavr {one.name}`](#{anchor}) | {_cell(one.summary)} |"
    yield ""
    for one in found:
        yield from _command(one)


def _command(one: Command) -> Iterator[str]:
    yield f"## rlavr {one.name}\n"
    yield f"```text\n{one.usage}\n```\n"
    yield f"```text\n{one.description}\n```\n" if one.description else ""
    if one.options:
        yield "| option | meaning |\n|---|---|"
        yield from (_option(option) for option in one.options)
        yield ""
    yield f"```text\n{one.epilog}\n```\n" if one.epilog else ""


def _option(one: Option) -> str:
    names = ", ".join(f"`{name}{' ' + one.value if one.value else ''}`" for name in one.names)
    told = one.sentence or "-"
    choices = f" One of {', '.join(f'`{c}`' for c in one.choices)}." if one.choices else ""
    return f"| {_cell(names)} | {_cell(told + choices)} |"


def config_page() -> Iterator[str]:
    """Every group of keys, with type, default and sentence of each key."""
    yield MADE
    yield (
        "Give any key on the command line as `key=value`; choose an option of a group with "
        "`group=option`. An option is a file in `conf/GROUP/` and may set other values than the "
        "defaults below. `python -m rlavr_hpc.run --cfg job` prints what a run would use. "
        "This page is made from the dataclasses in `rlavr_hpc/config/`.\n"
    )
    for group in groups():
        yield from _group(group)


def _group(group: KeyGroup) -> Iterator[str]:
    yield f"## {group.name}\n\n{_text(group.sentence)}\n"
    if group.options:
        yield f"Options: {', '.join(f'`{group.name}={option}`' for option in group.options)}\n"
    if group.keys:
        yield "| key | type | default | meaning |\n|---|---|---|---|"
        yield from (_key(key) for key in group.keys)
        yield ""


def _key(key: Key) -> str:
    default = f"`{key.default}`" if key.default else "set by the option"
    told = [key.sentence, *(_choice(name, said) for name, said in key.choices.items())]
    meaning = " ".join(_text(part) for part in told if part)
    return f"| `{key.key}` | {key.type} | {_cell(default)} | {_cell(meaning)} |"


def _choice(name: str, said: str) -> str:
    return f"`{name}`: {said}" if said else f"`{name}`."


def _text(text: str) -> str:
    """Docstrings as Markdown: what would be read as mark-up outside of code is escaped."""
    parts = text.split("`")
    return "`".join(part if at % 2 else _escape(part) for at, part in enumerate(parts))


def _escape(text: str) -> str:
    for mark in "\\*_[]<>$":
        text = text.replace(mark, f"\\{mark}")
    return text


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
