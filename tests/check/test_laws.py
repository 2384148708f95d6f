"""Laws: names are resolved and calls checked; whether they hold is another matter."""

from __future__ import annotations

from tests.support.checking import body, codes
from tts_lang.compiler import check_source, compile_law_side
from tts_lang.laws.decide import LawChecker
from tts_lang.laws.statements import title
from tts_lang.laws.verdicts import Verdict
from tts_lang.source import Source
from tts_lang.syntax import nodes

MAJORITY = body("return vote (sample n)", header="strategy majority(n = 16):")
ONE = body("return sample 1", header="strategy one():")
BEAMS = body(
    "pool = sample n",
    "return vote (select top n/width of pool by logprob)",
    header="strategy beams(n = 16, width = 4):",
)


def test_arguments_are_values_or_free_names() -> None:
    text = BEAMS + MAJORITY + 'law beams(n, width = 1) == majority(n):\n    """Said so."""\n'
    result = check_source(Source.of(text, "laws.tts"))
    assert result.diagnostics == ()
    (law,) = result.laws
    assert law.free_names == ("n",)
    assert law.document == "Said so."
    assert (law.left.strategy, dict(law.left.arguments), dict(law.left.free)) == (
        "beams",
        {"width": 1},
        {"n": nodes.Name("n")},
    )
    assert (law.right.strategy, dict(law.right.free)) == ("majority", {"n": nodes.Name("n")})


def test_defaults_fill_in() -> None:
    result = check_source(Source.of(MAJORITY + ONE + "law majority() == one()\n", "laws.tts"))
    assert dict(result.laws[0].left.arguments) == {"n": 16}


def test_a_call_that_does_not_fit_is_an_error() -> None:
    assert codes(MAJORITY + ONE + "law majority(width = 2) == one()\n") == ["TTS403"]
    assert codes(MAJORITY + "law majority(1) == two()\n") == ["TTS201"]
    assert codes(MAJORITY + ONE + "law majority(0) == one()\n") == ["TTS301"]


def test_a_law_about_what_is_no_strategy() -> None:
    assert codes("scorer orm\n" + ONE + "law orm() == one()\n") == ["TTS216"]


def test_arguments_may_calculate_with_free_names() -> None:
    law = "law beams(n = a * b, width = b) == majority(n = max(a, 1) + 2)\n"
    result = check_source(Source.of(BEAMS + MAJORITY + law, "laws.tts"))
    assert result.diagnostics == ()
    (checked,) = result.laws
    assert checked.free_names == ("a", "b")
    assert title(checked) == law.removeprefix("law ").strip()
    values = [
        compile_law_side(side, {"a": 3, "b": 2}).parameters
        for side in (checked.left, checked.right)
    ]
    assert values == [{"n": 6, "width": 2}, {"n": 5}]
    assert codes(MAJORITY + "law majority(n = foo(n)) == majority(n)\n") != []
    assert codes(MAJORITY + "law majority(n = n + tokens) == majority(n)\n") == ["TTS207"]


def test_laws_with_arithmetic_are_proved() -> None:
    parts = body("return vote ((sample a) + (sample b))", header="strategy parts(a = 1, b = 1):")
    text = parts + MAJORITY + "law parts(a, b) == majority(n = a + b)\n"
    (law,) = check_source(Source.of(text, "laws.tts")).laws
    assert LawChecker().law(law, "").verdict is Verdict.PROVED
