"""A look at data and grader before the first step: forms asked for and read, labels, findings."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from rlavr_hpc.answers.readable_forms import choices_that_read, forms_read, is_answer
from rlavr_hpc.cli import call
from rlavr_hpc.commands.check import _summary, printable
from rlavr_hpc.config.grading import Extract
from rlavr_hpc.data.asked_form import AskedForm, asked_forms
from rlavr_hpc.data.dataset import Dataset
from rlavr_hpc.data.findings import DataFinding, FindingLevel
from rlavr_hpc.data.load_split import Split, load_split
from rlavr_hpc.errors import UserError
from rlavr_hpc.trainer.inspection import DataInspection, inspect_data, refuse_or_tell
from rlavr_hpc.types import Message, Question
from tests.support.configs import composed
from tests.support.rows import jsonl

NOTHING = Dataset(questions=(), answers={})


def question(text: str, *, name: str = "q", task: str = "math") -> Question:
    return Question(id=name, messages=(), text=text, task=task)


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        (r"Find x. Put it in \boxed{}.", {AskedForm.boxed}),
        ("Find x and give it boxed.", {AskedForm.boxed}),
        ("The last line must read Answer: VALUE.\n\nFind x.", {AskedForm.line}),
        ("Write **Answer**: and the number.\nFind x.", {AskedForm.line}),
        ("\u6700\u540e\u4e00\u884c\u5199 Answer\uff1a\u503c\u3002", {AskedForm.line}),
        ("Who lies? Reply inside <answer> tags.", {AskedForm.block}),
        ("Find x. End with #### and x.", {AskedForm.hashes}),
        ("Work it out.\n#### <value>", {AskedForm.hashes}),
        ("#### Problem 3\nFind x.\n#### Hints\nnone", {AskedForm.nothing}),
        ("Say 'The final answer is x'.", {AskedForm.stated}),
        ("Box a number: \\boxed{x}, or end with Answer: x.", {AskedForm.boxed, AskedForm.line}),
        ("Find x.", {AskedForm.nothing}),
        ("Q: what is 2+2?\nAnswer:", {AskedForm.nothing}),
        ("Which box is heavier?", {AskedForm.nothing}),
    ],
)
def test_the_form_that_a_prompt_asks_for(text: str, forms: set[AskedForm]) -> None:
    assert asked_forms(question(text)) == forms


def test_system_messages_ask_too_and_what_the_assistant_said_does_not() -> None:
    chat = Question(
        id="q",
        messages=(
            Message(role="system", content="End with #### and the value."),
            Message(role="user", content="2+2?"),
            Message(role="assistant", content="\\boxed{4}"),
            Message(role="user", content="3+3?"),
        ),
        text="3+3?",
        task="math",
    )
    assert asked_forms(chat) == {AskedForm.hashes}
    assert asked_forms(chat, "Use <answer>.") == {AskedForm.hashes, AskedForm.block}
    assert asked_forms(question("x" * 50_000 + " Use \\boxed{}.")) == {AskedForm.boxed}


def test_the_forms_that_a_grader_reads_are_found_by_trying_them() -> None:
    assert forms_read("math", Extract.boxed) == {"boxed"}
    assert {"boxed", "stated", "line"} <= forms_read("math", Extract.stated)
    assert forms_read("math", Extract.any) == {"boxed", "line", "block", "hashes", "stated"}
    assert forms_read("knights", Extract.boxed) == {"block"}
    assert {"boxed", "block"} <= forms_read("choice", Extract.boxed)
    assert forms_read("my_own", Extract.boxed) == {"boxed", "line", "block", "hashes", "stated"}
    assert Extract.stated in choices_that_read("math", "line")
    assert Extract.boxed not in choices_that_read("math", "line")


PUZZLE = "You meet 2 inhabitants: Zoe, and Max. Who is who?"


@pytest.mark.parametrize(
    ("task", "label", "answer"),
    [
        ("math", "42", True),
        ("math", r"\frac{1}{2} \text{ of all the apples there}", True),
        ("math", "no solution", True),
        ("math", '["4", "four"]', True),
        ("math", "First we add the two numbers and then we halve the sum.", False),
        ("math", "x" * 2000, False),
        ("choice", "B", True),
        ("choice", "(C)", True),
        ("choice", "the mitochondrion", False),
        ("knights", "Zoe is a knight, Max is a knave", True),
        ("knights", "Ann is a knight, Bob is a knave", False),
        ("knights", "42", False),
        ("my_own", "whatever it is, its own task may take it as it likes to", True),
    ],
)
def test_labels_that_are_an_answer_for_their_task(task: str, label: str, answer: bool) -> None:
    assert is_answer(task, label, PUZZLE) is answer


def inspected(
    *texts: str, labels: dict[int, str] | None = None, given: tuple[str, ...] = ()
) -> DataInspection:
    """The inspection of these prompts, labelled 4 unless told."""
    questions = tuple(question(text, name=f"q{i}") for i, text in enumerate(texts))
    answers = {f"q{i}": (labels or {}).get(i, "4") for i in range(len(texts))}
    config = composed("rollout=hf", *given)
    train = Dataset(questions=questions, answers=answers)
    return inspect_data(config, Split(train=train, held_out=NOTHING))


LINE = "End with Answer: VALUE. Find x"
BOXED = ("grading.extract=boxed",)


def test_a_form_that_no_prompt_can_be_answered_in_ends_the_run_and_names_the_key() -> None:
    found = inspected(f"{LINE}1.", f"{LINE}2.", given=BOXED)
    [finding] = found.errors
    assert finding.kind == "asked_form_not_read"
    assert finding.text.startswith("2 of 2 prompts ask for a line `Answer: ...`")
    assert "grading.extract=stated" in finding.text
    assert finding.rows == ("prompt 'q0'", "prompt 'q1'")
    with pytest.raises(UserError, match=r"2 of 2 prompts ask"):
        refuse_or_tell(found, logging.getLogger("test"), quiet=False)


def test_a_form_that_some_prompts_ask_for_is_a_warning_with_five_rows_at_most() -> None:
    texts = [f"{LINE}{i}." for i in range(7)]
    found = inspected(*texts, "Use \\boxed{}.", given=BOXED)
    [finding] = found.findings
    assert (finding.level, finding.count, len(finding.rows)) == (FindingLevel.warning, 7, 5)
    assert found.asked == {"boxed": 1, "line": 7}


def test_two_forms_that_are_both_not_read_end_the_run_too() -> None:
    found = inspected(f"{LINE}.", "Find x. End with #### and x.", given=BOXED)
    assert [finding.count for finding in found.errors] == [1, 1]
    more = inspected(f"{LINE}.", "Find x. End with #### and x.", "Find x.", given=BOXED)
    assert (more.errors, len(more.findings)) == ((), 2)


def test_a_form_that_is_read_and_one_that_is_not_named_are_no_finding() -> None:
    assert inspected(f"{LINE}.", "Find x.", given=("grading.extract=stated",)).findings == ()


def test_prose_as_label_is_named_and_ends_the_run_where_every_label_is_prose() -> None:
    prose = "We see that it is so, and hence the claim follows at once."
    some = inspected("a", "b", "c", labels={1: prose})
    [finding] = some.findings
    assert (finding.kind, finding.level, finding.rows) == (
        "label_is_no_answer",
        FindingLevel.warning,
        ("prompt 'q1'",),
    )
    assert "We see that" not in finding.text  # nobody has bought it
    [task] = some.tasks
    assert (task.prompts, task.labelled, task.answers) == (3, 3, 2)
    assert inspected("a", labels={0: prose}).errors
    assert not inspected("a", labels={0: prose}, given=("acquisition=none",)).errors


def test_a_start_tells_one_line_each_and_ranks_that_are_not_first_tell_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    findings = (
        DataFinding(kind="a", level=FindingLevel.note, text="one", count=1, rows=("f, row 1",)),
        DataFinding(kind="b", level=FindingLevel.warning, text="two", count=9, rows=("f, row 2",)),
    )
    told = DataInspection(tasks=(), asked={}, findings=findings)
    log = logging.getLogger("test")
    with caplog.at_level(logging.INFO):
        refuse_or_tell(told, log, quiet=True)
        assert caplog.messages == []
        refuse_or_tell(told, log, quiet=False)
    assert caplog.messages == ["one", "warning: two (f, row 2, ...)"]


def test_texts_of_the_data_cannot_move_the_cursor() -> None:
    assert printable("a\x1b[2Jb\u202e\nc") == "a?[2Jb? c"


def test_the_command_shows_the_testbed_and_exits_with_0(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(["check", "rollout=hf", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["prompts"] == 979
    assert shown["tasks"][0]["answers"] == 979
    assert "Rule" in shown["example"]["text"]


def test_the_command_shows_puzzles_with_worked_steps(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = ["experiment=reasoning", "data.count=64", "data.eval_count=8"]
    assert call(["check", "rollout=hf", *given, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["prompts"], shown["held_out"]) == (64, 8)
    assert (shown["tasks"][0]["task"], shown["tasks"][0]["answers"]) == ("knights", 64)
    assert shown["example"]["text"].endswith("«. »«who »«? »")
    assert shown["example"]["tokens"] == len(shown["example"]["text"].split(" ")) - 1


def test_the_command_refuses_keys_without_an_effect_as_a_run_does(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(["check", "rollout=hf", "model.path=some/model"]) == 2
    assert "model.path=some/model has no effect" in capsys.readouterr().err


def test_the_command_exits_with_2_and_still_shows_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"prompt": f"{LINE}{i}.", "answer": str(i)} for i in range(8)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ["data=jsonl", f"data.path={data}", "model=testbed", "grading.extract=boxed"]
    given += ["algorithm.batch=8", "algorithm.mini_batch=8"]
    assert call(["check", "rollout=hf", *given]) == 2
    shown = capsys.readouterr().out
    assert "8 of 8 prompts ask for an answer as a line `Answer: ...`" in shown
    assert "error    8 of 8 prompts" in shown
    assert "as the model reads it" in shown
    assert "`rlavr run` refuses this" in shown


def held_out_findings(held_out: Dataset, *given: str) -> dict[str, DataFinding]:
    config = composed("rollout=hf", "data=jsonl", "data.path=t.jsonl", *given)
    train = Dataset(questions=(question("1+1?"),), answers={"q": "2"})
    found = inspect_data(config, Split(train=train, held_out=held_out))
    return {finding.kind: finding for finding in found.findings}


def test_a_held_out_file_without_a_label_ends_the_run() -> None:
    unlabelled = Dataset(questions=(question("2+2?", name="e"),), answers={})
    found = held_out_findings(unlabelled, "data.eval_path=e.jsonl")["held_out_without_labels"]
    assert found.level is FindingLevel.error
    assert found.text.startswith("e.jsonl: none of its 1 prompts has a label")
    assert "held_out_without_labels" not in held_out_findings(NOTHING, "data.holdout=0")


def test_held_out_labels_that_are_no_answer_are_told() -> None:
    prose = "First we add the two numbers and then we halve the sum."
    questions = tuple(question(f"{n}?", name=f"e{n}") for n in range(2))
    for answers, level in (
        ({"e0": prose, "e1": "4"}, FindingLevel.warning),
        ({"e0": prose, "e1": prose}, FindingLevel.error),
    ):
        data = Dataset(questions=questions, answers=answers)
        found = held_out_findings(data, "data.eval_path=e.jsonl")["held_out_label_is_no_answer"]
        assert found.level is level
        assert prose not in found.text


def test_what_was_found_in_the_held_out_file_is_told(tmp_path: Path) -> None:
    train = jsonl(tmp_path / "t.jsonl", *({"prompt": f"{n}?", "answer": "1"} for n in range(9)))
    other = jsonl(
        tmp_path / "e.jsonl", {"prompt": "a", "answer": "proof"}, {"prompt": "b", "answer": "2"}
    )
    config = composed(
        "rollout=hf", "data=jsonl", f"data.path={train}", f"data.eval_path={other}",
        "data.eval_limit=1",
    )  # fmt: skip
    found = inspect_data(config, load_split(config.data)).findings
    assert [f.text.split(":")[0] for f in found if f.kind == "void_labels"] == [str(other)]


def test_where_somebody_else_gives_labels_nothing_to_evaluate_is_a_warning_by_name() -> None:
    unlabelled = Dataset(questions=(question("2+2?", name="e"),), answers={})
    live = ("labels=command", "labels.command=x")
    found = held_out_findings(unlabelled, "data.eval_path=e.jsonl", *live)["nothing_to_evaluate"]
    assert found.level is FindingLevel.warning
    assert found.text.startswith("e.jsonl: none of its rows has an answer, so nothing is evaluated")
    drawn = held_out_findings(NOTHING, "data.holdout=0.1", *live)["nothing_to_evaluate"]
    assert drawn.text.startswith("data.holdout=0.1 keeps labelled prompts out of training")
    assert held_out_findings(NOTHING, "data.holdout=0", *live) == {}


def test_a_missing_column_is_nothing_to_mend_where_somebody_else_gives_labels() -> None:
    missing = DataFinding(
        kind="no_answer_column",
        level=FindingLevel.warning,
        text="d.jsonl: no column for the answer; the columns are a; name it with data.columns=",
    )
    train = Dataset(questions=(question("2+2?", name="q"),), answers={}, findings=(missing,))
    config = composed("rollout=hf", "labels=command", "labels.command=x", "data.holdout=0")
    [found] = inspect_data(config, Split(train=train, held_out=NOTHING)).findings
    assert found.level is FindingLevel.note
    assert found.text == "d.jsonl: no column for the answer; labels=command gives the labels"


def test_a_check_whose_prompts_ask_for_no_form_does_not_say_that_nothing_is_wrong() -> None:
    assert _summary([], unnamed=False) == "nothing is wrong"
    assert "no prompt says where its answer shall stand" in _summary([], unnamed=True)
