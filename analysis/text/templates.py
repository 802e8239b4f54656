"""Sentences from the templates in this folder: plain text, which the page escapes.

A template file has one macro per sentence or paragraph; numbers are written by its filters.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from analysis.text import numbers, terms

FOLDER = Path(__file__).parent


def write(template: str, macro: str, **facts: Any) -> str:  # noqa: ANN401
    """A macro's text on one line.

    Args:
        template: the file `TEMPLATE.j2`.
        macro: in it.
        facts: the macro's arguments.
    """
    return " ".join(str(getattr(_module(template), macro)(**facts)).split())


def write_lines(template: str, **facts: Any) -> tuple[str, ...]:  # noqa: ANN401
    """The lines of a whole template, without empty ones; texts in `facts` hold no line breaks."""
    text = environment().get_template(f"{template}.j2").render(**facts)
    return tuple(line.strip() for line in text.splitlines() if line.strip())


@cache
def _module(template: str) -> Any:  # noqa: ANN401
    return environment().get_template(f"{template}.j2").module


@cache
def environment(
    folder: Path = Path(__file__).parent, *, escaped: bool = False
) -> jinja2.Environment:
    """The templates of a folder, with the filters and names that all of them have.

    Args:
        folder: with the template files; by default this one.
        escaped: whether what is inserted is escaped for HTML.
    """
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=escaped,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters |= filters()
    made.globals |= {
        "KINDS": terms.KINDS,
        "NONE": numbers.NONE,
        "STANDINGS": terms.STANDINGS,
        "counted": numbers.counted,
    }
    return made


def filters() -> dict[str, Any]:
    """The filters of all templates, those of the page included."""
    return {
        "counted": numbers.counted,
        "duration": numbers.duration,
        "interval": numbers.with_interval,
        "listed": numbers.listed,
        "number": numbers.number,
        "outcome": numbers.outcome,
        "percent": numbers.percent,
        "spec": format,
        "steps_ahead": numbers.steps_ahead,
        "title": terms.title,
    }
