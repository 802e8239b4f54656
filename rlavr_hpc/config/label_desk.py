"""`labels.desk`: the annotators' page."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class DeskConfig:
    """The annotators' page of `labels=people`."""

    host: str = "127.0.0.1"
    """Address to listen on; behind a portal of another host it is this host's name, or 0.0.0.0."""
    port: int = 0
    """Of the page; 0 = any free one."""
    socket: str | None = None
    """Path of a unix socket to serve on instead of a port."""
    origins: list[str] = field(default_factory=list)
    """Addresses besides this host's under which browsers reach the page, e.g. a portal's; links
    begin with the first, its path included."""
    prefix: str = ""
    """Path before every address of the page, behind a portal that keeps it."""
    claim_minutes: float | None = None
    """How long a question is kept for one annotator; null = three times the median answer."""
