"""One line of the ledger: its fields, its only spelling, and the hash that binds it to the last."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rlavr_hpc.errors import LedgerError
from rlavr_hpc.io import ReadLine, canonical_json
from rlavr_hpc.types import StepKey

VERSION = 1
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


Check = Callable[[object], bool]
COMMON: dict[str, Check] = {"branch": _is_count, "step": _is_count}
FIELDS: dict[str, dict[str, Check]] = {
    "intent": {**COMMON, "prompts": _is_texts, "quota": _is_count},
    "commit": {**COMMON, "prompt": _is_text, "label": _is_text, "cost": _is_cost},
    "void": {**COMMON, "prompt": _is_text, "cost": _is_cost},
}
"""Per kind of line, what else stands in it besides `v`, `seq`, `kind` and `hash`."""


def chain_line(
    rows: Iterable[dict[str, Any]], step_key: StepKey, *, head: str, number: int
) -> list[dict[str, Any]]:
    """The rows as lines of the ledger, behind line `number - 1`, whose hash is `head`."""
    chained = []
    for seq, row in enumerate(rows, start=number):
        full = {"v": VERSION, "seq": seq, "branch": step_key.branch, "step": step_key.step, **row}
        head = _hash(full, head)
        chained.append({**full, "hash": head})
    return chained


def check_hash_chain(row: Mapping[str, Any], *, head: str, number: int, where: str) -> None:
    """Raise LedgerError unless `row` is line `number` behind the one whose hash is `head`."""
    version, seq = row.get("v"), row.get("seq")
    if version != VERSION:
        raise LedgerError(f"{where}: version {version!r} is not {VERSION}, the one known here")
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
