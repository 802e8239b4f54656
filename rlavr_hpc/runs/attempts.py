"""Attempts: numbered fencing tokens that decide who may write a run folder, and what counts.

Every start publishes `attempts/N.json` exclusively. Its token seals the files of attempt N-1: only
the bytes named there count from now on, whatever a late writer still adds. A process that finds
`attempts/N+1.json` has been superseded and stops itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import socket
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rlavr_hpc.errors import FencedError, RlavrError
from rlavr_hpc.io import ReadLine, blocks, canonical_json, make_folder, publish_once, read_lines

VERSION = 3
"""The newest known; tokens that version 2 can tell are written as 2."""
PLAIN_VERSION = 2
FOLDER = "attempts"
SEALED = ("ledger", "metrics", "ungradable", "examples")
"""Folders whose segment `N.jsonl` belongs to attempt N."""
SEALED_LATER = ("ungradable", "examples")
"""Those that tokens of older versions do not seal."""
TOKEN_NAME = re.compile(r"([1-9][0-9]*)\.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """How much of a predecessor's segment counts."""

    size: int
    """Bytes, up to and with a line break."""
    sha256: str
    """Of these bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One start of a run."""

    number: int
    """Counted from 1."""
    resumed_from: int
    """Step of the checkpoint it continues; 0 = from the start."""
    seals: dict[str, Seal]
    """Per folder of `SEALED`, for attempt `number - 1`."""
    branch: int = 0
    """Raised by every roll-back."""
    reason: Literal["start", "rollback", "undo"] = "start"
    """`undo` takes back the roll-back right before it, on whose branch nothing ran."""
    setup: dict[str, Any] | None = None
    """What its successors must have in common with it; None where it runs nothing."""
    finished: int | None = None
    """Of a roll-back: steps after which the run was finished; older versions lack the field."""
    host: str = field(default_factory=socket.gethostname)
    pid: int = field(default_factory=os.getpid)
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    nonce: str = field(default_factory=lambda: secrets.token_hex(8))
    version: int = PLAIN_VERSION


def read_attempts(run_dir: Path) -> list[Attempt]:
    """All attempts so far, in order.

    Raises:
        RlavrError: a token is damaged, written by a newer version, or one is missing.
    """
    folder = run_dir / FOLDER
    names = [TOKEN_NAME.fullmatch(p.name) for p in folder.iterdir()] if folder.is_dir() else []
    numbers = sorted(int(match[1]) for match in names if match)
    if numbers != list(range(1, len(numbers) + 1)):
        raise RlavrError(f"{folder}: tokens {numbers} have a gap; a file was deleted")
    return [read_attempt(run_dir, number) for number in numbers]


def token_path(run_dir: Path, number: int) -> Path:
    """Where attempt `number`'s token is published."""
    return run_dir / FOLDER / f"{number}.json"


def read_attempt(run_dir: Path, number: int) -> Attempt:
    """One attempt by its number.

    Raises:
        RlavrError: its token is missing, damaged, or written by a newer version.
    """
    path = token_path(run_dir, number)
    try:
        values = json.loads(path.read_text())
        if values["version"] > VERSION:
            raise RlavrError(f"{path}: written by a newer version ({values['version']})")
        seals = {name: Seal(**seal) for name, seal in values["seals"].items()}
        return _checked(Attempt(**{**values, "seals": seals}), number=number)
    except FileNotFoundError as error:
        raise RlavrError(f"{path} is missing") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RlavrError(f"{path}: not an attempt's token: {error}") from error


def _checked(attempt: Attempt, *, number: int) -> Attempt:
    """The same; raises TypeError where a field cannot be what it says."""
    if attempt.number != number:
        raise TypeError(f"it says that it is number {attempt.number!r}")
    counts = (attempt.number, attempt.resumed_from, attempt.branch, attempt.finished or 0)
    texts = (attempt.host, attempt.started, attempt.nonce, attempt.reason)
    if not all(type(count) is int and count >= 0 for count in counts):
        raise TypeError(f"number, resumed_from, branch and finished are {counts}")
    if not all(isinstance(text, str) for text in texts):
        raise TypeError(f"host, started, nonce and reason are {texts}")
    if not isinstance(attempt.setup, dict | None):
        raise TypeError(f"setup is {attempt.setup!r}")
    return attempt


def publish_attempt(
    run_dir: Path,
    *,
    resumed_from: int,
    after: int,
    **facts: Any,  # noqa: ANN401
) -> Attempt | None:
    """Publish the next token, sealing what the last attempt wrote.

    Args:
        run_dir: the run's folder.
        resumed_from: step of the checkpoint that the attempt continues.
        after: the last attempt that was there when this was chosen.
        facts: the token's other fields.

    Returns:
        None when another process was faster: choose again.
    """
    make_folder(run_dir / FOLDER)
    seals = {name: seal_file(segment(run_dir, name, after)) for name in SEALED} if after else {}
    attempt = Attempt(number=after + 1, resumed_from=resumed_from, seals=seals, **facts)
    known = {k: v for k, v in asdict(attempt).items() if k != "finished" or v is not None}
    text = canonical_json(known) + "\n"
    return attempt if publish_once(token_path(run_dir, attempt.number), text) else None


def seal_file(path: Path) -> Seal:
    """The seal of a file's complete lines; a missing file is sealed empty."""
    digest, size, torn = hashlib.sha256(), 0, b""
    for block in blocks(path):
        complete, line_break, rest = (torn + block).rpartition(b"\n")
        digest.update(complete + line_break)
        size += len(complete + line_break)
        torn = rest
    return Seal(size=size, sha256=digest.hexdigest())


def segment(run_dir: Path, folder: str, number: int) -> Path:
    """The file in which attempt `number` writes its lines."""
    return run_dir / folder / f"{number}.jsonl"


def standing(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The attempts without roll-backs that were undone; both tokens of such a pair ran nothing."""
    kept: list[Attempt] = []
    for attempt in attempts:
        if attempt.reason != "undo":
            kept.append(attempt)
        elif kept and kept[-1].reason == "rollback":
            kept.pop()
    return kept


def forks(attempts: Sequence[Attempt]) -> dict[int, int]:
    """Per branch but the first, the last step that it has in common with the one before."""
    begun: dict[int, int] = {}
    for attempt in standing(attempts):
        if attempt.branch:
            before = begun.get(attempt.branch, attempt.resumed_from)
            begun[attempt.branch] = min(before, attempt.resumed_from)
    return begun


def check_fence(run_dir: Path, attempt: Attempt) -> None:
    """Raise FencedError when a newer attempt owns the run folder."""
    successor = token_path(run_dir, attempt.number + 1)
    if successor.exists():
        raise FencedError(
            f"attempt {attempt.number} was superseded ({successor} exists); it stops here, and "
            "what it writes from now on does not count"
        )


def accepted_lines(run_dir: Path, folder: str) -> Iterator[tuple[int, Path, ReadLine]]:
    """Every line that counts: (attempt, file, line), attempts in order.

    A seal is checked behind the last line of its segment, so that a reader who knows more of the
    lines can name the damaged one first: use nothing before the iteration has ended.

    Raises:
        RlavrError: a sealed segment is shorter than its seal or its bytes have changed.
        ValueError: a line is not JSON.
    """
    attempts = read_attempts(run_dir)
    for attempt in attempts:
        path, lines = segment(run_dir, folder, attempt.number), 0
        seal = seal_on(attempts, attempt.number, folder)
        for line in read_lines(path, limit=seal.size if seal else None):
            lines = line.number
            yield attempt.number, path, line
        if seal:
            _check_seal(path, seal, lines=lines)


def seal_on(attempts: Sequence[Attempt], number: int, folder: str) -> Seal | None:
    """The seal on attempt `number`'s segment; None while it is the newest, or was never sealed.

    Raises:
        RlavrError: the successor's token lacks a seal that every version writes, or it is damaged.
    """
    if number == len(attempts):
        return None
    seal = attempts[number].seals.get(folder)
    if seal is None and folder in SEALED_LATER:
        return None
    if seal is None or type(seal.size) is not int or seal.size < 0:
        raise RlavrError(f"attempts/{number + 1}.json holds no seal of {folder}/{number}.jsonl")
    return seal


def _check_seal(path: Path, seal: Seal, *, lines: int) -> None:
    digest, size, last = hashlib.sha256(), 0, b""
    for block in blocks(path, limit=seal.size):
        digest.update(block)
        size, last = size + len(block), block
    if size < seal.size:
        raise RlavrError(
            f"{path}:{lines + 1}: {seal.size} bytes were sealed by the next attempt, {size} "
            "are there: the file was cut short or deleted; restore it from a copy"
        )
    if digest.hexdigest() != seal.sha256:
        broken = lines + (not last.endswith(b"\n"))
        raise RlavrError(
            f"{path}:{broken}: the first {seal.size} bytes, up to this line, are not those that "
            "the next attempt sealed; the file was damaged or edited after the fact"
        )
