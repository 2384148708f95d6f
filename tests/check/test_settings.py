"""Which strategy is meant, and values for its parameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.checking import body, compiled
from tts_lang import library
from tts_lang.compiler import (
    CompileError,
    compile_strategy,
    compile_with_warnings,
    locate,
    parameters_of,
    settings_of,
)
from tts_lang.plan.graph import Ask, Call, Expand, Plan, Score, operations
from tts_lang.source import Source

KINDS = body(
    "pool = sample n at temperature heat",
    "force phrase into pool",
    "pool = expand pool by 1",
    "score pool by prm",
    "pool = select top keep of pool by reduce(prm)",
    "return vote pool",
    header='strategy s(n = 4, heat = 0.5, keep = 50%, phrase = "Wait", reduce = last):',
)


def _codes(error: pytest.ExceptionInfo[CompileError]) -> list[str]:
    return [diagnostic.code for diagnostic in error.value.diagnostics]


def test_defaults_are_the_parameters_of_the_plan() -> None:
    assert dict(compiled(KINDS).parameters) == {
        "n": 4,
        "heat": 0.5,
        "keep": 0.5,
        "phrase": "Wait",
        "reduce": "last",
    }


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("n", 64, 64),
        ("n", "64", 64),
        ("n", "1_000", 1000),
        ("heat", "1e-1", 0.1),
        ("heat", 2, 2),
        ("keep", "10%", 0.1),
        ("keep", 0.1, 0.1),
        ("phrase", "Hmm", "Hmm"),
        ("phrase", 3, "3"),
        ("reduce", "min", "min"),
    ],
)
def test_values_take_the_kind_of_the_default(
    name: str, given: str | float, value: str | float
) -> None:
    assert compiled(KINDS, settings={name: given}).parameters[name] == value


def test_a_value_that_is_no_reduction_is_told_the_reductions() -> None:
    with pytest.raises(CompileError) as error:
        compiled(KINDS, settings={"reduce": "avg"})
    [told] = error.value.diagnostics
    assert told.suggestion == "it is one of last, min, mean, prod, max, sum, first"


@pytest.mark.parametrize(
    ("name", "given", "code"),
    [
        ("n", "many", "TTS556"),
        ("n", 0, "TTS301"),
        ("n", float("inf"), "TTS556"),
        ("n", float("nan"), "TTS556"),
        ("n", 10**400, "TTS556"),
        ("n", "1" + "0" * 400, "TTS556"),
        ("n", "1" * 5000, "TTS556"),
        pytest.param("n", 10**5000, "TTS556", id="5001 digits"),
        ("n", "--5", "TTS556"),
        ("n", "-5", "TTS301"),
        ("heat", "1e999", "TTS556"),
        ("keep", 20, "TTS556"),
        ("keep", "0%", "TTS302"),
        ("reduce", "prm", "TTS556"),
        ("reduce", "biggest", "TTS556"),
        ("m", 3, "TTS555"),
    ],
)
def test_wrong_values_are_refused(name: str, given: str | float, code: str) -> None:
    with pytest.raises(CompileError) as error:
        compiled(KINDS, settings={name: given})
    assert _codes(error) == [code]


def test_a_number_that_is_left_to_the_binding_is_no_count() -> None:
    with pytest.raises(CompileError) as error:
        compiled(KINDS, settings={"n": "default"})
    (told,) = error.value.diagnostics
    assert "`n` is no number" in told.message
    assert "`default` is for clauses" in (told.suggestion or "")


def test_a_parameter_without_default_is_needed_and_takes_numbers_and_names() -> None:
    text = body(
        "pool = sample n",
        "score pool by by_what",
        "return best of pool by last(by_what)",
        header="strategy s(n, by_what):",
    )
    with pytest.raises(CompileError) as error:
        compiled(text)
    assert _codes(error) == ["TTS557", "TTS557"]
    plan = compiled(text, settings={"n": "8", "by_what": "prm"})
    assert dict(plan.parameters) == {"n": 8, "by_what": "prm"}
    assert [scorer.name for scorer in plan.scorers] == ["prm"]


def test_warnings_are_about_the_values_that_are_compiled() -> None:
    text = body("return vote (expand (fork problem into n / 4) by 4)", header="strategy s(n = 10):")
    source = Source.of(text, "s.tts")
    usual = compile_with_warnings(source)
    assert [each.code for each in usual.warnings] == ["TTS906"]
    assert compile_with_warnings(source, settings={"n": 8}).warnings == ()


# ------------------------------------------------------------------ which strategy


TWO = body("return sample 1", header="strategy inner():") + body("return inner()")


def test_the_one_that_nothing_calls_is_meant() -> None:
    assert compile_strategy(Source.of(TWO, "file.tts")).strategy == "s"


def test_the_one_called_like_the_file_is_meant() -> None:
    assert compile_strategy(Source.of(TWO, "inner.tts")).strategy == "inner"


def test_a_strategy_can_be_chosen_in_the_name_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file.tts"
    path.write_text(TWO, "utf-8")
    assert compile_strategy(f"{path}:inner").strategy == "inner"
    assert compile_strategy(path, "inner").strategy == "inner"
    assert compile_strategy(str(path)).strategy == "s"


# ------------------------------------------------------------------ shipped strategies


def test_every_shipped_file_is_found_by_name() -> None:
    for path in library.folder().glob("*.tts"):
        assert library.find(path.stem) == path
        assert locate(path.stem) == (path, path.stem)


def test_a_strategy_inside_a_shipped_file_is_found_by_name() -> None:
    inside = [(name, path) for name, path in library.names().items() if name != path.stem]
    for name, path in inside:
        assert compile_strategy(name).strategy == name
        assert library.find(name) == path


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(CompileError) as error:
        compile_strategy("best_of_m")
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.suggestion == "did you mean 'best_of_n'?"


def test_parameters_can_be_asked_for() -> None:
    assert parameters_of("beam_search") == ("n", "width", "depth")


DISPATCH = """import "beam_search.tts"

prompt hint(limit, tone = "calm") = \"\"\"{problem} {limit} {tone}\"\"\"

judge grade(scale):
    \"\"\"{text} {scale} Grade:\"\"\"
    read number from 0 to 10

strategy s(n = 8, search = beam_search(width = 2), asked = hint(3), good = grade(scale = 5)):
    pool = ask asked(tone = "terse") about problem by 2
    pool = pool + search(n)
    score pool by good
    return best of pool by good
"""


def arguments_of(plan: Plan) -> list[tuple[str, object]]:
    """The arguments of prompts and judges."""
    specs = [each.spec for each in operations(plan.body)]
    given = [each.arguments for each in specs if isinstance(each, Ask | Score)]
    return [(name, getattr(value, "value", None)) for each in given for name, value in each]


def test_c71_strategies_prompts_and_judges_are_values_with_arguments() -> None:
    plan = compiled(DISPATCH)
    assert dict(plan.parameters) == {
        "n": 8,
        "search": "beam_search(width = 2)",
        "asked": "hint(limit = 3)",
        "good": "grade(scale = 5)",
    }
    assert arguments_of(plan) == [("limit", 3), ("tone", "terse"), ("scale", 5)]
    direct = DISPATCH.replace("search = beam_search(width = 2)", "k = 2")
    direct = direct.replace("search(n)", "beam_search(n, width = k)")
    assert plan.body == compiled(direct).body


@pytest.mark.parametrize("value", ["beam_search(width=8)", "dvts( depth = 3 )", "majority"])
def test_c71_values_with_arguments_come_from_the_command_line(value: str) -> None:
    """Shipped strategies need no import there."""
    plan = compiled(DISPATCH, settings={"search": value})
    calls = [each.spec for each in operations(plan.body) if isinstance(each.spec, Call)]
    assert [each.strategy for each in calls] == [value.partition("(")[0]]
    again = compiled(DISPATCH, settings={"search": str(plan.parameters["search"])})
    assert again.body == plan.body


@pytest.mark.parametrize(
    ("value", "code", "said"),
    [
        ("beam_search(widht = 8)", "TTS403", "did you mean 'width'?"),
        ('beam_search(width = "8")', "TTS403", "`width` of `beam_search` is a number"),
        ("beam_search(n = 8)", "TTS403", "`search` has a value for `n` already"),
        ("beam_search(", "TTS105", "add the matching `)`"),
        ("beam_search(width = ", "TTS105", "add the matching `)`"),
        ("beam_search(width 8)", "TTS120", "unexpected `8`"),
        ("nothing(width 8)", "TTS556", "and not `nothing(width 8)`"),
        ("hint(3)", "TTS556", "is a strategy, and not `hint(3)`"),
        ("majorty(3)", "TTS201", "did you mean `majority`"),
    ],
)
def test_c71_arguments_that_do_not_fit_are_refused(value: str, code: str, said: str) -> None:
    with pytest.raises(CompileError) as error:
        compiled(DISPATCH, settings={"search": value.strip()})
    (found,) = error.value.diagnostics
    assert found.code == code
    assert said in f"{found.message} {found.suggestion}"


def samplings(plan: Plan) -> list[object]:
    """The temperature of each expansion."""
    specs = [each.spec for each in operations(plan.body)]
    found = [each.decoding.temperature for each in specs if isinstance(each, Expand)]
    return [getattr(each, "value", None) for each in found]


INNER = """strategy inner(n = 2) at temperature 0.1:
    return vote (sample n)

"""
OUTER = INNER + body(
    "pool = (sample 2) + (sample 2 at temperature 0.5)", "return vote (pool + inner())"
)


def test_c72_how_a_strategy_samples_can_be_given_and_is_passed_on() -> None:
    assert samplings(compiled(OUTER, "s")) == [None, 0.5, 0.1]
    given = compiled(OUTER, "s", {"temperature": "0.9"})
    assert samplings(given) == [0.9, 0.5, 0.9]
    assert given.parameters == {"n": 4, "temperature": 0.9}
    keeps = OUTER.replace("inner()", "inner(temperature = 0.3)")
    assert samplings(compiled(keeps, "s", {"temperature": 0.9})) == [0.9, 0.5, 0.3]


def test_c72_default_leaves_a_clause_as_it_is_without_it() -> None:
    assert samplings(compiled(OUTER, "inner", {"temperature": "default"})) == [None]
    text = body(
        "return vote (sample n at temperature 2 * heat max size tokens)",
        header="strategy s(n = 4, heat = default, size = default):",
    )
    plain = compiled(body("return vote (sample n)"))
    assert compiled(text).body == plain.body
    assert dict(compiled(text).parameters) == {"n": 4}
    assert samplings(compiled(text, settings={"heat": 0.5})) == [1.0]


def test_c72_only_what_has_an_effect_can_be_given() -> None:
    assert settings_of("mixture_of_agents") == (
        *("n", "diverse", "focused"),
        *("top_p", "top_k", "min_p", "length"),
    )
    mine = body("return vote (sample n top_k top_k)", header="strategy s(n = 4, top_k = 3):")
    assert "top_k" not in settings_of(Source.of(mine, "mine.tts"))[2:]
    closed = INNER.replace("sample n", "sample n at temperature 1")
    with pytest.raises(CompileError) as error:
        compiled(closed, "inner", {"temperature": 1})
    assert _codes(error) == ["TTS555"]


def test_a_missing_file_is_a_diagnostic(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as error:
        compile_strategy(tmp_path / "nowhere.tts")
    assert _codes(error)[0] == "TTS100"
