"""Regular expressions in linear time, and numbers in texts (C76)."""

from __future__ import annotations

import re
from math import inf
from random import Random

import pytest

from tests.support.checking import body, codes
from tests.support.runs import says
from tts_lang.regex import MOST_STEPS, RegexError, compiled, escaped
from tts_lang.values import apply
from tts_runtime.engines.matching import Matcher

ATOMS = ("a", "b", "c", ".", r"\d", "[ab]", "[^a]", r"\w", "1", "[a-c1]", r"\.")
PLACES = (r"\b", "^", "$")
REPEATS = ("*", "+", "?", "{1,2}", "{2}", "{1,}", "*?", "+?", "??")


def pattern(random: Random, depth: int = 0) -> str:
    """An expression that repeats only what is not empty: there all matchers agree."""
    chance = random.random()
    if depth > 3 or chance < 0.35:
        return random.choice(ATOMS)
    if chance < 0.6:
        place = random.choice(["", *PLACES])
        return pattern(random, depth + 1) + place + pattern(random, depth + 1)
    if chance < 0.7:
        return f"(?:{pattern(random, depth + 1)}|{pattern(random, depth + 1)})"
    if chance < 0.8:
        return f"({pattern(random, depth + 1)})"
    return f"{random.choice(ATOMS)}{random.choice(REPEATS)}"


def test_c76_finds_what_a_backtracking_search_finds() -> None:
    random = Random(1)
    found = 0
    for _ in range(3000):
        text = "".join(random.choice("abc1 .") for _ in range(random.randint(0, 12)))
        written = pattern(random)
        match = re.search(written, text, re.ASCII)
        wanted = None if match is None else match[min(1, match.re.groups)]
        assert compiled(written).extract(text) == wanted, (written, text)
        found += match is not None
    assert 1000 < found < 2900


def test_c76_time_is_linear_where_backtracking_takes_for_ever() -> None:
    assert compiled("(a|a)*b").extract("a" * 3000) is None
    assert compiled("(x+x+)+y").extract("x" * 3000) is None
    longest = "a{0,100}" * 4 + "b"
    assert compiled(longest).extract("a" * (MOST_STEPS // 100)) is None


@pytest.mark.parametrize(
    ("written", "text", "found"),
    [
        (r"Score: (\d+)", "Score: 7, Score: 8", "7"),
        (r"(?s).*Score: (\d+)", "Score: 7\nScore: 8", "8"),
        (r"(?i)answer is (\w+)", "The Answer Is B.", "B"),
        (r"(?m)^- (.+)$", "a\n- one\n- two", "one"),
        (r"[\]\-x]+", "a]-x", "]-x"),
        (r"\\boxed\{(.*?)\}", r"\boxed{4}, \boxed{5}", "4"),
        ("a|(b)", "a", None),
    ],
)
def test_c76_expressions_as_people_write_them(written: str, text: str, found: str | None) -> None:
    assert compiled(written).extract(text) == found


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (r"(a)\1", "time would not be linear"),
        ("(?=a)", "time would not be linear"),
        ("(?P<n>a)", "time would not be linear"),
        ("(a", "a `)` is missing"),
        ("a)", "a `)` too many"),
        ("*a", "nothing before `*`"),
        ("[a", "ends too early"),
        ("[z-a]", "`z-a` is no range"),
        ("a{2", "after `{` stand"),
        ("a{3,2}", "repeats go up"),
        (r"\q", "has no meaning"),
        ("((a{50}){50}){50}", "too long"),
    ],
)
def test_c76_what_cannot_be_used_is_told(written: str, said: str) -> None:
    with pytest.raises(RegexError, match=re.escape(said)):
        compiled(written)
    source = written.replace("\\", "\\\\")
    text = body(f'let k of p = extract("{source}", text)', "return best of p by index")
    assert codes(text.replace("    let", "    p = sample n\n    let")) == ["TTS302"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((" 12 ", 12), ("-1,234.5", -1234.5), (".5e-1", 0.05), ("45%", 0.45), ("200%", 2)),
        *(
            ("\u22123", -3),
            ("1,23", None),
            ("", None),
            ("%", None),
            ("twelve", None),
            ("1e999", None),
        ),
        *(("1e999", None), ("7/10", None), ("9" * 400, None), ("9" * 2000, None)),
    ],
)
def test_c76_a_number_is_all_of_a_text(text: str, value: float | None) -> None:
    found = apply("number", [text])
    assert found == value
    assert type(found) is type(value)


def test_c76_what_a_candidate_says_can_decide() -> None:
    outcome = says(
        ["Sure: 20%, a", "no number", "Sure: 90%, b"],
        "pool = sample 3",
        'let sure of pool = number(extract("Sure: ([0-9]+%)", text))',
        "pool = best of pool by sure",
        'force "!" into pool',
        "return pool",
    )
    forced = [record for record in outcome.candidates if record.op == "force"]
    assert [record.before for record in forced] == [3]


def test_c76_texts_have_an_order() -> None:
    outcome = says(
        ["b", "", "B", "ba", "\U0001f600", "\xe9"],
        "pool = sample 6",
        'pool = first of (pool where text >= "b" and text < "c" and not text <= "b")',
        'force "!" into pool',
        "return pool",
    )
    assert [each.before for each in outcome.candidates if each.op == "force"] == [4]
    ordered = ["", "B", "b", "ba", "\xe9", "\uffff", "\U0001f600"]
    for one, left in enumerate(ordered):
        for other, right in enumerate(ordered):
            assert apply("<", [left, right]) == (one < other)
            assert apply(">=", [left, right]) == (one >= other)
    assert apply("<", ["a", None]) is False
    assert codes(body("p = sample 1", "return first of (p where text < 3)")) == ["TTS206"]


# ------------------------------------------------------------------------------ all of a text

#: Expressions that Python's `re` reads as ours does, for texts of `_ALPHABET`.
_FORMS = (
    *(
        "a",
        "a|ab|",
        "[ab]*c",
        "(a|b){2,3}",
        "[^a]+",
        "a.c",
        "(?s)a.c",
        "(?i)AB",
        r"\d\w\s",
        r"[\d\s]",
    ),
    *(r"\D\W\S", "[]a]", "[^]a]", "[a\\-c]", "[a-]", "[-a]", "[&~[|]{1,2}", r"\.\*\[", "/", "#b c"),
    *(r"[\w-]+", "a{0}b", "(a?b??)*", r"[+--]", r"[\n-\r]", "\xe9|\u0430", '"a"', "[a&&b]"),
)
_ALPHABET = 'abcAB0 \n./*[]&~-+,|#"_\xe9\u0430\u0663'


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of sets in classes
@pytest.mark.parametrize("form", _FORMS)
def test_c77_a_text_matches_as_a_whole(form: str) -> None:
    """By our machine, Python's, and the one that masks tokens, one character after another."""
    random = Random(form)
    expected = re.compile(form, re.ASCII)
    tokenizer = _Characters()
    for _ in range(25):
        text = "".join(random.choices(_ALPHABET, k=random.randrange(5)))
        whole = expected.fullmatch(text) is not None
        assert compiled(form).matches(text) == whole, text
        assert not whole or len(text.encode()) <= compiled(form).longest, text
        matcher = Matcher(form, tokenizer, frozenset({0}))
        drawn: list[int] = []
        for token in [*tokenizer.encode(text), 0]:
            allowed = token not in matcher.forbidden(drawn)
            drawn.append(token)
            if not allowed:
                break
        assert allowed == whole, text


@pytest.mark.parametrize(
    ("form", "size"),
    [
        *(("", 0), ("a|bcd?", 3), ("(a{2,3}b){1,2}", 8), (r"[A-D]|\d\s", 2), ("(a*){0}b", 1)),
        *(
            ("()*a", 1),
            ("((?:)+?|b)c", 2),
            ("\xe9[a-\u4e00]", 5),
            ("[^a]|b", 4),
            (".", 4),
            ("(?i)k", 4),
        ),
        *(("a*", inf), ("a+?b", inf), ("(b|(c?d)*)?", inf), ("a{2,}", inf), ("(()|a)*", inf)),
    ],
)
def test_longest_text_that_matches_is_known_in_bytes(form: str, size: float) -> None:
    assert compiled(form).longest == size


@pytest.mark.parametrize(
    "text", ["a.b", "A|B", "\n\t\0", "[x]-{2}", "\\", "\xe9 \u0430", "^$", '"']
)
def test_c77_an_escaped_text_matches_itself_alone(text: str) -> None:
    assert compiled(escaped(text)).matches(text)
    assert not compiled(escaped(text)).matches(text + text)
    assert not compiled(escaped(text)).asserts


class _Characters:
    """Token 0 ends a text; the others are the characters of the alphabet."""

    fingerprint = "characters"
    pieces = (b"", *(each.encode() for each in _ALPHABET))

    def encode(self, text: str) -> tuple[int, ...]:
        """The places of a text's characters."""
        return tuple(_ALPHABET.index(each) + 1 for each in text)
