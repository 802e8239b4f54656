"""Answers read exactly: what is equal, what is not, and what is left to computer algebra."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlavr_hpc.answers.exact.compare import equal_exactly, equal_to_known
from rlavr_hpc.answers.exact.polynomial import Value
from rlavr_hpc.answers.exact.polynomial_text import read_value
from rlavr_hpc.answers.exact.read import read_exact


def compare(one: str, other: str) -> bool | None:
    first, second = read_exact(one), read_exact(other)
    assert first is not None, one
    assert second is not None, other
    forward, backward = equal_exactly(first, second), equal_exactly(second, first)
    assert forward is backward, "equality is symmetric"
    return forward


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("42", "42.0"),
        ("007", "7"),
        ("1/2", "0.5"),
        (r"\frac{1}{2}", ".5"),
        (r"\dfrac12", "1/2"),
        (r"\frac3{4}", r"\tfrac{6}{8}"),
        (r"12\frac{3}{5}", "12.6"),
        (r"-1\frac12", "-1.5"),
        (r"50\%", "0.5"),
        ("1,234", "1234"),
        (r"10{,}000", "10000"),
        (r"10\,000", "10000"),
        (r"11,\! 111,\! 100", "11111100"),
        (r"\$32,\!348", "32348"),
        ("x = 5", "5"),
        ("f(x) = x^2", "x^2"),
        (r"2\sqrt{3}", r"\sqrt{12}"),
        (r"\frac{1}{\sqrt2}", r"\frac{\sqrt{2}}{2}"),
        (r"\sqrt{\frac{1}{4}}", "0.5"),
        ("(x+1)^2", "x^2+2x+1"),
        ("(1+i)^2", "2i"),
        (r"\frac{1}{i}", "-i"),
        ("x^{-1}", r"\frac{1}{x}"),
        (r"\frac{3\pi}{6}", r"\pi/2"),
        (r"2 \times 10^{3}", "2000"),
        (r"90^\circ", r"90^{\circ}"),
        (r"5 \text{ cm}", r"5\mathrm{ cm}^2"),
        (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\pi/2)"),
        (r"\{2, 1\}", r"\{1,2,2\}"),
        ("2,1", "1, 2"),
        (r"(-\infty, 5]", r"\left(-\infty,5\right]"),
        (r"(0,9) \cup (9,36)", r"(0,9)\cup(9,36)"),
        (r"3 \pm 2\sqrt2", r"3\pm\sqrt{8}"),
        (r"\begin{pmatrix} 1 \\ -2 \end{pmatrix}", r"\begin{pmatrix}1\\-2.0\end{pmatrix}"),
        (r"\text{Evelyn}", r"\mathrm{evelyn}"),
        (r"x = \text{yes}", r"\text{ Yes }"),
        ("7.", "$7$"),
        (r"36\$", "36"),
        (r"\[5\]", "=5"),
        (r"\approx 326.5", "326.5"),
        (r"{\bf 5}", r"\text{5 }"),
        ("90\u00b0", "90"),
        (r"28\text{ percent}", r"28\%"),
        (r"3 \text{ million}", r"3{,}000{,}000"),
        (r"10{,}000\pi", r"10000\pi"),
        (r"0.1\overline{6}", r"\frac16"),
        (r"6 - 5\mathrm{i}", "6-5 i"),
        ("3.2e6", "3200000"),
        ("2516_8", r"2516_{\text{8}}"),
        (r"\begin{pmatrix}1\\[1ex]2\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"),
        (r"\bigl(1,2\bigr)", "(1,2)"),
        (r"\text{Evelyn.}", r"\textbf{Evelyn}"),
        (r"5\text{ cm}", r"5\text{ m}"),  # units are ignored
        (r"15\mbox{ cm}^2", "15 cm^2"),
        ("42 square units", "42"),
        (r"137 \frac{1}{2}", "137 1/2"),
        (r"10,\!080", "10 080"),
        ("5!", "120"),
        ("2^{65}", "36893488147419103232"),
        ("abc", "cba"),
        (r"10\text{ and }13", "13, 10"),
        (r"[0,1]\cup[1,2]", "[0,2]"),
        (r"(2,3)\cup(0,1)", r"(0,1)\cup(2,3)"),
        ("1" * 5000, "1" * 5000),
        (r"x<-1\text{ or }x>1", r"(-\infty,-1)\cup(1,\infty)"),
        ("a>b>c", "c<b<a"),
        (r"\text{True}", "yes"),
    ],
)
def test_equal_answers_have_one_form(one: str, other: str) -> None:
    assert compare(one, other) is True


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2", "3"),
        ("-3", "3"),
        ("123456789012345678901", "123456789012345678902"),
        ("1/3", "1/4"),
        ("0.5", "0.6"),
        (r"\sqrt2", r"\sqrt3"),
        ("x+1", "x+2"),
        ("(1,2)", "(2,1)"),
        ("[1,2)", "[1,3)"),
        (r"\{1,2\}", r"\{1,3\}"),
        (r"(0,1)\cup(2,3)", r"(0,1)\cup(2,4)"),
        (r"\text{yes}", r"\text{no}"),
        (r"28\%", "28"),
        (r"(-\infty,1)", r"(\infty,1)"),
        ("x=5", "6"),
        (".0000672", "0.0000673"),
        ("52_8", "52_9"),
        (r"9\text{ a.m.}", r"9\text{ p.m.}"),
        (r"10\%\text{ increase}", r"10\%\text{ decrease}"),
        (r"2\text{ hours }30\text{ minutes}", r"2\text{ hours }45\text{ minutes}"),
    ],
)
def test_unequal_answers_are_told_apart(one: str, other: str) -> None:
    assert compare(one, other) is False


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.333333", "1/3"),  # rounded
        ("3.14159", r"\pi"),
        ("x", "y"),  # may be a unit, or a name
        ("x=5", "y=5"),
        ("(1,2)", r"\{1,2\}"),
        ("[1,2)", "(1,2)"),
        ("1", r"\text{one}"),
        (r"\{0.33, 1\}", r"\{1/3, 1\}"),
    ],
)
def test_what_is_doubtful_is_left_to_computer_algebra(one: str, other: str) -> None:
    assert compare(one, other) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "()",
        "1/2x",
        r"3\cdot2\frac12",
        "0,500",
        r"(1\pm\sqrt2,3)",
        "2e3+1",
        "5 m",
        "f(x)",
        "x(x+1)",
        "(1,234)",
        "2^10",
        r"\sqrt{x}",
        r"\sin x",
        "x_1",
        r"\sqrt[3]{8}",
        "x=y=1",
        r"\frac{1}{1+\sqrt2}",
        "1/0",
        r"(a+b+c+d+e)^{20}",
        "9^{9^{9^9}}",
        "²",
        "1 2",
        "(" * 60 + "1" + ")" * 60,
        "x" + "1" * 200,
        "x^{y}",
        r"\begin{pmatrix}1&2\\3\end{pmatrix}",
        "{}",
        r"\frac{}{}",
        "--1",
        "1+",
        "%",
        r"x\%",
        "0^{0}",
        r"\sqrt{-1}",
        r"\sqrt{1234577}",
        "((1)",
        "1)(2",
        r"(\pm 3)",
    ],
)
def test_doubtful_hostile_and_foreign_notations_are_not_read(text: str) -> None:
    assert read_exact(text) is None


@pytest.mark.parametrize(
    ("answer", "known", "right"),
    [
        (r"28\%", "28", True),
        ("28", r"28\%", True),
        (r"28\%", "0.28", True),
        ("28", "0.28", False),
        (r"28\%", r"28\%", True),
        (r"28\%", "30", False),
        (r"0.15\%", "0.15", False),
        (r"0.12\%", r"12\%", False),
    ],
)
def test_against_a_known_answer_a_percent_sign_may_be_left_out(
    answer: str, known: str, right: bool
) -> None:
    first, second = read_exact(answer), read_exact(known)
    assert first is not None
    assert second is not None
    assert equal_to_known(first, second) is right


NUMBERS = st.integers(-200, 200)


@given(n=NUMBERS, d=st.integers(1, 50), m=NUMBERS, e=st.integers(1, 50))
def test_fractions_compare_as_fractions_do(n: int, d: int, m: int, e: int) -> None:
    assert compare(rf"\frac{{{n}}}{{{d}}}", f"{m}/{e}") is (Fraction(n, d) == Fraction(m, e))


def at(value: Value, x: Fraction) -> Fraction:
    total = Fraction(0)
    for (radicand, imaginary, letters), coefficient in value.items():
        assert (radicand, imaginary) == (1, 0)
        total += coefficient * x ** dict(letters).get("x", 0)
    return total


LEAVES = st.one_of(
    st.integers(0, 9).map(lambda n: (str(n), lambda _: Fraction(n))),
    st.just(("x", lambda x: x)),
    st.tuples(st.integers(0, 9), st.integers(1, 9)).map(
        lambda nd: (rf"\frac{{{nd[0]}}}{{{nd[1]}}}", lambda _: Fraction(*nd))
    ),
)


def grown(parts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    pairs = st.tuples(parts, parts)
    return st.one_of(
        pairs.map(lambda p: (f"({p[0][0]}) + ({p[1][0]})", lambda x: p[0][1](x) + p[1][1](x))),
        pairs.map(lambda p: (f"({p[0][0]}) - ({p[1][0]})", lambda x: p[0][1](x) - p[1][1](x))),
        pairs.map(lambda p: (f"({p[0][0]})({p[1][0]})", lambda x: p[0][1](x) * p[1][1](x))),
        pairs.map(lambda p: (rf"({p[0][0]}) \cdot ({p[1][0]})", lambda x: p[0][1](x) * p[1][1](x))),
        parts.map(lambda p: (f"({p[0]})^2", lambda x: p[1](x) ** 2)),
        parts.map(lambda p: (f"-({p[0]})", lambda x: -p[1](x))),
        parts.map(lambda p: (rf"\frac{{{p[0]}}}{{3}}", lambda x: p[1](x) / 3)),
    )


@settings(max_examples=300)
@given(expression=st.recursive(LEAVES, grown, max_leaves=6), n=st.integers(-9, 9))
def test_polynomials_have_the_value_of_the_expression_they_are_read_from(expression, n) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    text, calculate = expression
    if text.count("(") > 14:  # deeper than is read
        return
    value = read_value(text.replace(r"\cdot", "*"))
    assert at(value, Fraction(n, 7)) == calculate(Fraction(n, 7))


PIECES = st.sampled_from(
    [
        "1",
        "23",
        "0",
        ".",
        ",",
        "x",
        "i",
        "e",
        "+",
        "-",
        "/",
        "^",
        "_",
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "\\frac",
        "\\sqrt",
        "\\pi",
        "\\%",
        "%",
        "\\pm",
        "\\cup",
        "\\{",
        "\\}",
        "\\\\",
        "&",
        "=",
        " ",
        "\\infty",
        "\\text{",
        "\\begin{pmatrix}",
        "\\end{pmatrix}",
        "\\left",
        "\\right",
        "$",
        "!",
    ]
)


@settings(max_examples=3000)
@given(text=st.one_of(st.text(max_size=250), st.lists(PIECES, max_size=25).map("".join)))
def test_any_text_is_read_or_left_alone(text: str) -> None:
    form = read_exact(text)
    if form is not None:
        hash((form.shape, form.items))
        assert equal_exactly(form, form) is True


def test_the_work_for_one_text_is_bounded() -> None:
    factors = "".join(rf"(1+\sqrt{{{n}}})" for n in (2, 3, 5, 7, 11, 13))
    assert read_exact(f"({factors})^{{64}}") is None
