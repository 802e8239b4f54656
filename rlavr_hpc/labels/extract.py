r"""Where in a response its final answer stands: the last `\boxed{...}`, the last `<answer>` block.

Scans characters; no regular expression runs over unbounded model text with nested repetition.
"""

from __future__ import annotations

BOXES = ("\\boxed", "\\fbox")
MAX_EMPTY_BOXES = 8
FORMULAS = (("$", "$"), ("\\[", "\\]"), ("\\(", "\\)"))
STATED = ("answer is", "answer:")
MAX_ANSWER_CHARS = 1000
"""A longer answer is no answer: it is unparsable."""


def last_boxed(text: str) -> str | None:
    r"""The content of the last `\boxed{...}` or `\fbox{...}` with balanced braces, stripped.

    `\boxed 7` without braces gives the next word; empty boxes are passed over. None when there is
    no box, the braces of the last box never close, or it holds more than `MAX_ANSWER_CHARS`
    characters.
    """
    end = len(text)
    for _ in range(MAX_EMPTY_BOXES):
        start, box = max((text.rfind(box, 0, end), box) for box in BOXES)
        if start < 0:
            return None
        rest = text[start + len(box) :][: MAX_ANSWER_CHARS + 2].lstrip(" ")
        content = braced(rest) if rest.startswith("{") else _first_word(rest)
        if content is None or content.strip():
            return content and content.strip()
        end = start
    return None


def braced(text: str) -> str | None:
    """What stands in the braces that open a text; None where they never close."""
    closed = closing_brace(text)
    return None if closed is None else text[1:closed]


def closing_brace(text: str) -> int | None:
    """Where the brace that opens a text is closed; None where it never is."""
    depth = 0
    for index, character in enumerate(text):
        if character in "{}" and not _escaped(text, index):
            depth += 1 if character == "{" else -1
            if depth == 0:
                return index
    return None


def _escaped(text: str, index: int) -> bool:
    return index > 0 and text[index - 1] == "\\" and not (index > 1 and text[index - 2] == "\\")


def _first_word(text: str) -> str | None:
    words = text.split(maxsplit=1)
    return words[0].rstrip("$.,") if words else ""


def stated_answer(text: str) -> str | None:
    """What the last "answer is" or "answer:" introduces, to the end of its line or sentence.

    A formula in dollars is taken out of them. None when nothing is stated, or too much.
    """
    lowered = text.lower()
    start, words = max((lowered.rfind(words), words) for words in STATED)
    if start < 0 or len(lowered) != len(text):
        return None
    rest = text[start + len(words) : start + len(words) + MAX_ANSWER_CHARS].lstrip(" :*\n")
    line = rest.split("\n", 1)[0].replace("$$", "$")
    for opening, closing in FORMULAS:
        if opening in line:
            formula = line.split(opening, 1)[1].split(closing, 1)[0].strip()
            return formula or None
    return line.split(". ", 1)[0].strip(" *").rstrip(".*") or None


def last_answer_block(text: str) -> str | None:
    """The content of the last closed `<answer>...</answer>`, stripped; None without one."""
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, max(end, 0))
    if start < 0:
        return None
    content = text[start + len("<answer>") : end].strip()
    return content if 0 < len(content) <= MAX_ANSWER_CHARS else None
