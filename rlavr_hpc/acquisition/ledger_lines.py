"""One line of the ledger: its fields, its only spelling, and the hash that binds it to the last."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rlavr_hpc.errors import LedgerError
from rlavr_hpc.io import ReadLine, canonical_json
from rlavr_hpc.types import StepKey

VERSION, LIVE_VERSION, AUDIT_VERSION = 1, 2, 3
"""2 marks the kinds of lines that programs which know labels of data sets alone do not have, 3
those of audits."""
GENESIS = "0" * 32
"""What the first line is chained to."""
INTEGERS = 2**53
"""Numbers below it are the same in every reader of JSON."""


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < INTEGERS


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_cost(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value <= sys.float_info.max  # type: ignore[operator]


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_cost_or_none(value: object) -> bool:
    return value is None or _is_cost(value)


def _is_step(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_count, value))


def _is_flag(value: object) -> bool:
    return type(value) is bool


def _is_part(value: object) -> bool:
    return value in ("earlier", "step")


def _is_use(value: object) -> bool:
    return value in ("kept", "used")


def _is_shown(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


Check = Callable[[object], bool]
COMMON: dict[str, Check] = {"branch": _is_count, "step": _is_count}
FIELDS: dict[str, dict[str, Check]] = {
    "intent": {**COMMON, "prompts": _is_texts, "quota": _is_count},
    "commit": {**COMMON, "prompt": _is_text, "label": _is_text, "cost": _is_cost},
    "void": {**COMMON, "prompt": _is_text, "cost": _is_cost},
    "ordered": {
        **COMMON,
        "prompt": _is_text,
        "decided": _is_step,
        "key": _is_text,
        "price": _is_cost,
        "copy": _is_count,
        "gold": _is_flag,
        "shown": _is_shown,
    },
    "sent": {**COMMON, "key": _is_text, "calls": _is_count, "cost": _is_cost},
    "received": {
        **COMMON,
        "key": _is_text,
        "answer": _is_text_or_none,
        "verdict": _is_text_or_none,
        "void": _is_text_or_none,
        "annotator": _is_text,
        "model": _is_text,
        "cost": _is_cost,
        "seconds": _is_cost_or_none,
    },
    "settled": {
        **COMMON,
        "prompt": _is_text,
        "decided": _is_step,
        "label": _is_text_or_none,
        "wrong": _is_text_or_none,
        "void": _is_text_or_none,
        "cost": _is_cost,
    },
    "superseded": {**COMMON, "prompt": _is_text, "key": _is_text, "label": _is_text},
    "seen": {**COMMON, "of": _is_part},
    "audit": {**COMMON, "prompts": _is_texts, "use": _is_use},
    "audited": {
        **COMMON,
        "prompt": _is_text,
        "label": _is_text_or_none,
        "cost": _is_cost,
        "use": _is_use,
    },
}
"""Per kind of line, what else stands in it besides `v`, `seq`, `kind` and `hash`.

    ordered     a question to a source that is asked, in a step after its intent
    sent        what was paid for its calls, known when its answer was seen
    received    an answer, in the step at which it became visible
    settled     what the answers to one intent come to: a label, a wrong vote, or nothing
    superseded  a label corrected by its source
    seen        all that a step sees of earlier orders, or of its own, stands before this line
    audit       prompts whose vote is compared with a label that was bought for that alone
    audited     such a label; `use` says whether it also trains (`used`) or never does (`kept`)
"""
LIVE = frozenset({"ordered", "sent", "received", "settled", "superseded", "seen"})
"""Lines of version 2."""
AUDITS = frozenset({"audit", "audited"})
"""Lines of version 3."""
KNOWN = (VERSION, LIVE_VERSION, AUDIT_VERSION)


def chain_line(
    rows: Iterable[dict[str, Any]], step_key: StepKey, *, head: str, number: int
) -> list[dict[str, Any]]:
    """The rows as lines of the ledger, behind line `number - 1`, whose hash is `head`."""
    chained = []
    for seq, row in enumerate(rows, start=number):
        version = LIVE_VERSION if row["kind"] in LIVE else VERSION
        version = AUDIT_VERSION if row["kind"] in AUDITS else version
        full = {"v": version, "seq": seq, "branch": step_key.branch, "step": step_key.step, **row}
        head = _hash(full, head)
        chained.append({**full, "hash": head})
    return chained


def check_hash_chain(row: Mapping[str, Any], *, head: str, number: int, where: str) -> None:
    """Raise LedgerError unless `row` is line `number` behind the one whose hash is `head`."""
    version, seq = row.get("v"), row.get("seq")
    if version not in KNOWN:
        known = f"{', '.join(map(str, KNOWN))}, the ones known here"
        raise LedgerError(f"{where}: version {version!r} is none of {known}")
    if not isinstance(row.get("kind"), str) or row["kind"] not in FIELDS:
        raise LedgerError(f"{where}: unknown kind {row.get('kind')!r}")
    if type(seq) is not int or seq > number:
        raise LedgerError(f"{where}: line {seq!r} follows line {number - 1}: some are lost")
    if seq < number:
        raise LedgerError(
            f"{where}: line {seq} follows line {number - 1}: it stands twice or was moved"
        )
    if row.get("hash") != _hash(row, head):
        raise LedgerError(f"{where}: the hash does not match: this or an earlier line was changed")


def check_fields(row: Mapping[str, Any], where: str) -> None:
    """Raise LedgerError unless every field of `row`, whose kind is known, can be what it is."""
    for name, fits in FIELDS[row["kind"]].items():
        if name not in row:
            raise LedgerError(f"{where}: a line of kind {row['kind']!r} lacks {name!r}")
        if not fits(row[name]):
            raise LedgerError(f"{where}: {name}={_short(row[name])} cannot be right")


def check_spelling(line: ReadLine, where: str) -> None:
    """Raise LedgerError unless the line's bytes are the only ones its values are written as.

    The hash binds values; `1.0` and `1e0` are the same one.
    """
    try:
        written = canonical_json(line.row).encode()
    except (ValueError, RecursionError) as error:
        raise LedgerError(f"{where}: not a line of a ledger ({error})") from error
    if written != line.raw:
        raise LedgerError(f"{where}: the line is not spelt as it was written; it was changed")


def _hash(row: Mapping[str, Any], previous: str) -> str:
    body = canonical_json({k: v for k, v in row.items() if k != "hash"})
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()[:32]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
