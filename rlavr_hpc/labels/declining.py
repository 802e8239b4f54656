"""How somebody declines in words: that they will not answer, and that they do not know.

One list for all sources, in some thirty languages: such words in the place of an answer are none.
"""

from __future__ import annotations

import re

REFUSALS = re.compile(
    r"\bI(?:'|\u2019)?\s?(?:m|am)\s+(?:sorry|unable|not able|not permitted)\b"
    r"|\bI\s*(?:cannot|can(?:'|\u2019)?t|can not|won(?:'|\u2019)?t|will not|must decline|decline)\b"
    r"|\bas an ai\b|\bunable to (?:help|assist|answer|comply)\b"
    r"|\bje ne (?:peux|puis)\b|\bd\u00e9sol\u00e9e?\b|\bno puedo\b|\blo siento\b"
    r"|\bich kann\b[^.]{0,60}\bnicht\b|\bleider\b|\btut mir leid\b"
    r"|\bnon posso\b|\bmi dispiace\b|\bn\u00e3o posso\b|\bdesculpe\b|\blamento\b"
    r"|\u043d\u0435 \u043c\u043e\u0433\u0443|\u0438\u0437\u0432\u0438\u043d\u0438\u0442\u0435"
    r"|\u65e0\u6cd5|\u7121\u6cd5|\u4e0d\u80fd|\u62b1\u6b49|\u5bf9\u4e0d\u8d77"
    r"|\u3067\u304d\u307e\u305b\u3093|\u7533\u3057\u8a33|\u304a\u7b54\u3048\u3067\u304d"
    r"|\uc8c4\uc1a1|\ud560 \uc218 \uc5c6"
    r"|\u0644\u0627 \u0623\u0633\u062a\u0637\u064a\u0639|\u0622\u0633\u0641",
    re.IGNORECASE,
)
"""How models decline, in the languages that they speak most."""
DECLINES = (
    "sorry|d\u00e9sol\u00e9|d\u00e9sol\u00e9e|je suis d\u00e9sol\u00e9"
    "|je suis d\u00e9sol\u00e9e|lo siento|tut mir leid|es tut mir leid|leider kann ich"
    "|mi dispiace|desculpe|sinto muito|lamento|helaas|tyv\u00e4rr|beklager|undskyld"
    "|valitettavasti|przykro mi|przepraszam|niestety|omlouv\u00e1m se|bohu\u017eel"
    "|sajn\u00e1lom|\u00eemi pare r\u0103u|\u03bb\u03c5\u03c0\u03ac\u03bc\u03b1\u03b9"
    "|\u03c3\u03c5\u03b3\u03b3\u03bd\u03ce\u03bc\u03b7"
    "|\u0438\u0437\u0432\u0438\u043d\u0438\u0442\u0435"
    "|\u043a \u0441\u043e\u0436\u0430\u043b\u0435\u043d\u0438\u044e"
    "|\u0432\u0438\u0431\u0430\u0447\u0442\u0435|\u043d\u0430 \u0436\u0430\u043b\u044c"
    "|\u00fczg\u00fcn\u00fcm|maaf|xin l\u1ed7i|samahani"
    "|\u092e\u0941\u091d\u0947 \u0916\u0947\u0926"
    "|\u0915\u094d\u0937\u092e\u093e \u0915\u0930\u0947\u0902"
    "|\u092e\u093e\u092b\u093c \u0915\u0930\u0947\u0902"
    "|\u0986\u09ae\u09bf \u09a6\u09c1\u0983\u0996\u09bf\u09a4"
    "|\u0e02\u0e2d\u0e2d\u0e20\u0e31\u0e22|\u0e02\u0e2d\u0e42\u0e17\u0e29|\u0622\u0633\u0641"
    "|\u0645\u062a\u0623\u0633\u0641\u0645|\u05d0\u05e0\u05d9 \u05de\u05e6\u05d8\u05e2\u05e8"
    "|\u62b1\u6b49|\u5bf9\u4e0d\u8d77|\u5c0d\u4e0d\u8d77|\u5f88\u9057\u61be|\u7533\u3057\u8a33"
    "|\u3059\u307f\u307e\u305b\u3093|\uc8c4\uc1a1|\u0639\u0630\u0631\u0627"
    "|\u05e1\u05dc\u05d9\u05d7\u05d4|I cannot|I can't|I can\u2019t|I am unable|I'm unable"
    "|I\u2019m unable|as an ai|je ne peux pas r\u00e9pondre|je ne peux pas aider"
    "|no puedo responder|no puedo ayudar|das kann ich nicht|ich kann nicht|ich kann das nicht"
    "|ich kann diese frage nicht|non posso rispondere|non posso aiutare"
    "|n\u00e3o posso responder|n\u00e3o posso ajudar"
    "|\u043d\u0435 \u043c\u043e\u0433\u0443 \u043e\u0442\u0432\u0435\u0442\u0438\u0442\u044c"
    "|\u043d\u0435 \u043c\u043e\u0433\u0443 \u043f\u043e\u043c\u043e\u0447\u044c"
    "|\u6211\u65e0\u6cd5\u56de\u7b54|\u6211\u4e0d\u80fd\u56de\u7b54"
    "|\u304a\u7b54\u3048\u3067\u304d\u307e\u305b\u3093"
)
"""How a refusal begins, in some thirty languages."""
NO_IDEA = (
    r"i do(?: not|n['\u2019]?t|nt) (?:really )?know"
    r"|i do(?: not|n['\u2019]?t|nt) have (?:an|any) (?:idea|answer|clue)|dunno|idk"
    r"|(?:i(?: really)? have )?(?:absolutely )?no (?:idea|clue)"
    r"|(?:i am |i['\u2019]?m )?(?:not (?:at all )?sure|unsure)"
    r"|(?:i |we )?can(?:not| not|['\u2019]?t) (?:say|tell|answer|solve)"
    r"|(?:i |we )?could(?: not|n['\u2019]?t) (?:say|tell|answer|solve)"
    r"|(?:i )?do(?: not|n['\u2019]?t) understand|i give up|no comment"
    r"|(?:i )?(?:would|will) have to guess|i pass|who knows|nobody knows|no one knows"
    r"|hard to say|je ne sais pas|je sais pas|aucune id\u00e9e|pas s\u00fbre?|no lo s[e\u00e9]"
    r"|no s[e\u00e9]|no tengo ni idea|ni idea|ich wei\u00df (?:es )?nicht"
    r"|ich weiss (?:es )?nicht|wei\u00df (?:ich )?nicht|keine ahnung|non lo so|non so"
    r"|nessuna idea|n\u00e3o sei|nao sei|n\u00e3o fa\u00e7o ideia|geen idee|ik weet het niet"
    r"|vet inte|jag vet inte|ingen aning|vet ikke|jeg vet ikke|jeg ved det ikke|ved ikke"
    r"|en tied\u00e4|ei tietoa|nie wiem|nie mam poj\u0119cia|nev\u00edm|neviem|nem tudom"
    r"|nu \u0219tiu|nu stiu|\u03b4\u03b5\u03bd \u03be\u03ad\u03c1\u03c9"
    r"|\u03b4\u03b5\u03bd \u03b3\u03bd\u03c9\u03c1\u03af\u03b6\u03c9"
    r"|\u043d\u0435 \u0437\u043d\u0430\u044e|\u044f \u043d\u0435 \u0437\u043d\u0430\u044e"
    r"|\u043f\u043e\u043d\u044f\u0442\u0438\u044f \u043d\u0435 \u0438\u043c\u0435\u044e"
    r"|\u043d\u0435 \u0437\u043d\u0430\u043c"
    r"|\u043d\u0435 \u043c\u0430\u044e \u0443\u044f\u0432\u043b\u0435\u043d\u043d\u044f"
    r"|bilmiyorum|fikrim yok|tidak tahu|saya tidak tahu|tidak yakin|kh\u00f4ng bi\u1ebft"
    r"|t\u00f4i kh\u00f4ng bi\u1ebft|sijui"
    r"|\u092e\u0941\u091d\u0947 \u0928\u0939\u0940\u0902 \u092a\u0924\u093e"
    r"|\u092a\u0924\u093e \u0928\u0939\u0940\u0902"
    r"|\u092e\u0948\u0902 \u0928\u0939\u0940\u0902 \u091c\u093e\u0928\u0924\u093e"
    r"|\u0986\u09ae\u09bf \u099c\u09be\u09a8\u09bf \u09a8\u09be"
    r"|\u099c\u09be\u09a8\u09bf \u09a8\u09be|\u0e44\u0e21\u0e48\u0e17\u0e23\u0e32\u0e1a"
    r"|\u0e44\u0e21\u0e48\u0e23\u0e39\u0e49|\u0644\u0627 \u0623\u0639\u0631\u0641"
    r"|\u0644\u0627 \u0623\u0639\u0644\u0645|\u0644\u0627 \u0623\u062f\u0631\u064a"
    r"|\u0646\u0645\u06cc ?\u062f\u0627\u0646\u0645|\u0644\u0627 \u0627\u0639\u0631\u0641"
    r"|\u05dc\u05d0 \u05d9\u05d5\u05d3\u05e2|\u05dc\u05d0 \u05d9\u05d5\u05d3\u05e2\u05ea"
    r"|\u05d0\u05e0\u05d9 \u05dc\u05d0 \u05d9\u05d5\u05d3\u05e2|\u4e0d\u77e5\u9053"
    r"|\u6211\u4e0d\u77e5\u9053|\u4e0d\u6e05\u695a|\u4e0d\u786e\u5b9a|\u6c92\u6709\u982d\u7dd2"
    r"|\u308f\u304b\u308a\u307e\u305b\u3093|\u5206\u304b\u308a\u307e\u305b\u3093"
    r"|\u77e5\u308a\u307e\u305b\u3093|\u308f\u304b\u3089\u306a\u3044"
    r"|\u5206\u304b\u3089\u306a\u3044|\ubaa8\ub974\uaca0\uc2b5\ub2c8\ub2e4"
    r"|\ubaa8\ub974\uaca0\uc5b4\uc694|\ubaa8\ub974\uaca0\ub2e4|\ubab0\ub77c\uc694|\ubaa8\ub984"
)
"""How somebody says that they do not know."""
WRAPPING = r"(?:\\(?:text|textbf|mathrm|boxed)\{\s*){0,3}"
DECLINED = re.compile(rf"\s*{WRAPPING}(?:{DECLINES}|{NO_IDEA})(?![a-z])", re.IGNORECASE)
"""A refusal in the place of an answer; `cannot be determined` is an answer."""
NOTHING_BUT = re.compile(rf"{WRAPPING}(?:(?:{DECLINES}|{NO_IDEA})[\W_]*)+", re.IGNORECASE)
"""A text that says nothing else."""


def refuses(text: str) -> bool:
    """Whether a text declines, in words; asked only of a text without an answer."""
    return REFUSALS.search(text[:2000]) is not None


def declines(answer: str, *, words: bool = False) -> bool:
    """Whether a text in the place of an answer says that there is none.

    Args:
        answer: the text.
        words: whether an answer may be words of any kind, such as a title: then nothing else may
            stand in it.
    """
    if words:
        return NOTHING_BUT.fullmatch(answer[:200].strip(" \n\"'([*")) is not None
    return DECLINED.match(answer) is not None
