"""Knights and knaves: who is what, read from the answer with the names of the puzzle's own text.

The label is never asked for names: a vote parsed with them would leak it.
"""

from __future__ import annotations

import re

INHABITANTS = re.compile(r"You meet \d{1,2} inhabitants?: ([^.\n]{1,500})\.")
IS = r"\s*(?:is|was|:|=|->|-|\()\s*(?:(?:an?|the)\s+)?((?i:knight|knave))\b"
SPEAKER = re.compile(r"(?:^|(?<= \. ))([A-Z][a-z]{1,40}) says ")
WHO = " . who ?"
"""How a prompt of `data=reasoning` ends; everybody in it speaks."""
SOMEONE = re.compile(r"\b([A-Z][\w'-]{0,40})" + IS)
ROLE = r"\b{name}\b" + IS


def puzzle_names(text: str) -> tuple[str, ...]:
    """The inhabitants in the order in which the puzzle names them; empty when it names none."""
    found = INHABITANTS.findall(text)
    if not found:
        return tuple(dict.fromkeys(SPEAKER.findall(text))) if text.rstrip().endswith(WHO) else ()
    parts = re.split(r",\s*(?:and\s+)?|\s+and\s+", found[-1])
    return tuple(part.strip() for part in parts if part.strip())


def read_roles(answer: str, names: tuple[str, ...]) -> str | None:
    """The canonical form `Ann=knight;Bob=knave` of an answer, in the order of `names`.

    None when a name is missing or is given both roles: such an answer is unparsable. Where the
    puzzle names nobody in the known way, whoever the answer names counts, in alphabetical order.
    """
    answer = answer.replace("*", "").replace("_", " ")
    if not names:
        return _roles_of_anyone(answer)
    roles = []
    for name in names:
        pattern = ROLE.format(name=re.escape(name))
        found = {role.lower() for role in re.findall(pattern, answer, flags=re.IGNORECASE)}
        if len(found) != 1:
            return None
        roles.append(f"{name}={found.pop()}")
    return ";".join(roles)


def _roles_of_anyone(answer: str) -> str | None:
    roles: dict[str, str] = {}
    for name, role in SOMEONE.findall(answer):
        if roles.setdefault(name, role.lower()) != role.lower():
            return None
    return ";".join(f"{name}={role}" for name, role in sorted(roles.items())) or None
