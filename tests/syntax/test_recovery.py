"""A broken statement costs that statement: the rest of the file is read and checked."""

from __future__ import annotations

import pytest

from tts_lang.source import Source
from tts_lang.syntax import nodes
from tts_lang.syntax.parser import parse

FILE = """\
strategy first_one(n = 4):
    pool = sample n
    score pool
    repeat 3:
        pool = expand pool 4 steps
        score pool by prm
    kept = select tpo 4 of pool by prm
    return pool

scorer orm per stp

strategy broken(n 4):
    x = = nothing looks in here

prompt p = "{text}"

strategy last_one():
    if a = 3:
        return problem
    else:
        return none
    return problem
"""


def lines(source: Source) -> list[int]:
    return [source.position(d.span.start).line for d in parse(source).diagnostics]


def test_several_errors_in_one_go() -> None:
    source = Source.of(FILE)
    assert lines(source) == [3, 5, 7, 10, 12, 18]


def test_what_is_fine_is_kept() -> None:
    first, scorer, broken, prompt, last = parse(Source.of(FILE)).file.items
    assert isinstance(first, nodes.StrategyDeclaration)
    kinds = [type(statement) for statement in first.body]
    broken_ones = nodes.Broken
    assert kinds == [
        nodes.AssignStatement,
        broken_ones,
        nodes.RepeatStatement,
        broken_ones,
        nodes.ReturnStatement,
    ]
    repeat = first.body[2]
    assert isinstance(repeat, nodes.RepeatStatement)
    assert [type(statement) for statement in repeat.body] == [
        nodes.Broken,
        nodes.ScoreStatement,
    ]
    assert scorer == nodes.Broken((nodes.Name("orm"),))
    assert broken == nodes.Broken((nodes.Name("broken"),))
    assert isinstance(prompt, nodes.PromptDeclaration)
    assert isinstance(last, nodes.StrategyDeclaration)
    # The `else` goes with its broken `if`.
    assert [type(statement) for statement in last.body] == [
        nodes.Broken,
        nodes.ReturnStatement,
    ]


def test_broken_statements_know_the_name_they_would_have_set() -> None:
    first = parse(Source.of(FILE)).file.items[0]
    assert isinstance(first, nodes.StrategyDeclaration)
    names = [s.names for s in first.body if isinstance(s, nodes.Broken)]
    assert names == [(nodes.Name("pool"),), (nodes.Name("kept"),)]


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("for i in range(4):\n        a = sample 1\n        score b by prm", ["i", "a", "b"]),
        ("repeat up to 4:\n        if x > 1:\n            a = problem", ["a"]),
        ("a, b = sample 1, sample 2", ["a", "b"]),
        ("select a = top 3 of b by tokens", ["a"]),
        ("a <- sample 4", ["a"]),
        ("sample 4 into a", ["a"]),
    ],
)
def test_names_that_broken_blocks_and_lists_would_have_set(
    statement: str, names: list[str]
) -> None:
    source = Source.of(f"strategy s():\n    {statement}\n    return vote a\n")
    (strategy,) = parse(source).file.items
    assert isinstance(strategy, nodes.StrategyDeclaration)
    broken, _ = strategy.body
    assert isinstance(broken, nodes.Broken)
    assert [name.text for name in broken.names] == names
    assert [source.slice(name.span) for name in broken.names] == names


def test_spans_of_broken_statements_cover_them() -> None:
    source = Source.of(FILE)
    last = parse(source).file.items[-1]
    assert isinstance(last, nodes.StrategyDeclaration)
    text = source.slice(last.body[0].span)
    assert text.startswith("if a = 3:")
    assert text.endswith("return none")


def test_a_refused_clause_breaks_only_its_statement() -> None:
    result = parse(Source.of("strategy s():\n    x = sample 1 top_k 1 top_k 2\n    return x\n"))
    (strategy,) = result.file.items
    assert isinstance(strategy, nodes.StrategyDeclaration)
    assert [type(statement) for statement in strategy.body] == [
        nodes.Broken,
        nodes.ReturnStatement,
    ]
    assert strategy.body[0] == nodes.Broken((nodes.Name("x"),))


def test_numbers_and_quotes_are_mended_and_read_on() -> None:
    """Where it is clear what was meant, the statement is still there for later checks."""
    result = parse(Source.of("strategy s():\n    x = sample 16k stop at 'a'\n    return x\n"))
    assert [d.code for d in result.diagnostics] == ["TTS110", "TTS111"]
    (strategy,) = result.file.items
    assert isinstance(strategy, nodes.StrategyDeclaration)
    assert [type(statement) for statement in strategy.body] == [
        nodes.AssignStatement,
        nodes.ReturnStatement,
    ]


@pytest.mark.parametrize("arm", ["return vote pool)", ")", '"', ":", "x y"])
def test_a_line_among_the_arms_of_a_choice_beside_one_that_did_not_parse(arm: str) -> None:
    """The whole choice is skipped then, a statement of which has been skipped already."""
    choice = f"    choose by share(pool):\n        above 0.5:\n            {arm}\n"
    lost = "        retrun first of pool\n        otherwise:\n            return vote pool\n"
    source = Source.of(f"strategy s():\n    pool = sample 4\n{choice}{lost}    retrun pool\n")
    assert lines(source) == [5, 9]


def test_empty_files_are_fine() -> None:
    for text in ("", "\n\n", "# nothing\n", "   \n"):
        assert parse(Source.of(text)).ok
        assert parse(Source.of(text)).file == nodes.File(())
