"""Who may see the page: links that are traded once, and the cookies that they are traded for.

Both are random; only their hashes are kept.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rlavr_hpc.errors import UserError
from rlavr_hpc.labels.desk.journal import DeskJournal

TOKEN_BYTES = 32
LINK_DAYS, SESSION_DAYS = 7, 60
DAY = 86_400.0
NAME = re.compile(r"[^\W_][\w .@+-]{0,39}")


class Role(StrEnum):
    """What somebody may do."""

    annotator = "annotator"
    owner = "owner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who is behind a link or a cookie."""

    name: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """A link, or a cookie."""

    person: Person
    at: float


@dataclass(slots=True)
class Access:
    """The links and cookies of a desk."""

    journal: DeskJournal
    links: dict[str, _Key] = field(default_factory=dict)
    """By hash; those that were not traded."""
    sessions: dict[str, _Key] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Learn from the journal."""
        self.journal.readers.append(self.take_in)

    def take_in(self, row: Mapping[str, Any]) -> None:
        """Learn from a line of the journal."""
        for gone in row.get("revoked", ()):
            self.links.pop(gone, None)
            self.sessions.pop(gone, None)
        if "link" not in row:
            return
        person = Person(name=str(row["name"]), role=Role(row["role"]))
        key = _Key(person=person, at=float(row["at"]))
        if "session" in row:
            self.links.pop(row["link"], None)
            self.sessions[row["session"]] = key
        else:
            self.links[row["link"]] = key

    def make_link(self, person: Person) -> str:
        """A new token for a person.

        Raises:
            UserError: the name cannot be used.
        """
        if not NAME.fullmatch(person.name):
            raise UserError(
                f"{person.name!r} is no name for the desk: up to 40 letters, digits, spaces and "
                ". @ + - _, a letter or digit first"
            )
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self.journal.note(link=_hash(token), name=person.name, role=str(person.role))
        return token

    def trade(self, token: str) -> tuple[Person, str] | None:
        """The person and the cookie that a link's token buys, once; None = nothing."""
        link = self.links.get(_hash(token))
        if link is None or time.time() - link.at > LINK_DAYS * DAY:
            return None
        cookie = secrets.token_urlsafe(TOKEN_BYTES)
        name, role = link.person.name, str(link.person.role)
        self.journal.note(session=_hash(cookie), link=_hash(token), name=name, role=role)
        return link.person, cookie

    def who(self, cookie: str | None, role: Role) -> Person | None:
        """The person of a cookie, in this role; None = nobody."""
        session = self.sessions.get(_hash(cookie)) if cookie else None
        if session is None or time.time() - session.at > SESSION_DAYS * DAY:
            return None
        return session.person if session.person.role is role else None

    def sign_out(self, cookie: str) -> None:
        """End one session."""
        self.journal.note(revoked=[_hash(cookie)])

    def revoke(self, name: str) -> int:
        """End all links and sessions of a name; how many there were."""
        both = (*self.links.items(), *self.sessions.items())
        gone = [key for key, one in both if one.person.name == name]
        if gone:
            self.journal.note(revoked=gone)
        return len(gone)

    @property
    def annotators(self) -> set[str]:
        """Names of all who may answer, or will be able to."""
        both = (*self.links.values(), *self.sessions.values())
        return {one.person.name for one in both if one.person.role is Role.annotator}


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
