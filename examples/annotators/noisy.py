"""Annotators who make mistakes, as a program for `labels.command`: to measure what noise does.

It knows the answers and errs on purpose. Whether a question is answered wrongly is decided by a
hash of its prompt, not by a coin: the same question meets the same mistake again, as with people.

    python noisy.py --answers answers.json --error 0.1 < orders.jsonl

`answers.json` maps prompt ids to answers. Several orders of one question (labels.redundancy) are
taken by different annotators, who err independently. Without `--state` they are told apart within
a call only; with it also when a further answer is ordered later.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from statistics import NormalDist
from typing import Any

SPREAD = 0.8
"""Standard deviation of the logarithm of an answer's minutes."""
MORNING, EVENING = 8, 20
"""Hours between which people work, with --nights."""


def unit(*parts: object) -> float:
    """A number in [0, 1) made of these parts; the same on every machine."""
    digest = hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def reply(
    order: dict[str, Any], answers: dict[str, str], annotator: int, given: argparse.Namespace
) -> dict[str, Any]:
    """What annotator number `annotator` says to an order."""
    prompt = order["prompt_id"]
    who = 0 if given.shared_errors else annotator
    line: dict[str, Any] = {
        "key": order["key"],
        "annotator": "spammer" if given.spam is not None else f"noisy-{annotator + 1}",
        "cost": order["price"] if given.price is None else given.price,
    }
    if given.minutes is not None:
        line["seconds"] = round(60 * minutes_of(order["key"], given), 1)
    if given.spam is not None:
        said = given.spam
    elif prompt not in answers:
        return {**line, "void": "its answer is not in the file"}
    elif unit(given.seed, "cannot say", prompt, who) < given.cannot_say:
        return {**line, "void": "cannot say"}
    else:
        errs = unit(given.seed, "error", prompt, who) < given.error
        said = wrong_answer(order, answers, who, given) if errs else answers[prompt]
    if order["ask"] == "verdict":
        verdict = said.strip() == str(order.get("vote", "")).strip()
        return {**line, "verdict": "right" if verdict else "wrong"}
    return {**line, "answer": said}


def wrong_answer(
    order: dict[str, Any], answers: dict[str, str], who: int, given: argparse.Namespace
) -> str:
    """A mistake: the model's vote if that is asked for and wrong, else another prompt's answer."""
    truth, vote = answers[order["prompt_id"]], order.get("vote")
    adopts = given.like_vote or order["ask"] == "verdict"
    if adopts and vote is not None and vote.strip() != truth.strip():
        return str(vote)
    others = sorted({text for text in answers.values() if text.strip() != truth.strip()})
    if not others:
        return f"not {truth}"
    return others[int(unit(given.seed, "which", order["prompt_id"], who) * len(others))]


def minutes_of(key: str, given: argparse.Namespace) -> float:
    """How long the annotator takes: lognormal, with the median that was given."""
    share = min(max(unit(given.seed, "minutes", key), 1e-9), 1 - 1e-9)
    return float(given.minutes * math.exp(SPREAD * NormalDist().inv_cdf(share)))


def due(first_seen: float, minutes: float, *, nights: bool) -> float:
    """Unix time at which an order first seen at `first_seen` is answered.

    With nights the minutes pass between MORNING and EVENING, local time, only.
    """
    if not nights:
        return first_seen + 60 * minutes
    now, left = datetime.fromtimestamp(first_seen).astimezone(), timedelta(minutes=minutes)
    while True:
        opens = now.replace(hour=MORNING, minute=0, second=0, microsecond=0)
        closes = now.replace(hour=EVENING, minute=0, second=0, microsecond=0)
        now = max(now, opens)
        if now < closes and left <= closes - now:
            return (now + left).timestamp()
        left -= max(closes - now, timedelta())
        now = opens + timedelta(days=1)


@contextmanager
def kept_state(path: Path | None) -> Iterator[dict[str, Any]]:
    """What earlier calls have seen; two calls at once wait for each other."""
    if path is None:
        yield {"orders": {}}
        return
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.loads(path.read_text()) if path.exists() else {"orders": {}}
        yield state
        new = path.with_name(f"{path.name}.new")
        new.write_text(json.dumps(state))
        os.replace(new, path)  # noqa: PTH105  as short as it gets


def number_of(order: dict[str, Any], seen: dict[str, Any], now: float) -> int:
    """Which annotator takes the order: the first free one for its question."""
    if order["key"] not in seen:
        question = [order["prompt_id"], order.get("vote"), order.get("clusters"), order["ask"]]
        name = hashlib.sha256(json.dumps(question).encode()).hexdigest()[:16]
        taken = sum(one["question"] == name for one in seen.values())
        seen[order["key"]] = {"question": name, "annotator": taken, "at": now}
    return int(seen[order["key"]]["annotator"])


def main() -> int:
    """Read orders, write the answers whose time has come."""
    given = arguments()
    answers = {key: str(text) for key, text in json.loads(given.answers.read_text()).items()}
    orders = [json.loads(line) for line in sys.stdin if line.strip()]
    with kept_state(given.state) as state:
        now = time.time()
        start = state.setdefault("start", now)
        now = start + (now - start) * given.speed
        for order in orders:
            annotator = number_of(order, state["orders"], now)
            if given.minutes is not None:
                at = state["orders"][order["key"]]["at"]
                if now < due(at, minutes_of(order["key"], given), nights=given.nights):
                    continue
            said = reply(order, answers, annotator, given)
            sys.stdout.write(f"{json.dumps(said)}\n")
    return 0


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--answers", type=Path, required=True, metavar="FILE.json", help="prompt id -> answer")
    add("--error", type=float, default=0.0, metavar="SHARE", help="of questions answered wrongly")
    add(
        "--like-vote", action="store_true", help="mistakes are the model's vote (labels.show=votes)"
    )
    add("--cannot-say", type=float, default=0.0, metavar="SHARE", help="of questions left open")
    add("--spam", nargs="?", const="1", metavar="ANSWER", help="always the same answer")
    add("--shared-errors", action="store_true", help="all annotators make the same mistakes")
    add("--price", type=float, help="of an answer; default: the order's")
    add("--seed", type=int, default=1, help="of the mistakes")
    add("--minutes", type=float, metavar="MEDIAN", help="an answer takes; lognormal; with --state")
    add("--nights", action="store_true", help=f"nobody works from {EVENING}:00 to {MORNING}:00")
    add("--speed", type=float, default=1.0, help="minutes that pass in a real one")
    add("--state", type=Path, metavar="FILE", help="remembers orders between calls")
    given = parser.parse_args()
    if given.minutes is not None and given.state is None:
        parser.error("--minutes needs --state FILE, which remembers when an order came")
    if not (0 <= given.error <= 1 and 0 <= given.cannot_say <= 1) or given.speed <= 0:
        parser.error("shares are 0 to 1, and --speed is above 0")
    return given


if __name__ == "__main__":
    sys.exit(main())
