"""What the trainer's process and its graders say to each other; both import this."""

from __future__ import annotations

TEXT, LATEX, ANY = "text", "latex", "any"
"""How a text is read: letter by letter; as a formula; as prose in which the answer is found."""
OWN, OWN_LABEL = "own", "own label"
"""Of a task's own class, `own:NAME`: a response with its question, and a label with its question,
both as JSON lists."""
READ, SAME, MATCHES = "read", "same", "matches"
"""Requests: (READ, mode, text), (SAME, mode, one, other), (MATCHES, mode, known, answer).

Among rollouts equality is symmetric. A known answer is matched one way: to `x = 5` 5 is right, to
`2x + z = 1` 1 is not. A task's own class answers MATCHES with what the answer earns."""
READY = "ready"
"""A grader's first line. Afterwards each line answers a request: [reply, CPU seconds]."""
GAVE_UP = "gave up"
"""The reply to a request past its limits."""
FAILED = "failed"
"""`[FAILED, words]` is the reply to a request at which a task's own class raised an error."""
