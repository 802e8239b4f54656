"""A mix of answers as models write them: 64 problems, 8 answers each, from a fixed seed.

Each problem has a kind; an answer is right with probability 0.6, else one of two wrong values, and
is written in one of its kind's forms. Kinds come in fixed shares, mostly numbers, as in MATH; one
problem in twelve needs computer algebra (in MATH500 it is one answer in fifty).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import gcd

RIGHT = 0.6
Form = Callable[[int, int], str]
"""Writes the answer with parameters (n, d); equal parameters, equal answers."""


def _reduced(n: int, d: int) -> str:
    common = gcd(n, d)
    return rf"\frac{{{n // common}}}{{{d // common}}}"


KINDS: tuple[tuple[int, tuple[Form, ...]], ...] = (
    # weight, forms
    (16, (lambda n, d: str(n), lambda n, d: f"{n}.0", lambda n, d: f"x = {n}")),
    (5, (lambda n, d: f"{n},{d}00", lambda n, d: f"{n}{d}00", lambda n, d: rf"{n}{{,}}{d}00")),
    (
        12,
        (
            _reduced,
            lambda n, d: rf"\frac{{{2 * n}}}{{{2 * d}}}",
            lambda n, d: rf"\dfrac{{{n}}}{{{d}}}",
            lambda n, d: f"{n}/{d}",
        ),
    ),
    (
        5,
        (
            lambda n, d: f"{n}.5",
            lambda n, d: rf"\frac{{{2 * n + 1}}}{{2}}",
            lambda n, d: rf"{n}\frac{{1}}{{2}}",
        ),
    ),
    (3, (lambda n, d: rf"{n}\%", lambda n, d: rf"{n} \%")),
    (
        5,
        (
            lambda n, d: rf"{2 * n}\sqrt{{{d}}}",
            lambda n, d: rf"\sqrt{{{4 * n * n * d}}}",
            lambda n, d: rf"{n}\sqrt{{{4 * d}}}",
        ),
    ),
    (4, (lambda n, d: rf"\frac{{{n}\pi}}{{{d}}}", lambda n, d: rf"\frac{{{n}}}{{{d}}}\pi")),
    (
        4,
        (
            lambda n, d: f"x^2+{2 * n}x+{n * n}",
            lambda n, d: f"(x+{n})^2",
            lambda n, d: f"{n * n} + {2 * n}x + x^2",
        ),
    ),
    (
        3,
        (
            lambda n, d: rf"\left( {n}, \frac{{1}}{{{d}}} \right)",
            lambda n, d: rf"({n},\frac{{1}}{{{d}}})",
            lambda n, d: rf"({n}, 1/{d})",
        ),
    ),
    (2, (lambda n, d: rf"[{n}, \infty)", lambda n, d: rf"\left[{n},\infty\right)")),
    (
        2,
        (
            lambda n, d: rf"\begin{{pmatrix}} {n} \\ {d} \end{{pmatrix}}",
            lambda n, d: rf"\begin{{pmatrix}}{n}\\{d}\end{{pmatrix}}",
        ),
    ),
    (2, (lambda n, d: rf"{n} \text{{ cm}}", lambda n, d: rf"{n}\text{{ cm}}", lambda n, d: str(n))),
    (2, (lambda n, d: rf"{n}^\circ", lambda n, d: rf"{n}^{{\circ}}", lambda n, d: str(n))),
    (1, (lambda n, d: rf"{n} \pm \sqrt{{2}}", lambda n, d: rf"{n}\pm\sqrt2")),
    (
        1,
        (
            lambda n, d: rf"(-\infty, {n}) \cup ({n + d}, \infty)",
            lambda n, d: rf"(-\infty,{n})\cup({n + d},\infty)",
        ),
    ),
    # what follows needs computer algebra
    (
        2,
        (
            lambda n, d: rf"\frac{{x}}{{x+{n}}}",
            lambda n, d: rf"1-\frac{{{n}}}{{x+{n}}}",
        ),
    ),
    (2, (lambda n, d: rf"\sin^2 x + {n}", lambda n, d: rf"{n + 1} - \cos^2 x")),
    (2, (lambda n, d: rf"\ln {n * n}", lambda n, d: rf"2\ln {n}")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One group to grade."""

    gold: str
    answers: tuple[str, ...]


def make_mix(seed: int, *, problems: int = 64, samples: int = 8) -> list[Problem]:
    """The mix; the same for the same arguments."""
    rng = random.Random(seed)
    total, ends = sum(weight for weight, _ in KINDS), [0]
    for weight, _ in KINDS:
        ends.append(ends[-1] + weight)
    kinds = [
        forms
        for (_, forms), start, end in zip(KINDS, ends, ends[1:], strict=False)
        for _ in range(round(problems * end / total) - round(problems * start / total))
    ]
    rng.shuffle(kinds)
    return [_problem(rng, forms, samples) for forms in kinds]


def _problem(rng: random.Random, forms: tuple[Form, ...], samples: int) -> Problem:
    values = [(rng.randint(2, 60), rng.choice((2, 3, 5, 7))) for _ in range(3)]
    values[1:] = [v if v[0] != values[0][0] else (v[0] + 1, v[1]) for v in values[1:]]
    right, *wrong = values

    def written(value: tuple[int, int]) -> str:
        return rng.choice(forms)(*value)

    answers = [
        written(right if rng.random() < RIGHT else rng.choice(wrong)) for _ in range(samples)
    ]
    return Problem(gold=written(right), answers=tuple(answers))
