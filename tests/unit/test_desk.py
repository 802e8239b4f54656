"""The desk: who is asked what, and what becomes of the answers."""

from __future__ import annotations

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from rlavr_hpc.config.label_desk import DeskConfig
from rlavr_hpc.config.labels import Ask
from rlavr_hpc.errors import UserError
from rlavr_hpc.labels.desk.access import Person, Role
from rlavr_hpc.labels.desk.journal import DESK
from rlavr_hpc.labels.desk.place import DeskPlace, claim_seat, last_desk, refuse_second
from rlavr_hpc.runs.process import this_process
from tests.support.desk import TriedDesk, answers, key_on, place, question

SEVEN, NINE, TEN = question("What is 3 + 4?"), question("What is 9?"), question("What is 10?")


@pytest.fixture
def desk(tmp_path: Path) -> TriedDesk:
    place(tmp_path / "run", [SEVEN, NINE])
    return TriedDesk(tmp_path)


def test_an_answer_reaches_the_run_with_who_gave_it_and_how_long_it_took(desk: TriedDesk) -> None:
    ada = desk.browser("ada")
    key = key_on(ada)
    sent = ada.post("/answer", data={"key": key, "answer": " 7 ", "remark": "easy"})
    desk.desk.end()
    [answer] = answers(desk.top / "run").values()
    assert sent.headers["location"] == "./"
    assert (answer.key, answer.answer, answer.annotator, answer.note) == (key, "7", "ada", "easy")
    assert answer.seconds is not None
    assert answer.cost == 0.5


def test_two_annotators_are_never_asked_the_same_key(desk: TriedDesk) -> None:
    ada, bob, carol = (desk.browser(name) for name in ("ada", "bob", "carol"))
    assert {key_on(ada), key_on(bob)} == {SEVEN.key, NINE.key}
    assert key_on(carol) == ""
    assert key_on(ada) == key_on(ada) != key_on(bob)


def test_nobody_gets_two_orders_of_one_question(tmp_path: Path) -> None:
    twin = question("What is 3 + 4?", copy=1)
    place(tmp_path / "run", [SEVEN, twin])
    desk = TriedDesk(tmp_path)
    ada, bob = desk.browser("ada"), desk.browser("bob")
    ada.post("/answer", data={"key": key_on(ada), "answer": "7"})
    assert key_on(ada) == ""
    assert key_on(bob) == twin.key
    bob.post("/answer", data={"key": twin.key, "answer": "7"})
    desk.start()
    assert (key_on(ada), key_on(bob)) == ("", "")


def test_the_last_answer_can_be_undone_until_the_next_one(desk: TriedDesk) -> None:
    ada = desk.browser("ada")
    first = key_on(ada)
    ada.post("/answer", data={"key": first, "answer": "8"})
    assert desk.final() == {}
    assert "Saved:" in ada.get("/").text
    second = key_on(ada)
    ada.post("/undo", data={"sure": "yes"})
    page = ada.get("/").text
    assert first in page
    assert 'value="8"' in page
    ada.post("/answer", data={"key": first, "answer": "7"})
    ada.post("/answer", data={"key": second, "answer": "9"})
    assert desk.final() == {first: "7"}
    desk.desk.end()
    assert desk.final() == {first: "7", second: "9"}


def test_an_answer_is_final_after_a_minute_and_cannot_be_undone_then(desk: TriedDesk) -> None:
    ada = desk.browser("ada")
    key = key_on(ada)
    ada.post("/answer", data={"key": key, "answer": "7"})
    desk.desk.look()
    assert desk.final() == {}
    desk.pass_time(61)
    desk.desk.look()
    assert desk.final() == {key: "7"}
    ada.post("/undo", data={"sure": "yes"})
    assert desk.final() == {key: "7"}
    assert key_on(ada) not in ("", key)


def test_an_answer_that_was_acknowledged_survives_a_kill_and_can_still_be_undone(
    desk: TriedDesk,
) -> None:
    ada = desk.browser("ada")
    key = key_on(ada)
    ada.post("/answer", data={"key": key, "answer": "7"})
    desk.start()
    again = desk.stranger()
    again.cookies = ada.cookies
    assert "Saved:" in again.get("/").text
    assert key_on(again) != key
    again.post("/undo", data={"sure": "yes"})
    assert key_on(again) == key
    again.post("/answer", data={"key": key, "answer": "8"})
    desk.start()
    desk.pass_time(61)
    desk.desk.look()
    assert desk.final() == {key: "8"}


def test_a_kill_between_the_run_and_the_record_writes_nothing_twice(desk: TriedDesk) -> None:
    ada = desk.browser("ada")
    key = key_on(ada)
    ada.post("/answer", data={"key": key, "answer": "7"})
    desk.desk.end()
    desk.start()  # its record still says that the answer is held
    assert "Saved:" not in desk.browser("ada").get("/").text
    desk.desk.end()
    lines = [p.read_text() for p in (desk.top / "run/labels/answers").iterdir()]
    assert "".join(lines).count(key) == 1


def test_a_claim_outlives_a_restart(desk: TriedDesk) -> None:
    ada, bob = desk.browser("ada"), desk.browser("bob")
    key = key_on(ada)
    desk.start()
    bob = desk.browser("bob")
    assert key_on(bob) not in ("", key)


def test_a_claim_that_ran_out_goes_to_another_and_the_late_answer_still_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place(tmp_path / "run", [SEVEN])
    desk = TriedDesk(tmp_path)
    ada, bob = desk.browser("ada"), desk.browser("bob")
    assert key_on(ada) == SEVEN.key
    assert key_on(bob) == ""
    desk.pass_time(1801)
    assert key_on(bob) == SEVEN.key
    ada.post("/answer", data={"key": SEVEN.key, "answer": "7"})
    late = bob.post("/answer", data={"key": SEVEN.key, "answer": "8"})
    assert late.headers["location"] == "./?late=1"
    assert "was not counted" in bob.get("/?late=1").text
    desk.desk.end()
    ada.post("/answer", data={"key": SEVEN.key, "answer": "7"})
    assert desk.final() == {SEVEN.key: "7"}
    told = [line for line in capsys.readouterr().out.splitlines() if "too late" in line]
    assert told == [f"{SEVEN.key[:8]}: an answer of bob came too late"], "one line, of one answer"


def test_of_several_answers_to_one_order_exactly_one_is_written(tmp_path: Path) -> None:
    place(tmp_path / "run", [SEVEN])
    desk = TriedDesk(tmp_path)
    people = [desk.browser(name) for name in ("ada", "bob", "carol")]
    for one in people:
        assert key_on(one) == SEVEN.key
        desk.pass_time(1801)
    for number, one in enumerate(people):
        one.post("/answer", data={"key": SEVEN.key, "answer": str(number)})
        desk.desk.look()
    desk.desk.end()
    [file] = (tmp_path / "run/labels/answers").iterdir()
    assert len(file.read_text().splitlines()) == 1
    assert desk.final() == {SEVEN.key: "0"}


@pytest.mark.parametrize(
    ("minutes", "seconds", "lasts"),
    [(2.0, [400.0] * 9, 120.0), (None, [400.0] * 4, 1800.0), (None, [400.0] * 5, 1200.0)],
)
def test_a_claim_lasts_as_long_as_was_set_or_three_times_the_median(
    tmp_path: Path, minutes: float | None, seconds: list[float], lasts: float
) -> None:
    orders = [question(f"What is {n}?") for n in range(len(seconds))]
    place(tmp_path / "run", orders)
    desk = TriedDesk(tmp_path, config=DeskConfig(claim_minutes=minutes))
    ada = desk.browser("ada")
    for took in seconds:
        key = key_on(ada)
        desk.desk.assignments.given["ada", key] -= took
        ada.post("/answer", data={"key": key, "answer": "7"})
    desk.desk.end()
    assert desk.desk.assignments.claim_seconds == pytest.approx(lasts, rel=0.01)


def test_a_withdrawn_order_is_asked_no_more_and_its_answer_is_not_written(tmp_path: Path) -> None:
    out = place(tmp_path / "run", [SEVEN])
    desk = TriedDesk(tmp_path)
    ada = desk.browser("ada")
    assert key_on(ada) == SEVEN.key
    out.withdraw([SEVEN.key])
    desk.desk.look()
    late = ada.post("/answer", data={"key": SEVEN.key, "answer": "7"})
    desk.desk.end()
    assert late.headers["location"] == "./?late=1"
    assert desk.final() == {}
    assert key_on(ada) == ""


def test_nobody_is_asked_for_a_run_that_wants_no_labels_any_more(tmp_path: Path) -> None:
    place(tmp_path / "run", [SEVEN])
    place(tmp_path / "other", [NINE])
    desk = TriedDesk(tmp_path, runs=("run", "other"))
    desk.desk.mail.wanted = lambda run_dir: run_dir.name != "run"
    desk.desk.look()
    ada, bob = desk.browser("ada"), desk.browser("bob")
    assert (key_on(ada), key_on(bob)) == (NINE.key, "")
    page = desk.browser("owner", Role.owner).get("/owner").text
    assert "<h1>1 question open" in " ".join(page.replace("<", " <").split())
    desk.desk.mail.wanted = lambda run_dir: True
    desk.desk.look()
    assert key_on(bob) == SEVEN.key


def test_cannot_answer_is_void_with_its_reason(desk: TriedDesk) -> None:
    ada = desk.browser("ada")
    key = key_on(ada)
    ada.post("/answer", data={"key": key, "action": "cannot", "remark": "no units"})
    desk.desk.end()
    [answer] = answers(desk.top / "run").values()
    assert (answer.void, answer.answer, answer.note) == ("cannot say", None, "no units")


@pytest.mark.parametrize("text", ["", "nonsense", "1" * 4001])
def test_what_cannot_be_a_label_comes_back_with_the_reason_and_the_text(
    desk: TriedDesk, text: str
) -> None:
    ada = desk.browser("ada")
    sent = ada.post("/answer", data={"key": key_on(ada), "answer": text})
    desk.desk.end()
    assert sent.status_code == 422
    assert 'role="alert"' in sent.text
    assert text[:4000] in sent.text
    assert desk.final() == {}


def test_one_key_of_two_runs_is_asked_once_and_answered_in_both(tmp_path: Path) -> None:
    place(tmp_path / "run", [SEVEN])
    place(tmp_path / "other", [SEVEN])
    desk = TriedDesk(tmp_path, runs=("run", "other"))
    ada = desk.browser("ada")
    ada.post("/answer", data={"key": key_on(ada), "answer": "7"})
    desk.desk.end()
    assert key_on(ada) == ""
    assert desk.final("run") == desk.final("other") == {SEVEN.key: "7"}


def test_a_run_that_orders_later_gets_what_another_was_told(tmp_path: Path) -> None:
    place(tmp_path / "run", [SEVEN])
    place(tmp_path / "other", [NINE])
    desk = TriedDesk(tmp_path, runs=("run", "other"))
    ada = desk.browser("ada")
    for _ in range(2):
        ada.post("/answer", data={"key": key_on(ada), "answer": "7"})
    place(tmp_path / "other", [SEVEN], attempt=2)
    desk.pass_time(61)
    desk.desk.look()
    desk.desk.look()
    assert desk.final("other") == {NINE.key: "7", SEVEN.key: "7"}


def test_the_models_answers_stand_in_an_order_of_their_own_and_what_was_seen_is_on_record(
    tmp_path: Path,
) -> None:
    clusters = ("11", "12", "13", "14", "15", "16")
    place(tmp_path / "run", [question(f"What is {n}?", clusters=clusters) for n in range(4)])
    desk = TriedDesk(tmp_path)
    ada = desk.browser("ada")
    placed = []
    for _ in range(4):
        page = ada.get("/").text
        assert page == ada.get("/").text
        key = key_on(ada)
        placed.append(tuple(n for n in _values(page) if n != "other"))
        ada.post("/answer", data={"key": key, "choice": "2"})
    desk.desk.end()
    found = answers(tmp_path / "run").values()
    assert {frozenset(order) for order in placed} == {frozenset("012345")}
    assert len(set(placed)) > 1
    assert {one.answer for one in found} == {"13"}
    notes = {one.note for one in found}
    assert (
        f"saw the model's answers {' '.join(str(int(n) + 1) for n in placed[0])}, chose 3" in notes
    )


def _values(page: str) -> list[str]:
    marks = page.split('name="choice" value="')[1:]
    return [part.split('"')[0] for part in marks]


def test_another_answer_than_the_models_can_be_typed(tmp_path: Path) -> None:
    place(tmp_path / "run", [question("What is 5?", clusters=("1", "2"))])
    desk = TriedDesk(tmp_path)
    ada = desk.browser("ada")
    ada.post("/answer", data={"key": key_on(ada), "choice": "other", "answer": "5"})
    desk.desk.end()
    [answer] = answers(tmp_path / "run").values()
    assert answer.answer == "5"
    assert answer.note.endswith("typed another")


def test_a_verdict_is_of_the_vote_that_was_shown(tmp_path: Path) -> None:
    place(tmp_path / "run", [question("What is 5?", ask=Ask.verdict, vote="6")])
    desk = TriedDesk(tmp_path)
    ada = desk.browser("ada")
    key = key_on(ada)
    assert "Proposed answer" in ada.get("/").text
    assert ada.post("/answer", data={"key": key, "verdict": "maybe"}).status_code == 422
    ada.post("/answer", data={"key": key, "verdict": "wrong"})
    desk.desk.end()
    [answer] = answers(tmp_path / "run").values()
    assert (answer.verdict, answer.note) == ("wrong", "saw the vote")


def test_a_full_disk_loses_no_answer_and_says_so(
    desk: TriedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = desk.browser("ada")
    key = key_on(ada)

    def full(**row: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(type(desk.desk.journal), "note", lambda self, **row: full(**row))
        sent = ada.post("/answer", data={"key": key, "answer": "7"})
    assert sent.status_code == 503
    assert "could not be saved" in sent.text
    assert 'value="7"' in sent.text
    assert ada.post("/answer", data={"key": key, "answer": "7"}).status_code == 303


def test_the_owner_sees_what_is_open_who_answered_and_when_the_run_goes_on(
    tmp_path: Path,
) -> None:
    place(tmp_path / "run", [SEVEN, question("What is 3 + 4?", copy=1), NINE, TEN])
    desk = TriedDesk(tmp_path)
    for name in ("ada", "bob"):
        browser = desk.browser(name)
        for _ in range(2):
            browser.post("/answer", data={"key": key_on(browser), "answer": "7"})
        desk.desk.assignments.release(name)
    page = desk.browser("owner", Role.owner).get("/owner").text
    words = " ".join(page.replace("<", " <").split())
    assert "<h1>0 questions open" in words
    assert "4 answers in the last hour" in words
    assert "1 of 1" in words
    assert "nothing is open" in words


def test_the_owner_is_told_of_questions_that_nobody_may_be_asked(tmp_path: Path) -> None:
    place(tmp_path / "run", [SEVEN, question("What is 3 + 4?", copy=1)])
    desk = TriedDesk(tmp_path)
    ada = desk.browser("ada")
    ada.post("/answer", data={"key": key_on(ada), "answer": "7"})
    desk.desk.assignments.release("ada")
    page = desk.browser("owner", Role.owner).get("/owner").text
    assert "1 open question can go to nobody" in page


def test_an_annotator_whose_name_was_revoked_is_out_at_once(desk: TriedDesk) -> None:
    ada = desk.browser("ada")
    desk.desk.access.revoke("ada")
    assert ada.get("/").status_code == 401


def test_a_second_desk_of_a_folder_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    (tmp_path / DESK).mkdir()
    place_ = DeskPlace(tmp_path / DESK, "http://127.0.0.1:1/", 1)
    place_.take()
    with pytest.raises(UserError, match=r"runs already, at http://127\.0\.0\.1:1/"):
        refuse_second(tmp_path / DESK)
    place_.leave()
    refuse_second(tmp_path / DESK)
    last = last_desk(tmp_path / DESK)
    assert last is not None
    assert (last.address, last.running) == ("http://127.0.0.1:1/", False)


def test_of_desks_that_start_at_once_one_runs(tmp_path: Path) -> None:
    (tmp_path / DESK).mkdir()
    start = threading.Barrier(8)

    def take(port: int) -> bool:
        place_ = DeskPlace(tmp_path / DESK, f"http://127.0.0.1:{port}/", port)
        start.wait()
        try:
            place_.take()
        except UserError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take, range(8))) == 1
    claims = [claim_seat(tmp_path / DESK / "seats/2", this_process()) for _ in range(2)]
    assert claims == [True, False], "both saw that seat 1 was the last"


def test_a_desk_that_was_taken_for_ended_gives_nothing_out_when_it_comes_back(
    desk: TriedDesk, tmp_path: Path
) -> None:
    folder = tmp_path / DESK
    me = this_process()
    there = DeskPlace(folder, "http://127.0.0.1:1/", 1, _me=replace(me, host="elsewhere"))
    there.take()
    desk.desk.journal.superseded = lambda: there.superseded
    ada, bob = desk.browser("ada"), desk.browser("bob")
    assert ada.get("/").status_code == 200
    with pytest.raises(UserError, match="runs already"):
        DeskPlace(folder, "http://127.0.0.1:2/", 2).take()
    os.utime(folder / "desk.json", (0, 0))
    DeskPlace(folder, "http://127.0.0.1:2/", 2).take()
    assert bob.get("/").status_code == 503, "its question would be another's"
    there.renew()
    there.leave()
    last = last_desk(folder)
    assert last is not None
    assert (last.address, last.running) == ("http://127.0.0.1:2/", True)


def test_names_that_would_spoil_a_record_are_refused(desk: TriedDesk) -> None:
    for name in ("", " ada", "a\nb", "\x1b[31m", "a" * 41, "<b>"):
        with pytest.raises(UserError, match="is no name for the desk"):
            desk.desk.access.make_link(Person(name=name, role=Role.annotator))


def test_answers_that_are_deleted_under_a_living_desk_are_written_again_and_nobody_is_asked_twice(
    desk: TriedDesk, capsys: pytest.CaptureFixture[str]
) -> None:
    ada = desk.browser("ada")
    first = key_on(ada)
    ada.post("/answer", data={"key": first, "answer": "7"})
    desk.desk.end()
    [file] = (desk.top / "run/labels/answers").iterdir()
    file.unlink()
    desk.desk.look()
    assert desk.final() == {first: "7"}
    assert f"{file} WAS DELETED" in capsys.readouterr().out
    second = key_on(ada)
    [again] = (desk.top / "run/labels/answers").iterdir()
    again.unlink()
    ada.post("/answer", data={"key": second, "answer": "9"})
    desk.desk.end()
    assert desk.final() == {first: "7", second: "9"}
    assert key_on(ada) == ""


def test_one_run_whose_folder_is_gone_keeps_no_other_from_its_answers(tmp_path: Path) -> None:
    for name, order in (("a", SEVEN), ("b", NINE)):
        place(tmp_path / name, [order])
    desk = TriedDesk(tmp_path, runs=("a", "b"))
    ada = desk.browser("ada")
    ada.post("/answer", data={"key": SEVEN.key, "answer": "7"} | {"key": key_on(ada)})
    desk.desk.end()
    answered = "a" if desk.final("a") else "b"
    other = "b" if answered == "a" else "a"
    shutil.rmtree(tmp_path / answered)
    place(tmp_path / other, [TEN], attempt=2)
    with pytest.raises(FileNotFoundError):
        desk.desk.look()
    assert TEN.key in desk.desk.mail.open
