r"""Answers that are words, names, codes, dates and times: compared as text, never as products.

A word has one form whatever its case, spaces and type: `\text{New York}` and `new york` are equal.
`xy` and `abc` are algebra: letters that stand for numbers are few and often the same.
"""

from __future__ import annotations

import re
import unicodedata

from rlavr_hpc.answers.exact.tidy import TEXT

TRUE, FALSE = "true", "false"
BOOLEANS = {
    "true": TRUE,
    "yes": TRUE,
    "correct": TRUE,
    "对": TRUE,
    "是": TRUE,
    "正确": TRUE,
    "false": FALSE,
    "no": FALSE,
    "incorrect": FALSE,
    "错": FALSE,
    "否": FALSE,
    "错误": FALSE,
}
"""Spellings of the two truth values."""
SAYS_TRUTH = re.compile(r"(true|yes|false|no)\s*[,.;:!-](.*)", re.DOTALL)
TRUTH_WORD = re.compile(r"\b(?:true|yes|false|no)\b")
DENIED = re.compile(r"\b(?:not|never)\s$")
IN_SENTENCE = re.compile(r"[a-z]\s$")
JOINS = re.compile(r"\b(?:or|and|but|also|else|then)\s$")
TWO_LETTERS = frozenset(
    [
        "no",
        "on",
        "or",
        "of",
        "if",
        "is",
        "it",
        "in",
        "to",
        "up",
        "us",
        "we",
        "he",
        "go",
        "do",
        "so",
        "am",
        "pm",
        "at",
        "as",
        "ok",
        "hi",
        "oh",
        "ox",
    ]
)
"""Two letters that are a word; other pairs may be a product. Greek letters are none."""
ALGEBRA = frozenset("abcdxyz")
WORDS_OF_THESE = frozenset(
    ["add", "bad", "cab", "dab", "dad", "bay", "day", "baby", "daddy", "cabby", "abc's"]
)
VOWELS = frozenset("aeiou")
STYLE = re.compile(TEXT + r"\s*\{([^{}]*)\}")
LETTERS_ONLY = re.compile(r"[^\W\d_](?:[^\W\d_]|[ .'\"()&!?/-])*")
WRAPPED = re.compile(TEXT + r"\s*\{\s*\(?([^\W\d_](?:[^\W\d_]|[ .,'\"&!?:;/-])*)\)?\s*\}")
COMMAND = re.compile(r"\\[A-Za-z]+")
RUN = re.compile(r"[^\W\d_]+")
ASSIGNED = re.compile(r"\s*[A-Za-z](?:_\{?[0-9A-Za-z]\}?)?\s*=(?!=)(.+)", re.DOTALL)
DATE = re.compile(
    r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}|[0-9]{1,4}([/.])[0-9]{1,2}\1[0-9]{1,4}"
    r"|[0-9]{1,2}-[0-9]{1,2}-[0-9]{4}"
)
TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(:[0-9]{2})?(?:\s*([ap])\.?\s?m\.?)?", re.IGNORECASE)
MONTH = re.compile(
    r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]{0,6}\b", re.IGNORECASE
)
CODE = re.compile(
    r"(?![0-9]+[eE][0-9]+$)(?:0[xX][0-9A-Fa-f]+|(?=[0-9A-Z]*[0-9])[0-9]*[A-Z]+[0-9][0-9A-Z]*|[0-9]+[A-Z]{2,}|[a-f]+[0-9][0-9a-f]*"
    r"|[0-9]+[a-f]+[0-9][0-9a-f]*)"
)
"""Letters and digits in an order that no product has: `F2`, `3AB`, `1a2b`."""
SAYS_MORE = frozenset(
    [
        "am",
        "pm",
        "is",
        "are",
        "even",
        "odd",
        "increase",
        "decrease",
        "more",
        "less",
        "profit",
        "loss",
        "gain",
        "north",
        "south",
        "east",
        "west",
        "above",
        "below",
        "before",
        "after",
        "left",
        "right",
        "clockwise",
        "counterclockwise",
    ]
)
"""An answer with one of these beside a number is compared as text: they are no units."""
CHANGES_VALUE = frozenset(
    [
        *("squared", "cubed", "factorial", "root", "score", "scores", "negative", "minus"),
        *("doubled", "tripled", "halved", "half", "halves", "quarter", "quarters", "third"),
        *("thirds", "fourth", "fourths", "fifth", "fifths", "sixth", "sixths", "seventh"),
        *("sevenths", "eighth", "eighths", "ninth", "ninths", "tenth", "tenths", "twelfth"),
        *("twelfths", "sixteenth", "sixteenths", "hundredth", "hundredths", "thousandth"),
        *("thousandths", "millionth", "millionths", "billionth", "billionths"),
    ]
)
"""Words that make another number of the one they follow: such an answer is compared as text."""
BEHIND = re.compile(r"[0-9})%]\s*-?\s*((?:[^\W\d_]+[ /-]*){1,5})")
AT_LEAST = re.compile(r"[0-9})%] at (?:least|most)\b")
ARTICLES = ("the ", "a ", "an ")


def word_of(text: str) -> str:
    """The one form of an answer that is words, or that says more than a value; else empty."""
    found = ASSIGNED.fullmatch(text)
    rest = found[1].strip() if found else text
    wrapped = WRAPPED.fullmatch(rest)
    if wrapped:
        return normal_word(wrapped[1])
    plain = STYLE.sub(r"\1", rest).replace("\\ ", " ").strip(" .\"'{}")
    if any(c.isdigit() for c in plain):
        return _word_with_digits(plain, text)
    if LETTERS_ONLY.fullmatch(plain) and not is_algebra(plain):
        return normal_word(plain)
    truth = SAYS_TRUTH.fullmatch(plain.lower())
    return _one_truth(truth) if truth else ""


def is_algebra(plain: str) -> bool:
    """Whether letters are to be read as variables and their products."""
    if re.search(r"[.'\"&!?]|[A-Za-z]-[A-Za-z]{2}", plain):
        return False
    return all(map(is_product, RUN.findall(plain)))


def is_product(run: str) -> bool:
    """Whether a run of letters is a product of variables rather than a word."""
    if len(run) == 1:
        return run.isascii() or run not in BOOLEANS
    if not run.isascii():
        return False
    if run.isupper() or run.lower() in TWO_LETTERS or run.lower() in BOOLEANS:
        return False
    if len(run) == 2:
        return True
    lowered = set(run.lower())
    if lowered <= ALGEBRA and run.islower():
        return run not in WORDS_OF_THESE
    return not lowered & VOWELS


def normal_word(text: str) -> str:
    """Words without case, spaces, hyphens and punctuation around them; a truth value as one."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = " ".join(text.replace("-", " ").replace('"', "").split()).strip(" .!?'")
    for article in ARTICLES:
        text = text.removeprefix(article)
    truth = SAYS_TRUTH.fullmatch(text)
    text = (truth and _one_truth(truth)) or text
    return BOOLEANS.get(text, text.replace(" ", ""))


def _one_truth(said: re.Match[str]) -> str:
    """The truth value that an answer begins with; empty where its rest says the other, too."""
    value, rest = BOOLEANS[said[1]], said[2]
    other = (word for word in TRUTH_WORD.finditer(rest) if BOOLEANS[word[0]] != value)
    return "" if any(not _is_aside(word, rest) for word in other) else value


def _is_aside(word: re.Match[str], text: str) -> bool:
    """Whether a truth value is none where it stands: `not true`, `since no prime is`."""
    before, after = text[: word.start()], text[word.end() :]
    if DENIED.search(before):
        return True
    inside = IN_SENTENCE.search(before) and not JOINS.search(before)
    return word[0] == "no" and bool(inside) and after[:1] == " " and after[1:2].isalpha()


def changes_value(plain: str) -> bool:
    """Whether words behind a number make another one of it: `5 halves`, `10 squared`."""
    behind = {run for found in BEHIND.findall(plain.lower()) for run in RUN.findall(found)}
    return bool(behind & CHANGES_VALUE or AT_LEAST.search(plain.lower()))


def _word_with_digits(plain: str, text: str) -> str:
    if (moment := _moment(plain)) or CODE.fullmatch(plain):
        return moment or plain.lower()
    words = {run.lower() for run in RUN.findall(COMMAND.sub(" ", plain).replace(".", ""))}
    styled = STYLE.findall(text)
    more = words & SAYS_MORE and not re.fullmatch(r"\s*[A-Za-z]\s+is\s.*", plain)
    if more or changes_value(plain):
        return re.sub(r"[\s{}.]", "", plain).lower()
    if len([part for part in styled if part.strip()]) > 1 or MONTH.search(plain):
        return re.sub(r"[\s,.]", "", plain).lower()
    return ""


def _moment(plain: str) -> str:
    """A date or a time of day, its parts without zeros before; not a ratio such as `3:4`."""
    time = TIME.fullmatch(plain)
    if time:
        hours, minutes = int(time[1]), int(time[2])
        if hours > 24 or minutes > 59:
            return ""
        half = f"{time[4].lower()}m" if time[4] else ""
        return f"{hours}:{minutes:02d}{time[3] or ''}{half}"
    if DATE.fullmatch(plain):
        return re.sub(r"(?<![0-9])0+(?=[0-9])", "", plain).replace(".", "/")
    return ""
