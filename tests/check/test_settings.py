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
)
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


def test_a_missing_file_is_a_diagnostic(tmp_path: Path) -> None:
    with pytest.raises(CompileError) as error:
        compile_strategy(tmp_path / "nowhere.tts")
    assert _codes(error)[0] == "TTS100"
