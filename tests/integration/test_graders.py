"""Real grader processes: limits, kills, hostile text, and agreement with math-verify."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.grading import differences, run_ours, run_yardstick
from benchmarks.latex_mix import make_mix
from rlavr_hpc.answers.equivalence import Equality
from rlavr_hpc.answers.sandbox.pool import GraderPool
from rlavr_hpc.answers.sandbox.process import Grader, Limits, Outcome, Request
from rlavr_hpc.answers.sandbox.protocol import ANY, GAVE_UP, LATEX
from rlavr_hpc.answers.verifier import Grade, Verifier
from rlavr_hpc.config.grading import Extract
from rlavr_hpc.errors import RlavrError
from rlavr_hpc.types import Group
from tests.support.commands import REPOSITORY, command
from tests.support.groups import prompt, rollout

BOMB = "9^{9^{9^9}}"
FINE = ("same", LATEX, r"\sin^2 x", r"1-\cos^2 x")
LIMITS = Limits(cpu_seconds=1.0, memory_mib=256)


@pytest.fixture(scope="module")
def pool() -> Iterator[GraderPool]:
    made = GraderPool(LIMITS, workers=2)
    yield made
    made.close()


@pytest.fixture(scope="module")
def verifier(pool: GraderPool) -> Verifier:
    made = Verifier(workers=2)
    made.equality = Equality(lambda: pool)
    return made


@pytest.fixture(scope="module")
def anywhere(pool: GraderPool) -> Verifier:
    made = Verifier(workers=2, where=Extract.any)
    made.equality = Equality(lambda: pool)
    return made


def graded(verifier: Verifier, texts: list[str], label: str) -> tuple[Group, Grade]:
    rollouts = [rollout(text, sample=i) for i, text in enumerate(texts)]
    [voted] = verifier.vote([prompt()], [rollouts])
    return voted, verifier.grade([voted], {"p1": label})["p1"]


def replies(pool: GraderPool, requests: Sequence[Request]) -> list[object]:
    return [reply for reply, _ in pool.run(requests)]


def boxed(*answers: str) -> list[str]:
    return [rf"\boxed{{{answer}}}" for answer in answers]


def test_the_pool_answers_in_order(pool: GraderPool) -> None:
    requests = [("same", LATEX, f"{n}!", str(k)) for n, k in ((3, 6), (4, 24), (5, 121), (3, 7))]
    assert replies(pool, requests * 20) == [True, True, False, False] * 20


def test_a_request_past_its_cpu_time_is_given_up_and_the_others_are_answered(
    pool: GraderPool,
) -> None:
    before, pids = pool.timed_out, set(pool.pids)
    requests: list[Request] = [FINE] * 40
    requests[1], requests[33] = ("read", LATEX, BOMB), ("read", LATEX, "3^{100000000}")
    told = replies(pool, requests)
    assert [i for i, reply in enumerate(told) if reply == GAVE_UP] == [1, 33]
    assert told.count(True) == 38
    assert pool.timed_out == before + 2
    assert len(pool.pids) == 2
    assert not pids & set(pool.pids), "both graders were replaced"


def test_a_request_past_its_memory_is_given_up_long_before_its_cpu_time() -> None:
    pool = GraderPool(Limits(cpu_seconds=60, memory_mib=128), workers=1)
    try:
        told = replies(pool, [("read", LATEX, "2^{3000000000}"), FINE, ("read", LATEX, "9!!!!")])
    finally:
        pool.close()
    assert told == [GAVE_UP, True, GAVE_UP]


def test_a_grader_that_hangs_without_using_cpu_is_replaced() -> None:
    pool = GraderPool(Limits(cpu_seconds=0.1), workers=1)
    try:
        pool.wait_until_ready()
        os.kill(pool.pids[0], signal.SIGSTOP)
        assert replies(pool, [FINE, FINE]) == [GAVE_UP, True]
    finally:
        pool.close()


def test_a_stopped_grader_with_more_in_its_pipe_than_fits_is_replaced() -> None:
    pool = GraderPool(Limits(cpu_seconds=0.1), workers=1)
    try:
        pool.wait_until_ready()
        os.kill(pool.pids[0], signal.SIGSTOP)
        told = replies(pool, [("same", ANY, "\ud83d" * 20_000, "7"), FINE])
        assert told == [GAVE_UP, True]
    finally:
        pool.close()


def test_what_a_grader_said_before_its_end_counts_however_late_it_is_heard() -> None:
    requests = [FINE, FINE, ("read", LATEX, BOMB), FINE]
    grader = Grader(0, Limits(cpu_seconds=0.3))
    try:
        while not grader.ready:
            grader.hear()
        grader.give(range(4), requests)
        while grader.ended is None:
            time.sleep(0.05)
        assert [reply for reply, _ in grader.hear()] == [True, True]
        assert grader.ran_out
    finally:
        grader.end()


def test_graders_killed_at_random_change_no_verdict(pool: GraderPool) -> None:
    pool.wait_until_ready()
    killed: list[int] = []

    def kill() -> None:
        rng = random.Random(4)
        while len(killed) < 10:
            time.sleep(rng.uniform(0.1, 0.4))
            killed.append(rng.choice(pool.pids))
            with contextlib.suppress(ProcessLookupError):
                os.kill(killed[-1], signal.SIGKILL)

    requests = [("same", LATEX, f"{n}!", str(k)) for n in range(3, 9) for k in (6, 24, 120)]
    expected = [n == k for n in range(3, 9) for k in (3, 4, 5)]
    killer = threading.Thread(target=kill)
    killer.start()
    rounds = 0
    while killer.is_alive():
        assert replies(pool, requests) == expected
        rounds += 1
    killer.join()
    assert rounds > 1
    assert len(set(killed)) > 3
    assert len(pool.pids) == 2


def test_a_grader_killed_between_two_calls_is_replaced(pool: GraderPool) -> None:
    assert replies(pool, [FINE]) == [True]
    for pid in pool.pids:
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.1)
    assert replies(pool, [FINE]) == [True]


def test_graders_die_with_their_parent_also_at_work() -> None:
    code = (
        "import threading, time; from rlavr_hpc.answers.sandbox.pool import *\n"
        "pool = GraderPool(Limits(cpu_seconds=3600), workers=2); pool.wait_until_ready()\n"
        f"bombs = [('read', 'latex', {BOMB!r})] * 2\n"
        "threading.Thread(target=pool.run, args=(bombs,), daemon=True).start()\n"
        "time.sleep(1); print(*pool.pids, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    )
    assert parent.stdout is not None
    pids = parent.stdout.readline().split()
    assert len(pids) == 2
    assert all(_runs(pid) for pid in pids)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while any(_runs(pid) for pid in pids):
        assert time.monotonic() < deadline, "graders outlived their parent"
        time.sleep(0.05)


def _runs(pid: str) -> bool:
    path = Path(f"/proc/{pid}/stat")
    try:
        return path.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_grader_has_no_secrets_and_cannot_write_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "canary")
    pool = GraderPool(Limits(), workers=1)
    try:
        pool.wait_until_ready()
        folder = Path(f"/proc/{pool.pids[0]}")
        assert b"canary" not in (folder / "environ").read_bytes()
        limits = (folder / "limits").read_text()
        assert limits.split("Max file size")[1].split()[0] == "0"
        assert limits.split("Max address space")[1].split()[0].isdigit()
    finally:
        pool.close()


def test_graders_that_do_not_start_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlavr_hpc.answers.sandbox.process.PACKAGE_ROOT", Path("/nowhere"))
    monkeypatch.setattr("sys.executable", "/bin/false")
    pool = GraderPool(Limits(), workers=1)
    try:
        with pytest.raises(RlavrError, match="grader processes do not start"):
            replies(pool, [FINE])
    finally:
        pool.close()


def test_nothing_a_model_writes_reaches_eval(tmp_path: Path) -> None:
    """The grader's reader, with every way into the evaluation of text closed."""
    code = f"""
import builtins, json, sys
import sympy.parsing.sympy_parser as parser
from rlavr_hpc.answers.sandbox import math_verify_reader as reader
reader.warm_up()
def refuse(*args, **kwargs):
    raise SystemExit(f"evaluated {{args[0]!r}}")
builtins.eval = parser.eval_expr = refuse
for text in json.loads(sys.stdin.read()):
    for mode in ({LATEX!r}, {ANY!r}):
        for call in (lambda: reader.read(mode, text), lambda: reader.same(mode, text, "1/2")):
            try:
                call()
            except Exception:
                pass
print("none")
"""
    target = tmp_path / "touched"
    texts = [
        "1/2",
        "the answer is 3/4*2",
        "2**3",
        "(1+2)*3",
        "1.5",
        "1e5",
        "x = 1.25",
        "12345678901",
        "so 12 - 5 = 7",
        "28%",
        "1,000",
        "answer: 2^10/4",
        "exec('1')",
        "lambda: 1",
        "x; y",
        f"__import__('os').system('touch {target}')",
        "1 if 1 else 2",
        "[1 for _ in (1,)]",
        f"\\text{{__import__('os').system('touch {target}')}}",
        "\\sin^2 x",
        "1 meter",
        "x_{eval}",
    ]
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert (done.stdout.strip(), done.returncode) == ("none", 0), done.stderr[-2000:]
    assert not target.exists()


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (r"\sin^2 x", r"1-\cos^2 x", True),
        (r"\frac{x}{x+1}", r"1-\frac{1}{x+1}", True),
        (r"\ln 4", r"2\ln 2", True),
        (r"\log_2 8", "3", True),
        (r"\binom{5}{2}", "10", True),
        ("5!", "120", True),
        ("0.333333", r"\frac13", True),
        (r"1.414214", r"\sqrt2", True),
        ("3.14", r"\pi", False),
        (r"\frac{1}{1+\sqrt2}", r"\sqrt2-1", True),
        ("2x+3y=1", "4x+6y=2", True),
        ("2x+3y=1", "4x+6y=3", False),
        ("5x+y=3", "3", False),
        (r"x \in [-2,7]", "[-2,7]", True),
        (r"x\le 5", r"(-\infty,5]", True),
        ("4210_{5}", "4210_5", True),
        ("1/2x", r"\frac{1}{2x}", True),
        ("5 cm", "5", True),
        ("gibberish words", "gibberish words", True),
        ("gibberish words", "other words", False),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{bmatrix}1\\2\end{bmatrix}", True),
        (r"\frac{1}{2}\%", "0.005", True),
    ],
)
def test_what_is_not_read_exactly_is_computed(
    verifier: Verifier, one: str, other: str, equal: bool
) -> None:
    for answers in ((one, other), (other, one)):
        voted, _ = graded(verifier, boxed(*answers), "0")
        assert (len(voted.vote.clusters) == 1) is equal
        assert voted.vote.ungradable == ()


@pytest.mark.parametrize(
    ("answer", "response", "right"),
    [
        ("12", "so we get 12", True),
        ("12", "so we get 12, not 13", False),
        ("$\\frac{1}{2}$", "The answer is 1/2.", True),
        ("1/2", "hence $x = \\frac{1}{2}$ holds", True),
        ("0.75", "3/4", True),
        ("1500", "about 1,500 people", True),
        ("$28\\%$", "28 percent", True),
        ("$(1,2)$", "the point $(1, 2)$", True),
        ("7", r"I said \boxed{7}, or 8", True),
        ("$x^2+1$", "it is $1+x^2$", True),
        ("5", "no number at all", False),
        ("$2x + z = 1$", "$1$", False),
    ],
)
def test_an_answer_may_stand_anywhere(
    anywhere: Verifier, answer: str, response: str, right: bool
) -> None:
    voted, verdict = graded(anywhere, [response], answer)
    assert verdict.correct == (right,)
    assert (voted.vote.answers[0] is None) is (response == "no number at all")


def test_an_ungradable_answer_neither_votes_nor_earns(verifier: Verifier) -> None:
    voted, verdict = graded(verifier, boxed(BOMB, "7", BOMB, "7.0", BOMB), "7")
    assert voted.vote.clusters == ((1, 3),)
    assert voted.vote.ungradable == (0, 2, 4)
    assert voted.vote.majority_ratio == 2 / 5
    assert verdict.correct == (False, True, False, True, False)
    assert verdict.rewards == (0.0, 1.0, 0.0, 1.0, 0.0)
    assert verdict.ungradable == ()


def test_a_label_that_cannot_be_read_makes_no_answer_right_or_wrong(verifier: Verifier) -> None:
    voted, verdict = graded(verifier, boxed("7", "8"), BOMB)
    assert voted.vote.ungradable == ()
    assert (verdict.correct, verdict.ungradable) == ((False, False), (0, 1))


@pytest.mark.parametrize(
    "hostile",
    [
        BOMB,
        "{" * 10**6 + "1" + "}" * 10**6,
        "7" * 10**7,
        "__import__('os').system('touch rlavr_touched')",
        "\0\0\\frac{\0}{2}",
        "\ud800 \\sqrt{\udfff}",
        r"\def\x{\x\x}\x" + r"\expandafter" * 200,
        "(" * 400,
        r"\frac{" * 150 + "1" + "}{2}" * 150,
        "9!!!!!!",
        r"\begin{pmatrix}" + r"1&1\\" * 100 + r"\end{pmatrix}^{999}",
        "$" * 900,
        r"\int_0^1 \int_0^1 x^{y^{x^{y}}} dx dy",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile_answers_hurt_nobody(verifier: Verifier, anywhere: Verifier, hostile: str) -> None:
    for judge in (verifier, anywhere):
        start = time.monotonic()
        voted, verdict = graded(judge, [*boxed("7", hostile, "7.0"), hostile], "7")
        assert voted.vote.clusters[0] == (0, 2)
        assert verdict.correct[:3] == (True, False, True)
        # at most the CPU limit for each of the answers and comparisons, on a loaded machine too
        assert time.monotonic() - start < 10 * LIMITS.cpu_seconds * 12
    assert not any(Path(folder, "rlavr_touched").exists() for folder in (".", "/"))


def test_verdicts_and_clusters_agree_with_math_verify_on_a_mix_of_latex() -> None:
    problems = make_mix(11)
    _, expected = run_yardstick(problems)
    _, _, verdicts = run_ours(problems, workers=2)
    assert differences(problems, verdicts, expected) == []


FORMS = (
    r"\frac12",
    "0.5",
    r"50\%",
    "50",
    r"\sin^2 x",
    r"1-\cos^2 x",
    "x=5",
    "5",
    "y=5",
    "0.333333",
    r"\frac13",
    "0.3333333",
    "(1,2)",
    r"\{1,2\}",
    "[1,2)",
    "word",
    r"\text{word}",
    r"\ln 4",
    r"2\ln 2",
    "5 cm",
    r"5\text{ m}",
)


@settings(max_examples=60)
@given(
    answers=st.lists(st.sampled_from([*FORMS, None]), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
)
def test_clusters_partition_the_answers_whatever_their_order(
    verifier: Verifier, answers: list[str | None], order: random.Random
) -> None:
    def clusters(texts: list[str | None]) -> set[frozenset[int]]:
        given_texts = ["no box" if text is None else rf"\boxed{{{text}}}" for text in texts]
        voted, _ = graded(verifier, given_texts, "0")
        found = voted.vote.clusters
        assert sorted(itertools.chain(*found)) == [i for i, t in enumerate(texts) if t is not None]
        assert list(found) == sorted(found, key=lambda members: (-len(members), members[0]))
        return {frozenset(members) for members in found}

    shuffled = list(range(len(answers)))
    order.shuffle(shuffled)
    renamed = {
        frozenset(shuffled[i] for i in members)
        for members in clusters([answers[i] for i in shuffled])
    }
    assert renamed == clusters(answers)


@pytest.mark.parametrize(
    ("gold", "answers", "right"),
    [
        ("(3,4)", ["(4,3)", "3,4", "(3,4)"], [False, True, True]),
        (r"(2,\infty)", ["y>3", r"(2,\infty)", "x>2"], [False, True, True]),
        ("5x-7y=0", ["5x-7y=0", "0", "x+y=0"], [True, False, False]),
        (r"2:00\text{ p.m.}", [r"3:00\text{ p.m.}", r"2:00\text{ p.m.}"], [False, True]),
        ("10:00", ["11:00", "10:00"], [False, True]),
        ("0.28", ["28", r"28\%"], [False, True]),
        (r"1+i\sqrt{3}", [r"1+\sqrt3 i", r"1-\sqrt{3}i"], [True, False]),
        ("6-5i", [r"|6|-5i", "6-5 i"], [True, True]),
        (r"x \in [-2,7]", [r"-2\le x\le7", "[-2,7]", "(-2,7)"], [True, True, False]),
    ],
)
def test_an_answer_is_judged_alike_alone_and_among_others(
    verifier: Verifier, gold: str, answers: list[str], right: list[bool]
) -> None:
    _, together = graded(verifier, boxed(*answers), gold)
    alone = [graded(verifier, boxed(answer), gold)[1].correct[0] for answer in answers]
    assert list(together.correct) == alone == right


def test_no_answer_brings_two_unequal_ones_together(verifier: Verifier) -> None:
    for answers in (["(4,3)", "3,4", "(3,4)"], ["x+y=3", "3", "2x-y=3"], ["x=5", "5", "y=5"]):
        voted, _ = graded(verifier, boxed(*answers), "0")
        assert not any({0, 2} <= set(members) for members in voted.vote.clusters)


def test_the_cache_is_bounded_and_forgetting_changes_no_verdict(pool: GraderPool) -> None:
    equality = Equality(lambda: pool, cache_bytes=100_000)
    texts = [f"{n}!" for n in range(12)] + [str(n) for n in range(2000)]
    first = equality.read((LATEX, text) for text in texts)
    assert 40_000 < equality.cache_bytes <= 100_000
    pairs = [("same", (LATEX, "4!"), (LATEX, str(n))) for n in range(20, 30)]
    assert [
        n for n, told in zip(range(20, 30), equality.same(pairs).values(), strict=True) if told
    ] == [24]
    assert equality.cache_bytes <= 100_000
    again = equality.read((LATEX, text) for text in texts)
    assert again == first
    large = (LATEX, "x" * 200_000)
    equality.read([large])  # larger than the cache alone: answered, not kept
    assert equality.cache_bytes <= 100_000


def test_a_text_is_sent_to_a_grader_once(pool: GraderPool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Request] = []
    run = pool.run

    def listen(requests: list[Request]) -> list[Outcome]:
        asked.extend(requests)
        return run(requests)

    monkeypatch.setattr(pool, "run", listen)
    verifier = Verifier()
    verifier.equality = Equality(lambda: pool)
    for _ in range(3):
        graded(verifier, boxed(r"\ln 4", r"2\ln 2", r"\ln 4", "7"), r"\ln 4")
    assert len(asked) == len(set(asked))
    assert {request[0] for request in asked} == {"read", "same", "matches"}


LATEX_PIECES = st.sampled_from(
    [
        "1",
        "2",
        "9",
        "0.5",
        "x",
        "i",
        "+",
        "-",
        "=",
        "^",
        "_",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ",",
        "\\frac",
        "\\sqrt",
        "\\sin",
        "\\log",
        "\\sum",
        "\\int",
        "\\pi",
        "\\infty",
        "\\cup",
        "\\le",
        "\\text{",
        "\\begin{pmatrix}",
        "\\end{pmatrix}",
        "\\\\",
        "&",
        "$",
        "\\boxed{",
        "!",
        "\\%",
        " ",
        "\\left",
        "\\right",
        "\\binom",
        "\\cdot",
        "/",
        "\n",
        "the answer is ",
        "\0",
        "\ud83d",
    ]
)
FUZZ = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(codec=None, categories=None), max_size=40),
    st.lists(LATEX_PIECES, max_size=14).map("".join),
)


FUZZED: list[int] = []


@settings(max_examples=550, database=None)
@given(texts=st.lists(FUZZ, min_size=20, max_size=20))
def _grade_random_texts(verifier: Verifier, anywhere: Verifier, texts: list[str]) -> None:
    for judge, responses in ((verifier, boxed(*texts[:10])), (anywhere, texts[10:])):
        rows = [[r"\boxed{7}", *responses[k : k + 5]] for k in range(0, len(responses), 5)]
        rollouts = [[rollout(text, sample=i) for i, text in enumerate(row)] for row in rows]
        prompts = [prompt(f"p{k}") for k in range(len(rows))]
        groups = judge.vote(prompts, rollouts)
        verdicts = judge.grade(groups, {p.id: "7" for p in prompts})
        assert all(verdicts[p.id].correct[0] for p in prompts)
    FUZZED.append(len(texts))


def test_ten_thousand_random_texts_are_graded_without_harm(
    verifier: Verifier, anywhere: Verifier
) -> None:
    _grade_random_texts(verifier, anywhere)
    assert sum(FUZZED) >= 10_000
    assert len(verifier.equality.pool.pids) == 2


def test_coverage_guided_fuzzing_finds_nothing_in_the_trainers_own_readers(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    for i, text in enumerate((*FORMS, r"so \boxed{\frac{1}{2}}", "<answer>A is a knight</answer>")):
        (seeds / str(i)).write_text(text)
    done = command("tests.fuzz.answers", "-runs=10000", "-max_len=300", "-seed=1", str(seeds))
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 10000 runs" in done.stderr
