r"""Sets of real numbers: unions of intervals, and the inequalities that say the same.

`x<-1 \text{ or } x>1`, `|x|>1` and `(-\infty,-1)\cup(1,\infty)` have one form: the brackets and
ends of intervals that are apart, in rising order. Inequalities must be linear in one letter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from rlavr_hpc.answers.exact.approximate import real_number
from rlavr_hpc.answers.exact.polynomial import (
    Item,
    NotReadError,
    Value,
    add,
    as_item,
    as_number,
    constant,
    letters_of,
    multiply,
    negate,
)
from rlavr_hpc.answers.exact.polynomial_text import read_value
from rlavr_hpc.answers.exact.regions import Ray, Region
from rlavr_hpc.answers.exact.tidy import TEXT

LE, GE, NE = "\u2264", "\u2265", "\u2260"
RELATIONS = (
    (re.compile(r"\\(?:leqslant|leqq|leq|le)(?![a-z])|<="), LE),
    (re.compile(r"\\(?:geqslant|geqq|geq|ge)(?![a-z])|>="), GE),
    (re.compile(r"\\(?:neq|ne)(?![a-z])|!="), NE),
    (re.compile(r"\\lt(?![a-z])"), "<"),
    (re.compile(r"\\gt(?![a-z])"), ">"),
    (re.compile(r"\\(?:lvert|rvert|vert|mid)(?![a-z])"), "|"),
)
SIGN = re.compile(f"([<>{LE}{GE}{NE}])")
TURNED = {"<": ">", ">": "<", LE: GE, GE: LE, NE: NE}
OR = re.compile(
    rf"\s*,?\s*(?:{TEXT}\{{\s*,?\s*or\s*\}}|(?<![A-Za-z])or(?![A-Za-z])|\\(?:lor|vee|cup)(?![a-z])|\u6216"
    r"|(?<=[)\]])\s*U\s*(?=[(\[]))\s*"
)
AND = re.compile(
    rf"\s*,?\s*(?:{TEXT}\{{\s*,?\s*and\s*\}}|(?<![A-Za-z])and(?![A-Za-z])|\\(?:land|wedge|cap)(?![a-z])|\u4e14)\s*"
)
BUILDER = re.compile(
    r"\\\{\s*([a-z])\s*(?:\\in\s*(?:\\mathbb\{?R\}?|\\R|R))?\s*(?:[|:]|\\colon)(.*)\\\}"
)
MEMBER = re.compile(r"([a-zA-Z])\s*\\in(?![a-z])(.*)")
REALS = re.compile(r"\s*(?:\\mathbb\{?\s*R\s*\}?|\\R)\s*")
INTERVAL = re.compile(r"\s*([(\[\]])(.*)([)\]\[])\s*")
ABSOLUTE = re.compile(r"\s*\|([^|]*)\|\s*")
MAX_PARTS = 8


def with_relations(text: str) -> str:
    """One sign for each relation."""
    for pattern, sign in RELATIONS:
        text = pattern.sub(sign, text)
    return text


def looks_like_region(text: str) -> bool:
    """Whether an answer may be one, so that it is worth reading: it has a relation or a union."""
    return bool(SIGN.search(text)) or "\\cup" in text or bool(OR.search(text) and "(" in text)


def read_region(text: str) -> Region:
    """A set of real numbers.

    Args:
        text: a tidy answer `with_relations`.

    Raises:
        NotReadError: it is none, is empty, or is written in another way.
    """
    builder, member = BUILDER.fullmatch(text), MEMBER.fullmatch(text)
    if builder or member:
        name, text = (builder or member)[1], (builder or member)[2]  # type: ignore[index]
        return replace(read_region(text), name=name)
    parts = [_all_of(part) for part in OR.split(text)]
    if len(parts) > MAX_PARTS:
        raise NotReadError
    names = {part.name for part in parts} - {""}
    if len(names) > 1:
        raise NotReadError
    rays = sorted((ray for part in parts for ray in part.rays), key=lambda ray: (ray.low, ray.high))
    return Region(rays=_joined(rays), name=names.pop() if names else "")


def read_chain(text: str) -> tuple[str, tuple[str, ...]]:
    """The signs and sides of `a > b > c`, turned so that it rises.

    Raises:
        NotReadError: it has no relations.
    """
    sides = SIGN.split(text)
    signs = sides[1::2]
    if not signs:
        raise NotReadError
    if set(signs) <= {">", GE}:
        sides, signs = sides[::-1], [TURNED[sign] for sign in reversed(signs)]
    return "".join(signs), tuple(sides[::2])


def _all_of(text: str) -> Region:
    if "," in text and all(map(SIGN.search, text.split(","))):
        return _listed([_one_of(part) for part in text.split(",")])
    parts = [_one_of(part) for part in AND.split(text)]
    names = {part.name for part in parts} - {""}
    if len(names) > 1 or len(parts) > MAX_PARTS:
        raise NotReadError
    rays = reduce(_common, (part.rays for part in parts))
    return Region(rays=rays, name=names.pop() if names else "")


def _listed(parts: Sequence[Region]) -> Region:
    """`x>1, x<3` is both; `x<1, x>3`, which nothing is, is one of them."""
    name = parts[0].name
    if any(part.name != name for part in parts) or len(parts) > MAX_PARTS:
        raise NotReadError
    try:
        return Region(rays=reduce(_common, (part.rays for part in parts)), name=name)
    except NotReadError:
        return Region(rays=tuple(ray for part in parts for ray in part.rays), name=name)


def _one_of(text: str) -> Region:
    if REALS.fullmatch(text):
        return Region(rays=(Ray(),))
    if SIGN.search(text):
        return _inequality(text)
    member, found = MEMBER.fullmatch(text.strip()), INTERVAL.fullmatch(text)
    if member:
        return replace(_one_of(member[2]), name=member[1])
    if not found:
        raise NotReadError
    ends = found[2].replace(";", ",").split(",")
    if len(ends) != 2:
        raise NotReadError
    closed = (found[1] == "[", found[3] == "]")
    return Region(rays=(_ray(*(as_item(read_value(end)) for end in ends), closed=closed),))


def _ray(start: Item, end: Item, *, closed: tuple[bool, bool]) -> Ray:
    low, high = real_number(start), real_number(end)
    if not low < high:
        raise NotReadError
    return Ray(start=start, end=end, low=low, high=high, closed=closed)


def _inequality(text: str) -> Region:
    """`a < x`, `a < x < b`, `|x - a| < b`, `x != a`."""
    sides = SIGN.split(text)
    if len(sides) == 3:
        return _relation(*sides)
    if len(sides) != 5 or sides[1] == NE or sides[3] == NE:
        raise NotReadError
    first, second = _relation(*sides[:3]), _relation(*sides[2:])
    if first.name != second.name:
        raise NotReadError
    return Region(rays=_common(first.rays, second.rays), name=first.name)


def _relation(left: str, sign: str, right: str) -> Region:
    if ABSOLUTE.fullmatch(right):
        left, sign, right = right, TURNED[sign], left
    absolute = ABSOLUTE.fullmatch(left)
    if absolute:
        return _distance(read_value(absolute[1]), sign, read_value(right))
    return _solved(add(read_value(left), negate(read_value(right))), sign)


def _distance(value: Value, sign: str, bound: Value) -> Region:
    """`|value| < bound` is both of `value < bound` and `value > -bound`; `>` is one of them."""
    if real_number(as_item(bound)) <= 0 or sign == NE:
        raise NotReadError
    above = _solved(add(value, negate(bound)), sign)
    below = _solved(add(value, bound), TURNED[sign])
    if sign in ("<", LE):
        return replace(above, rays=_common(above.rays, below.rays))
    return replace(above, rays=tuple(sorted((*above.rays, *below.rays), key=lambda ray: ray.low)))


def _solved(value: Value, sign: str) -> Region:
    """The numbers for which a linear value in one letter is above, below or not zero."""
    names = letters_of(as_item(value))
    if len(names) != 1:
        raise NotReadError
    (name,) = names
    linear = {m: c for m, c in value.items() if any(letter == name for letter, _ in m[2])}
    rest = {m: c for m, c in value.items() if m not in linear}
    if set(linear) != {(1, 0, ((name, 1),))} or name == "infty":
        raise NotReadError
    slope = as_number({(1, 0, ()): next(iter(linear.values()))})
    end = as_item(multiply(rest, constant(-1 / slope)))
    at, sign = real_number(end), TURNED[sign] if slope < 0 else sign
    below = Ray(end=end, high=at, closed=(False, sign == LE))
    above = Ray(start=end, low=at, closed=(sign == GE, False))
    rays = {"<": (below,), LE: (below,), ">": (above,), GE: (above,), NE: (below, above)}
    return Region(rays=rays[sign], name=name)


def _common(some: Sequence[Ray], others: Sequence[Ray]) -> tuple[Ray, ...]:
    """What lies in an interval of both."""
    found = []
    for one in some:
        for other in others:
            first = max(one, other, key=lambda ray: (ray.low, not ray.closed[0]))
            last = min(one, other, key=lambda ray: (ray.high, ray.closed[1]))
            if first.low < last.high:
                found.append(
                    Ray(
                        start=first.start,
                        low=first.low,
                        end=last.end,
                        high=last.high,
                        closed=(first.closed[0], last.closed[1]),
                    )
                )
    if not found:
        raise NotReadError
    return tuple(sorted(found, key=lambda ray: ray.low))


def _joined(rays: Sequence[Ray]) -> tuple[Ray, ...]:
    """Intervals that overlap or touch as one."""
    joined = [rays[0]]
    for ray in rays[1:]:
        last = joined[-1]
        if ray.low > last.high or (ray.low == last.high and not (ray.closed[0] or last.closed[1])):
            joined.append(ray)
            continue
        if ray.low == last.low and ray.closed[0] and not last.closed[0]:
            last = replace(last, closed=(True, last.closed[1]))
        longer = max(last, ray, key=lambda r: (r.high, r.closed[1]))
        joined[-1] = replace(
            last,
            end=longer.end,
            high=longer.high,
            closed=(last.closed[0], longer.closed[1]),
        )
    return tuple(joined)
