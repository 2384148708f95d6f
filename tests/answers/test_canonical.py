"""The vote's equality (C42): what is one class, what is not, and what never hangs or raises."""

import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tts_runtime.answers import AnswerKind, canonical, canonical_form

RUNTIME = Path(__file__).resolve().parents[2] / "runtime"

ONE_CLASS = (
    (r"\frac{1}{2}", "1/2", "0.5", r"\dfrac12", ".5", r"\tfrac 12", "+1/2", "½", "2^{-1}"),
    ("1,000", "1000", "1{,}000", r"1,\!000", r"1\,000", "1000.", "$1000$", r"\$1,000", "1e3"),
    ("5", "x=5", "x = 5.", "5.0", r"\boxed{5}", "{5}", "(5)", r"\text{5}", "= 5", "\\$5"),
    ("18", r"\$18", "18 dollars", r"18 \text{ cm}^2", "18cm", r"18^\circ", r"18\%", "18 degrees"),
    (r"(3, \frac{\pi}{2})", r"\left( 3, \pi/2 \right)", "(3,pi/2)", r"(3,\frac\pi2)"),
    (r"\text{Evelyn}", "Evelyn", "evelyn.", r"\mathrm{Evelyn}"),
    (r"2\sqrt{3}", r"\sqrt{12}", "2√3", "2*sqrt(3)", r"\frac{6}{\sqrt3}"),
    (r"3\pi/2", r"\frac{3\pi}{2}", r"1.5\pi", "3π/2"),
    ("x^2+2x+1", "(x+1)^2", "1+2x+x^2", "x**2 + 2*x + 1"),
    (r"\{1,2\}", "2, 1", r"1 \text{ and } 2", "1 or 2", "x=1,x=2", r"x \in \{2, 1, 2\}"),
    ("[-2,7]", r"x \in [-2,7]", r"-2 \le x \le 7", r"7 \geq x \geq -2"),
    (r"(2,\infty)", "x>2", "2<x"),
    (r"\begin{pmatrix} -1/3 \\ 2 \end{pmatrix}", r"\begin{bmatrix} -\frac13\\2.0 \end{bmatrix}"),
    ("y=2x+3", "2x-y+3=0", "2y = 4x + 6"),
    (r"1 \pm \sqrt{19}", r"1-\sqrt{19}, 1+\sqrt{19}", r"x=1\pm\sqrt{19}"),
    (r"\frac{1}{1+\sqrt2}", r"\sqrt{2}-1"),
    (r"\sqrt{3+2\sqrt{2}}", r"1+\sqrt2"),
    (r"137 \frac{1}{2}", "137.5", "275/2", "137 1/2"),
    (r"\frac{x^2-1}{x-1}", "x+1"),
    (r"\log_2 8", "3", "(1+2)", "3!/2", r"\binom{3}{2}"),
    ("2(3)", "(2)(3)", "6"),
    (r"(1+i)(1-i)", "2"),
    (r"\sqrt[3]{-8}", "-2"),
    (r"(0,9) \cup (9,36)", r"(9,36)\cup(0,9)"),
    (r"\emptyset", r"\varnothing", r"\{\}"),
    ("no solution", "No  Solution."),
)
DIFFERENT = (
    ("5", "-5", "1/5", "5x", "5^{2}", r"5\%x"),
    ("(1,2)", "(2,1)", "[1,2]", "(1,2]", r"\{1,2\}", "12"),
    ("52_8", "52_9", "52", "42"),
    ("100,200", "100, 200"),
    ("x=1,y=2", "x=2,y=1"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}"),
    ("10 am", "10 pm", "10"),
    (
        "5 million",
        "5",
        "5 m\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}llion",
        "5 gro\u017fs",
    ),
    ("x>2", r"x\ge 2", "x<2"),
    ("C", "c"),
    ("3 4", "7", "34"),
    (r"\frac{1}{0}", r"0^0", "0", "1"),
    (r"9^{9^{9}}", r"9^{9^{8}}"),
    ("x", "y", "xy"),
)
TOO_HARD = (
    "9^{9^{9}}",
    "2^{100000}!",
    "(x+1)^{1000}",
    "(x+y+z+w)^{60}",
    r"\frac{x^{1000000}-1}{x-1}",
    r"\sqrt{" * 30 + "2" + "}" * 30,
    r"\int_0^\infty e^{-x^{100}}dx",
    r"\operatorname{eig}(A)",
    r"e^{e^{e^{e^x}}}",
    r"\sqrt[4]{\log_{\log_{i!}(y)}(2e\sqrt{3})}",
    r"\sin(9^{600})",
    "(100!)!",
    r"\binom{10^{30}}{10^{15}}",
    "x^{99999999999999999999}",
    "(" * 5000 + "1" + ")" * 5000,
    "{" * 50_000,
    r"\boxed{" * 3000,
    r"\frac" * 180,
    "1," * 450,
    "1/" + "7" * 5000,
    "0." + "1" * 100_000,
)


@pytest.mark.parametrize("answers", ONE_CLASS, ids=lambda answers: answers[0])
def test_rewritings_are_one_class(answers: tuple[str, ...]) -> None:
    assert len({answer: canonical(answer) for answer in answers}) == len(answers)
    assert {canonical(answer) for answer in answers} == {canonical(answers[0])}


@pytest.mark.parametrize("answers", DIFFERENT, ids=lambda answers: answers[0])
def test_different_answers_are_different_classes(answers: tuple[str, ...]) -> None:
    assert len({canonical(answer) for answer in answers}) == len(answers)


@pytest.mark.parametrize("answer", TOO_HARD, ids=lambda answer: answer[:30])
def test_c42_too_hard_compares_as_text(answer: str) -> None:
    form = canonical_form(answer)
    assert form.kind is AnswerKind.TEXT
    assert form.fallback
    assert canonical(form.key) == form.key
    assert canonical(f" {answer}\n") == form.key


def test_kinds_tell_parsed_answers_from_text() -> None:
    kinds = [canonical_form(answer).kind for answer in ("0.5", r"\sqrt8", "Evelyn")]
    assert kinds == [AnswerKind.NUMBER, AnswerKind.EXPRESSION, AnswerKind.TEXT]
    assert not canonical_form("Evelyn").fallback
    assert canonical_form(r"x \equiv 3 \pmod 4").fallback


def test_integers_of_any_length_are_numbers() -> None:
    assert canonical("00" + "9" * 20_000) == "9" * 20_000


TOKENS = re.findall(
    r"\S+",
    r"\frac \sqrt { } ( ) [ ] ^ _ 2 9 x \pi \pm , \{ \} \text{ \left \right ! | = < \cup & \\ "
    r"\begin{pmatrix} \end{pmatrix} \circ \% \$ and \in i 0 . / \log",
)
rationals = st.fractions(min_value=-(10**6), max_value=10**6, max_denominator=10**4)
atoms = st.sampled_from(["x", "y", r"\pi", r"\sqrt{2}", r"\sqrt{12}", "2", "3", "7", "0.5", "i"])
expressions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: f"({two[0]}+{two[1]})"),
        st.tuples(inner, inner).map(lambda two: rf"({two[0]})\cdot({two[1]})"),
        st.tuples(inner, inner).map(lambda two: rf"\frac{{{two[0]}}}{{{two[1]}}}"),
        inner.map(lambda one: rf"({one})^{{2}}"),
        inner.map(lambda one: rf"\sqrt{{{one}}}"),
    ),
    max_leaves=4,
)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(rationals)
def test_every_notation_of_a_fraction_is_one_class(value: Fraction) -> None:
    top, bottom = value.numerator, value.denominator
    sign = "-" if top < 0 else ""
    forms = {
        canonical(f"{top}/{bottom}"),
        canonical(rf"\frac{{{top}}}{{{bottom}}}"),
        canonical(rf"{sign}\dfrac{{{abs(top)}}}{{{bottom}}}"),
        canonical(rf"$ {sign}\tfrac {{{3 * abs(top)}}}{{{3 * bottom}}} $."),
    }
    assert forms == {str(value)}


@settings(deadline=None, derandomize=True, max_examples=200)
@given(st.integers(-(10**9), 10**9), st.integers(0, 6))
def test_every_notation_of_a_decimal_is_one_class(digits: int, places: int) -> None:
    value = Fraction(digits, 10**places)
    plain = f"{'-' if digits < 0 else ''}{abs(digits) // 10**places}"
    decimals = f".{abs(digits) % 10**places:0{places}d}" if places else ""
    grouped = f"{abs(digits) // 10**places:,}"
    for text in (
        plain + decimals,
        plain + (decimals or ".") + "00",
        ("-" if digits < 0 else "") + grouped + decimals,
        ("-" if digits < 0 else "") + grouped.replace(",", r",\!") + decimals,
        f"{digits}e-{places}",
    ):
        assert canonical(text) == str(value)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(expressions)
def test_layout_does_not_matter_and_forms_are_stable(expression: str) -> None:
    form = canonical(expression)
    assert canonical(form) == form
    spaced = "".join(character + (r"\, " if character in "+(" else "") for character in expression)
    assert canonical(spaced) == form
    assert canonical(expression.replace("(", r"\left(").replace(")", r"\right)")) == form
    assert canonical(expression.replace(r"\frac", r"\dfrac")) == form
    assert canonical(f"$${expression}$$") == form
    assert canonical(rf"\boxed{{ {expression} }}.") == form


@settings(deadline=None, derandomize=True, max_examples=300)
@given(
    st.one_of(
        st.text(max_size=60),
        st.text(alphabet="0123456789+-*/^_{}()[]\\|!,.=<> $%xyi", max_size=40),
        st.lists(
            st.sampled_from(TOKENS),
            max_size=14,
        ).map("".join),
        st.binary(max_size=40).map(lambda raw: raw.decode("utf-8", errors="surrogateescape")),
    )
)
def test_anything_has_a_stable_form(answer: str) -> None:
    form = canonical(answer)
    assert canonical(form) == form
    assert canonical_form(answer).key == form


SCRIPT = """
import sys
import tts_runtime.answers as answers
assert answers.canonical("\\\\frac{2}{4}") == answers.canonical("0.50") == "1/2"
assert answers.canonical("1,234") == "1234"
slow = {"sympy", "torch"} & set(sys.modules)
assert not slow, slow
for text in ("(b+a)(c+d)/e", "x/y+y/x", "\\\\sqrt2+\\\\sqrt3+\\\\pi", "z,y,x", "2a-3b=c-d"):
    print(answers.canonical(text))
"""


def test_plain_numbers_need_no_sympy_and_hash_seeds_change_nothing() -> None:
    outputs = set()
    for seed in ("0", "7"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(RUNTIME)}
        process = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True
        )
        assert process.returncode == 0, process.stderr
        outputs.add(process.stdout)
    assert len(outputs) == 1


@pytest.mark.parametrize("lost", ["\x0crac{1}{2}", "\x08oxed{1/2}", "$\x0crac12$"])
def test_a_command_whose_backslash_was_read_as_an_escape(lost: str) -> None:
    assert canonical(lost) == canonical("1/2")
