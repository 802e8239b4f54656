r"""An answer's text without what stands around it, and in one spelling of LaTeX.

`unwrap` serves math-verify too: frames, dollars, bold type, environments, and a sentence such as
"The answer is" before a value go. The texts are short, see `read.MAX_CHARS`.
"""

from __future__ import annotations

import re

from rlavr_hpc.answers.exact.signs import plain_signs

FRAMES = (("$", "$"), (r"\[", r"\]"), (r"\(", r"\)"))
QUOTES = ("**", "__", "`", '"', "'", "*", "``")
TEXT = (
    r"\\(?:text|mathrm|textbf|textit|textrm|textsf|texttt|mbox|mathbf|mathsf|mathtt|mathit"
    r"|operatorname|bm|pmb)"
)
NOISE = re.compile(
    r"\\(?:textdollar|displaystyle|bf|rm|it|large|Large|boldsymbol|limits|,\\mathord)(?![a-zA-Z])"
    r"|(?<!\\)\\\$|</?b>|</?strong>"
)
LEADING = re.compile(r"(?:=|\\approx|\\therefore|\\Rightarrow|\\implies|\\to(?![a-z]))\s*")
TRAILING = re.compile(r"(?:\s|(?<!\\)[.,;])+$")
FRAMED_NUMBER = re.compile(TEXT + r"\{\s*([^{}\\]*[0-9][^{}\\]*)\}")
PERCENT_TEXT = re.compile(TEXT + r"\{\s*\\?(?:%|percent|per cent)\s*\}")
ROMAN = re.compile(TEXT + r"\{\s*([ie]|\\pi)\s*\}")
CURRENCY = re.compile(r"^(?:US|USD|EUR|GBP|INR|CNY|RMB|CAD|AUD|HK|NT|Rs\.?)\s*\$?\s*(?=[0-9])")
ENVIRONMENT = re.compile(
    r"\\begin\{(aligned|align\*?|gathered|gather\*?|split|equation\*?|array|cases|dcases)\}"
    r"(?:\{[clr|]{1,9}\})?(.*)\\end\{\1\}",
    re.DOTALL,
)
LEAD_WORDS = r"(?:[A-Za-z]{1,12}[ ,]+){0,6}"
SAID = r"(?:is|are|equals|was|be|:|is:|are:|as|get|have|total|answer|result)"
LEAD = re.compile(
    rf"(?:{TEXT}\{{)?\s*({LEAD_WORDS}(?<![a-z]){SAID}\s*[:=]?)\s*(?:\}}|~|\\ )*\s*"
    r"(?=[-+0-9.(\\$\[]|[a-zA-Z]\s*=)",
    re.IGNORECASE,
)
LEAD_TO_WORDS = re.compile(
    r"(?:so |thus |hence |therefore |then )?,?\s*(?:the |my |our )?(?:final |correct )?"
    r"(?:answer|result|solution)\s*(?:is|:|=)[: ]\s*",
    re.IGNORECASE,
)
IS_THE_ANSWER = re.compile(
    rf"(?:{TEXT}\{{|\s|~)\s*is (?:the|our|my) (?:final |correct )?"
    r"(?:answer|result|solution)[.\s]*\}?$"
)
ASSIGNED_WORDS = re.compile(rf"{TEXT}\{{[A-Za-z ]{{2,40}}\}}\s*=\s*")
SAYS_NO = re.compile(
    r"\b(?:not|no|never|than|least|most|between|case|part|about|over|under)\b", re.I
)
FAR_LEAD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]{1,10}[:=]?\s*(?=[-+0-9(\\$A-Za-z])"
)
FAR_SAYS_NO = re.compile("[不非第未至最大小超少多]")
DROPPED = re.compile(
    r"\\(?:left|right|q?quad|degree|[bB]igg?[lr]?|mathopen|mathclose)(?![a-z])|(?<!\\)\\[!,;: >]|~"
    r"|\^\\circ(?![a-z])|\^\{\s*\\circ\s*\}"
)
CELSIUS = re.compile(
    r"(?:\s|~|\\[ ,;:])*(?:\^\s*(?:\\circ|\{\s*\\circ\s*\}|\\degree)|\\degree|°)\s*"
    rf"(?:[CFK](?![A-Za-z])|{TEXT}\{{\s*[CFK]\s*\}}|\{{\\r?m?\s*[CFK]\}})"
)
DEGREES = re.compile(
    r"(?<![A-Za-z])(\\?(?:sin|cos|tan|cot|sec|csc)\s*(?:\^\s*\{?\s*-?[0-9]\s*\}?)?)\s*(?:\\left)?[({]?\s*"
    r"(-?[0-9]+(?:\.[0-9]+)?)\s*(?:\^\s*(?:\\circ|\{\s*\\circ\s*\})|\\degree)(?![a-z])\s*(?:(?:\\right)?[)}])?"
)
"""The sine, or another function, of an angle in degrees."""
COLON = re.compile(r"\s*\\colon(?![a-zA-Z])\s*")
SPACED_VALUES = re.compile(r"(?<=[0-9}])\s*\\q?quad\s*(?=[-0-9])")
BRACKETS = re.compile(r"\\(lbrace|rbrace|lbrack|rbrack|langle|rangle)(?![a-z])\s*")
BRACKET_SIGNS = {
    "lbrace": "\\{",
    "rbrace": "\\}",
    "lbrack": "[",
    "rbrack": "]",
    "langle": "(",
    "rangle": ")",
}
REPEATING = re.compile(r"([0-9]*)\.([0-9]*)\\(?:overline|bar|dot)\{([0-9]+)\}")
MIXED = re.compile(r"(-?[0-9]+)\s+([0-9]+)/([0-9]+)")
SPACED_GROUPS = re.compile(r"-?[1-9][0-9]{0,2}(?:\s[0-9]{3})+")
BARE = re.compile(r"(?<![A-Za-z\\])([Pp]i|PI|infty|infinity|inf|oo)(?![A-Za-z])")
BARE_ROOT = re.compile(r"(?<![A-Za-z\\])\\?sqrt\s*\(([^()]*)\)|(?<![A-Za-z\\])sqrt\s*([0-9]+)")
BARE_FUNCTION = re.compile(
    r"(?<![A-Za-z\\])(arcsin|arccos|arctan|sin|cos|tan|cot|sec|csc|log|ln|lg|exp)"
    r"(?=\s*[(_^{0-9\\ ])"
)
STYLED_FUNCTION = re.compile(
    TEXT + r"\{(arcsin|arccos|arctan|arctg|sin|cos|tan|tg|cot|ctg|log|ln|lg|exp)\}"
)
NATURAL = re.compile(r"\\log_(?:e(?![a-z])|\{\s*e\s*\})")
FUNCTIONS = {"lg": r"\log_{10}", "tg": r"\tan", "ctg": r"\cot", "arctg": r"\arctan"}
OTHER_NAMES = re.compile(r"\\(lg|tg|ctg|arctg)(?![a-zA-Z])")
SIGN_OF_CHOOSING = re.compile(r"\\[dt]binom(?![a-z])")


def unwrap(text: str) -> str:
    """An answer without the frames, dollars, words of style and full stops around it."""
    text = NOISE.sub("", plain_signs(text)).strip()
    for _ in range(3):
        before = text
        text = _without_frames(text)
        if text == before:
            break
    found = FRAMED_NUMBER.fullmatch(text)
    text = found[1] if found else text
    text = PERCENT_TEXT.sub(r"\\%", ROMAN.sub(r"\1", text))
    text = COLON.sub(":", DEGREES.sub(r"\1(\\frac{\2\\pi}{180})", text))
    text = CELSIUS.sub("", text) if "circ" in text or "degree" in text else text
    text = _without_lead(CURRENCY.sub("", text))
    leading = LEADING.match(text)
    text = text[leading.end() :] if leading else text
    return TRAILING.sub("", IS_THE_ANSWER.sub("", text))


def _without_frames(text: str) -> str:
    for opening, closing in FRAMES:
        text = text.removeprefix(opening).removeprefix(opening).strip()
        text = text.removesuffix(closing).removesuffix(closing).strip()
    for mark in QUOTES:
        if len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark):
            text = text[len(mark) : -len(mark)].strip()
    if text.startswith("\\begin{"):
        text = _rows(text)
    return text


def _rows(text: str) -> str:
    """The rows of an environment that only sets them out, between commas."""
    found = ENVIRONMENT.fullmatch(text)
    if not found or "\\begin" in found[2]:
        return text
    rows = (row.replace("&", " ").strip().rstrip(",.") for row in found[2].split("\\\\"))
    return ", ".join(row for row in rows if row)


def _without_lead(text: str) -> str:
    """The value behind "The answer is"."""
    if text[:1].isdigit() or (text[:1] in "-+.(" and "=" not in text):
        return text
    for pattern in (LEAD_TO_WORDS, ASSIGNED_WORDS, FAR_LEAD, LEAD):
        found = pattern.match(text)
        if found and not (SAYS_NO.search(found[0]) or FAR_SAYS_NO.search(found[0])):
            closes = found[0].count("{") > found[0].count("}")
            rest = text[found.end() :]
            return rest.removesuffix("}") if closes else rest
    return text


def tidy(text: str) -> str:
    """An unwrapped answer with one spelling for spaces, fractions, products and digits."""
    text = re.sub(r"(?<=[0-9])(?:,\\!\s*|\{,\})(?=[0-9]{3})", "", text)
    text = re.sub(r"(?<=[0-9])\{,\}(?=[0-9])", ".", text)
    text = re.sub(r"([0-9])\\[,;: ]\s*(?=[0-9]{3}(?![0-9]))", r"\1", text)
    text = SPACED_VALUES.sub(", ", text)
    text = BRACKETS.sub(lambda found: BRACKET_SIGNS[found[1]], text)
    text = DROPPED.sub("", text)
    text = re.sub(r"\\\\\[[0-9.]+[a-z]+\]", r"\\\\", text)  # rows set apart
    text = re.sub(r"\\[dtc]frac(?![a-z])", r"\\frac", text)
    text = re.sub(r"\\(?:cdot|times)(?![a-z])", "*", text)
    text = REPEATING.sub(_fraction, text.replace("\\%", "%").replace("**", "^")).strip()
    if SPACED_GROUPS.fullmatch(text):
        return re.sub(r"\s", "", text)
    mixed = MIXED.fullmatch(text)
    return rf"{mixed[1]}\frac{{{mixed[2]}}}{{{mixed[3]}}}" if mixed else text


def with_commands(text: str) -> str:
    r"""`pi/2`, `sqrt(3)` and `ln 2` with the backslashes that were left out."""
    if "sqrt" in text:
        text = BARE_ROOT.sub(lambda found: rf"\sqrt{{{found[1] or found[2] or ''}}}", text)
    text = NATURAL.sub(r"\\ln", STYLED_FUNCTION.sub(r"\\\1 ", text))
    text = BARE.sub(lambda found: "\\pi " if found[1].lower() == "pi" else "\\infty ", text)
    text = BARE_FUNCTION.sub(r"\\\1", text)
    text = SIGN_OF_CHOOSING.sub(r"\\binom", text)
    return OTHER_NAMES.sub(lambda found: FUNCTIONS[found[1]], text)


def _fraction(repeating: re.Match[str]) -> str:
    r"""`0.1\overline{6}` as a fraction: (16 - 1) / 90."""
    whole, fixed, again = repeating[1] or "0", repeating[2], repeating[3]
    top = int(whole + fixed + again) - int(whole + fixed)
    return rf"\frac{{{top}}}{{{(10 ** len(again) - 1) * 10 ** len(fixed)}}}"
