"""What is read in a judge's responses, without any server."""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rlavr_hpc.labels.declining import declines, refuses
from rlavr_hpc.labels.http_call import Fetched, check_address
from rlavr_hpc.labels.sent import CallLog
from rlavr_hpc.labels.source import SourceStoppedError
from rlavr_hpc.labels.sources.judge_draws import read_draw
from rlavr_hpc.labels.sources.judge_look import Look
from rlavr_hpc.labels.sources.judge_reading import (
    Failed,
    JudgeSaid,
    Nothing,
    Stopped,
    Usage,
    read_reply,
    retry_after,
)
from rlavr_hpc.labels.sources.judge_text import (
    last_object,
    stated_answer,
    stated_verdict,
    usable,
    without_thoughts,
)
from tests.support.judge_server import reply
from tests.support.label_runs import an_order

ORDER = an_order()


NO_CHOICES: list[object] = [[None], [{}], [{"message": "x"}], {}]
CHOICES = [json.dumps(reply(choices=choices)).encode() for choices in NO_CHOICES]


def fetched(body: object, status: int = 200, **headers: str) -> Fetched:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Fetched(status=status, headers=headers, body=data)


def test_a_good_response() -> None:
    read = read_reply(fetched(reply("42")))
    assert read.outcome == JudgeSaid(text="42")
    assert (read.model, read.fingerprint) == ("stand-in-1", "fp1")
    assert read.usage == Usage(prompt=100, reply=50)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'{"choices":',
        b"[" * 100_000,
        b'{"choices": "no"}',
        *CHOICES,
    ],
)
def test_what_is_no_response_has_failed_and_may_have_been_paid(body: bytes) -> None:
    outcome = read_reply(fetched(body)).outcome
    assert isinstance(outcome, Failed)
    assert outcome.spent


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (429, "insufficient_quota", Stopped),
        (429, "Insufficient Balance", Stopped),
        (429, "rate_limit_exceeded: see your billing details for a higher quota", Failed),
        (429, "you exceeded your current quota, please retry in 30 s", Failed),
        (200, "insufficient_quota", Stopped),
        (200, "Too Many Requests", Failed),
        (200, "content_filter", Nothing),
        (400, "maximum context length is 4096", Nothing),
        (500, "maximum context length is 4096", Failed),
        (402, "", Stopped),
    ],
)
def test_an_empty_purse_is_no_rate_limit(status: int, words: str, kind: type) -> None:
    outcome = read_reply(fetched({"error": {"message": words}}, status)).outcome
    assert isinstance(outcome, kind)
    limited = isinstance(outcome, Failed) and outcome.limited
    assert limited == (kind is Failed and status != 500)


@pytest.mark.parametrize(
    "body",
    [
        {"error": "a text"},
        {"error": {"code": 17}},
        {"object": "error", "message": "m"},
        {"detail": [{"msg": "m"}]},
        reply(error={"message": "m"}),
    ],
)
def test_an_error_in_a_body_is_seen_in_all_its_forms(body: dict[str, Any]) -> None:
    assert isinstance(read_reply(fetched(body)).outcome, Failed)


def test_strangers_words_are_one_short_line() -> None:
    outcome = read_reply(fetched({"error": "\x1b[31m\n" + "x" * 5000}, 500)).outcome
    assert isinstance(outcome, Failed)
    assert outcome.why.isprintable()
    assert len(outcome.why) < 400


def test_retry_after_in_seconds_and_as_a_date() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert retry_after({"retry-after": "90"}) == 90
    assert retry_after({"retry-after": "1.5"}) == 1.5
    assert retry_after({"retry-after": "Thu, 01 Jan 2026 00:10:00 GMT"}, now) == 600
    assert retry_after({"retry-after": "Wed, 31 Dec 2025 00:00:00 GMT"}, now) == 0
    for odd in ("", "soon", "-5", "nan", "1e9", "\u0663"):
        assert retry_after({"retry-after": odd}) is None


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("no thought", "no thought"),
        ("<think>a</think>b", "b"),
        ("a</think>b", "b"),
        ("<think>a</think>b<think>c</think>d", "d"),
        ("[THINK]a[/THINK]b", "b"),
        ("<|channel|>analysis<|message|>a<|channel|>final<|message|>b", "b"),
        ("<think>a", None),
        ("<think>a</think>b<think>c", None),
        ("<reasoning>\\boxed{4}", None),
    ],
)
def test_thoughts_are_cut_off_and_an_open_one_leaves_nothing(text: str, rest: str | None) -> None:
    assert without_thoughts(text) == rest


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{1} then \boxed{2}", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1,2\}}", r"\{1,2\}"),
        (r"\boxed{1", None),
        (r"\boxed{1} and \boxed{2", None),
        (r'\boxed{1} {"answer": "2"}', "2"),
        (r'{"answer": "2"} \boxed{1}', "1"),
        ('{"answer": 5}', "5"),
        ('{"answer": true}', None),
        ('{"answer": ["5"]}', None),
        ('{"answer": "5", "answer": "6"}', None),
        (r'{"answer": "\frac{1}{2}"}', None),
        ("It is 42", None),
        (r"\boxed{}", None),
        (r"\boxed{...}", None),
        (r"\boxed{<answer>}", None),
        (r"\boxed{N/A}", None),
        (r"\boxed{\text{I cannot answer}}", None),
        ("\\boxed{\u62b1\u6b49}", None),
        (r"\boxed{cannot be determined}", "cannot be determined"),
        (r"\boxed{no solution}", "no solution"),
    ],
)
def test_the_answer_stands_in_its_place_or_there_is_none(text: str, answer: str | None) -> None:
    assert usable(stated_answer(text, ORDER)) == answer


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ('{"verdict": "right"}', "right"),
        ('I solve: 4.\n```json\n{"verdict": "wrong"}\n```', "wrong"),
        ('{"verdict": "right"} {"verdict": "wrong"}', "wrong"),
        ('{"verdict": "wrong"} as it says {"verdict": "right"} itself', None),
        ('{"verdict": "right"}\n{"verdict": "wr', None),
        ('{"verdict": "right"} {}', None),
        ('{"verdict": "RIGHT"}', None),
        ('{"verdict": "yes"}', None),
        ('{"verdict": true}', None),
        ('{"verdict": ["right"]}', None),
        ('{"verdict": "wrong", "verdict": "right"}', None),
        ('{"said": {"verdict": "right"}}', None),
        ('{"verdict": "wrong", "said": "{\\"verdict\\": \\"right\\"}"}', "wrong"),
        ("right", None),
        ("{" * 5000, None),
    ],
)
def test_a_verdict_is_the_object_that_ends_the_text(text: str, verdict: str | None) -> None:
    assert stated_verdict(text) == verdict


def test_the_last_object_is_no_part_of_another() -> None:
    text = 'x {"a": 1} y {"b": {"c": {}}} z'
    assert last_object(text) == ({"b": {"c": {}}}, text.index(" z"))
    assert last_object("none") == (None, -1)


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, I can't do that.",
        "As an AI, I have no views.",
        "Je ne peux pas r\u00e9pondre.",
        "Lo siento.",
        "Ich kann das nicht beantworten.",
        "N\u00e3o posso ajudar.",
        "\u042f \u043d\u0435 \u043c\u043e\u0433\u0443 \u043f\u043e\u043c\u043e\u0447\u044c.",
        "\u6211\u65e0\u6cd5\u56de\u7b54\u3002",
        "\u304a\u7b54\u3048\u3067\u304d\u307e\u305b\u3093\u3002",
        "\uc8c4\uc1a1\ud569\ub2c8\ub2e4.",
    ],
)
def test_refusals_are_known_in_several_languages(text: str) -> None:
    assert refuses(text)


REFUSALS_NOT_LISTED = [
    "\u092e\u0941\u091d\u0947 \u0916\u0947\u0926 \u0939\u0948, 42?",
    "Samahani, siwezi kujibu swali 42.",
    "Xin l\u1ed7i, t\u00f4i kh\u00f4ng th\u1ec3 tr\u1ea3 l\u1eddi 42.",
    "\u00dczg\u00fcn\u00fcm, 42 sorusuna cevap veremem.",
    "Przykro mi, nie mog\u0119 odpowiedzie\u0107 na 42.",
    "\u0e02\u0e2d\u0e42\u0e17\u0e29 42 \u0e44\u0e21\u0e48\u0e44\u0e14\u0e49",
    "\u05d0\u05e0\u05d9 \u05dc\u05d0 \u05d9\u05db\u05d5\u05dc 42.",
    "\u039b\u03c5\u03c0\u03ac\u03bc\u03b1\u03b9, 42.",
    "Valitettavasti en voi vastata: 42.",
]
"""In Hindi, Swahili, Vietnamese, Turkish, Polish, Thai, Hebrew, Greek and Finnish."""


@pytest.mark.parametrize("text", REFUSALS_NOT_LISTED)
def test_a_refusal_in_a_language_that_nobody_listed_gives_no_answer_either(text: str) -> None:
    assert not refuses(text)
    for verdict in (False, True):
        read = read_draw(read_reply(fetched(reply(text))), ORDER, stated_answer, verdict=verdict)
        assert read[0] is None
        assert read[1].startswith("no ")


@pytest.mark.parametrize(
    "text",
    [
        "D\u00e9sol\u00e9, je ne peux pas r\u00e9pondre",
        "Lo siento, no puedo ayudar",
        "I\u2019m unable to say",
        "As an AI, I have no answer",
        "Xin l\u1ed7i, t\u00f4i kh\u00f4ng th\u1ec3 tr\u1ea3 l\u1eddi 42.",
        "Samahani, siwezi kujibu swali 42.",
        "\u0e02\u0e2d\u0e42\u0e17\u0e29 42",
        "Tut mir leid, das kann ich nicht beantworten",
        "Ich kann diese Frage nicht beantworten",
        "Mi dispiace, non posso rispondere",
        "Desculpe, n\u00e3o posso ajudar",
        "\u0418\u0437\u0432\u0438\u043d\u0438\u0442\u0435, 42",
        "\u5bf9\u4e0d\u8d77\uff0c\u6211\u65e0\u6cd5\u56de\u7b54",
        "\u7533\u3057\u8a33\u3042\u308a\u307e\u305b\u3093",
        "\uc8c4\uc1a1\ud569\ub2c8\ub2e4",
        "\u0622\u0633\u0641\u060c \u0644\u0627 \u0623\u0633\u062a\u0637\u064a\u0639",
    ],
)
def test_a_refusal_in_the_place_of_an_answer_is_none(text: str) -> None:
    assert usable(text) is None
    assert usable(rf"\text{{{text}}}") is None


@pytest.mark.parametrize(
    "text",
    [
        "\u6240\u4ee5\u7b54\u6848\u662f \\boxed{42}\u3002",
        "\u3057\u305f\u304c\u3063\u3066\u7b54\u3048\u306f\\boxed{42}\u3067\u3059\u3002",
        "\u0627\u0644\u062c\u0648\u0627\u0628 \u0647\u0648 \\boxed{42}.",
        "\u041e\u0442\u0432\u0435\u0442: \\boxed{42}.",
        "\u0909\u0924\u094d\u0924\u0930 \\boxed{42} \u0939\u0948\u0964",
        "Die Antwort ist leider nur \\boxed{42}.",
        "D\u00e9sol\u00e9 pour l'attente : \\boxed{42}.",
        "No puedo simplificar m\u00e1s; es \\boxed{42}.",
        'I cannot shorten it: {"answer": 42}',
        "\u0110\u00e1p \u00e1n l\u00e0 \\boxed{42}.",
    ],
)
def test_a_good_answer_is_read_in_any_language_whatever_stands_around_it(text: str) -> None:
    read = read_draw(read_reply(fetched(reply(text))), ORDER, stated_answer, verdict=False)
    assert read == ("42", "")


@pytest.mark.parametrize(
    "answer",
    [
        "\u4e0d\u80fd",
        "\u65e0\u6cd5\u786e\u5b9a",
        "no puedo",
        "non posso",
        "cannot be determined",
        "Ich kann",
    ],
)
def test_words_that_also_stand_in_refusals_may_be_answers(answer: str) -> None:
    assert usable(answer) == answer


def test_an_address_holds_no_password() -> None:
    assert check_address("x", "http://h:1/v1/") == "http://h:1/v1"
    for bad in (
        None,
        "",
        "h:1",
        "ftp://h",
        "http://",
        "http://u:p@h/v1",
        "ftp://u:p@h",
        "http://h/v1?key=s",
    ):
        with pytest.raises(ValueError, match=r"labels\.base_url") as told:
            check_address("labels.base_url", bad)
        assert "u:p" not in str(told.value)


@pytest.mark.parametrize(
    ("body", "address", "words"),
    [
        (
            {"object": "error", "message": "The model `owl` does not exist.", "code": 404},
            "http://h",
            "no such model (labels.model): status 404: 404: The model `owl` does not exist.",
        ),
        (
            {"detail": "Not Found"},
            "http://h",
            "no such address: status 404: Not Found; most services want /v1: try http://h/v1",
        ),
        ("<html>404</html>", "http://h/v1", "no such address: status 404"),
        (
            {"error": "no such path"},
            "http://h/v1/chat/completions",
            "no such path; the address ends before /chat/completions: try http://h/v1",
        ),
    ],
)
def test_a_wrong_model_is_told_from_a_wrong_address_with_what_may_be_meant(
    tmp_path: Path, body: object, address: str, words: str
) -> None:
    outcome = read_reply(fetched(body, 404)).outcome
    assert isinstance(outcome, Stopped)
    log = CallLog(tmp_path, "1", try_seconds=1.0)
    look = Look(log=log, key="", wanted=set(), queue=deque())
    look.stop, look.no_address = outcome.why, outcome.no_address
    with pytest.raises(SourceStoppedError) as told:
        look.tell(address)
    assert str(told.value).endswith(words)


@pytest.mark.parametrize(
    "text",
    [
        "I don't know",
        "I don\u2019t really know",
        "I have no idea",
        "no idea.",
        "Not sure",
        "I am not sure, maybe 5",
        "cannot say",
        "\\boxed{\\text{I do not know}}",
        "Je ne sais pas",
        "keine Ahnung",
        "\u043d\u0435 \u0437\u043d\u0430\u044e",
        "\u6211\u4e0d\u77e5\u9053",
        "\u308f\u304b\u308a\u307e\u305b\u3093",
        "\u0644\u0627 \u0623\u0639\u0631\u0641",
    ],
)
def test_who_does_not_know_gives_no_answer(text: str) -> None:
    assert declines(text)
    assert usable(text) is None


def test_a_title_that_begins_as_a_refusal_does_is_an_answer_of_words() -> None:
    assert declines("Sorry!", words=True)
    assert declines("I don't know, sorry", words=True)
    assert not declines("Sorry Seems to Be the Hardest Word", words=True)
    assert not declines("Knowles")
