"""The meaning of forms that are easy to read in two ways, and of literals and templates."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

import pytest

from tts_lang.diagnostics import suggest
from tts_lang.source import Source, Span
from tts_lang.syntax import nodes
from tts_lang.syntax.literals import string_literal, string_value
from tts_lang.syntax.nodes import Name
from tts_lang.syntax.parser import parse
from tts_lang.syntax.template import WrittenSlot, parse_template


def value(text: str) -> nodes.Expression:
    result = parse(Source.of(f"strategy s():\n    x = {text}\n"))
    assert result.ok, [d.message for d in result.diagnostics]
    (strategy,) = result.file.items
    assert isinstance(strategy, nodes.StrategyDeclaration)
    assign = strategy.body[0]
    assert isinstance(assign, nodes.AssignStatement)
    return assign.value


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a + b where c", "a + (b where c)"),
        ("a where b or c and not d == e", "a where (b or (c and (not (d == e))))"),
        ("a - b - c", "(a - b) - c"),
        ("a / b * c", "(a / b) * c"),
        ("-a ** b ** -c", "-(a ** (b ** (-c)))"),
        ("a if b else c if d else e", "a if b else (c if d else e)"),
        ("first (n + 1) of p", "first ((n + 1)) of p"),
        ("vote p per root weighted by e on k", "vote p on k weighted by e per root"),
        ("sample 4 max 5 tokens top_p 0.5", "sample 4 max (5) token top_p (0.5)"),
        ("sample 1 step", "sample 1 steps"),
        ("a\n        + b", "a + b"),
        ("f(\n        a,\n    )", "f(a)"),
        ('"""a\n       b\n      c"""', '"a\\n b\\nc"'),
        ('"""\n      a\n      b\n      """', '"a\\nb\\n"'),
        ('"""\\boxed{"x"}"""', '"\\\\boxed{\\"x\\"}"'),
    ],
)
def test_two_ways_to_write_one_thing(text: str, same: str) -> None:
    assert value(text) == value(same)


def test_soft_words_are_names_where_they_can_be() -> None:
    assert value("first") == Name("first")
    assert value("max(best, step)") == nodes.CallExpression(
        Name("max"), (nodes.Argument(None, Name("best")), nodes.Argument(None, Name("step")))
    )
    assert value("sample x x x tokens") == nodes.SamplePhrase(
        nodes.AmountPhrase(Name("x"), Name("x"), nodes.Unit.TOKENS)
    )
    assert value("first - 1") == nodes.BinaryExpression(
        nodes.Operator.SUBTRACT, Name("first"), nodes.Number(1)
    )


def test_aggregates_and_calls() -> None:
    pool = Name("p")
    assert value("count(p)") == nodes.AggregateExpression(Name("count"), None, pool)
    assert value("mean(prm)") == nodes.CallExpression(
        Name("mean"), (nodes.Argument(None, Name("prm")),)
    )
    assert value("mean(e of p per root)") == nodes.AggregateExpression(
        Name("mean"), Name("e"), pool, per=Name("root")
    )
    assert value("share(p below on k weighted by w)") == nodes.AggregateExpression(
        Name("share"), None, pool, below=True, on=Name("k"), weight=Name("w")
    )
    assert value("softmax(e per root, 0.2)") == nodes.AggregateExpression(
        Name("softmax"),
        Name("e"),
        None,
        per=Name("root"),
        arguments=(nodes.Argument(None, nodes.Number(0.2, nodes.NumberKind.FLOAT)),),
    )


def test_token_spans() -> None:
    def span(text: str) -> nodes.Expression:
        call = value(text)
        assert isinstance(call, nodes.CallExpression)
        return call.arguments[0].value

    ranges = nodes.TokenRange
    assert span("entropy(step)") == nodes.TokenSpan(ranges.STEP)
    assert span("margin(answer)") == nodes.TokenSpan(ranges.ANSWER)
    assert span("certainty(all)") == nodes.TokenSpan(ranges.ALL)
    assert span("confidence(tail n)") == nodes.TokenSpan(ranges.TAIL, Name("n"))
    assert span("confidence(lowest n share 10%)") == nodes.TokenSpan(
        ranges.LOWEST, Name("n"), nodes.Number(10, nodes.NumberKind.PERCENT)
    )
    assert span("confidence(2048)") == nodes.Number(2048)
    assert isinstance(value("entropy(pool)"), nodes.AggregateExpression)


def test_numbers() -> None:
    kinds = nodes.NumberKind
    assert value("16_000") == nodes.Number(16000)
    assert value("1e-3") == nodes.Number(0.001, kinds.FLOAT)
    percent = value("10%")
    assert percent == nodes.Number(10, kinds.PERCENT)
    assert isinstance(percent, nodes.Number)
    assert percent.fraction == 0.1


def test_laws_know_their_free_names() -> None:
    result = parse(Source.of("law beam_search(n, width = 1) == best_of_n(n, reduce = last)\n"))
    (law,) = result.file.items
    assert isinstance(law, nodes.Law)
    assert law.free_names == ("n", "last")


@pytest.mark.parametrize("text", ["", "a\nb", 'say "a"', "\\n", "tab\t"])
def test_string_literals_round_trip(text: str) -> None:
    assert string_value(string_literal(text)) == text


def test_slots_of_a_template() -> None:
    text = (
        'prompt p(limit) = """\n    {problem} {parent.text}\n'
        "    {attempts last 4} {candidates last limit} \\boxed{} {{x}} { a b }\n"
        '    {limit}"""\n'
    )
    source = Source.of(text)
    (prompt,) = parse(source).file.items
    assert isinstance(prompt, nodes.PromptDeclaration)
    parts = parse_template(prompt.text, source)
    slots = [part for part in parts if isinstance(part, WrittenSlot)]
    assert [(slot.name, slot.last) for slot in slots] == [
        ("problem", None),
        ("parent.text", None),
        ("attempts", "4"),
        ("candidates", "limit"),
        ("limit", None),
    ]
    assert [source.slice(slot.span) for slot in slots] == [
        "{problem}",
        "{parent.text}",
        "{attempts last 4}",
        "{candidates last limit}",
        "{limit}",
    ]
    assert parts[-2] == " \\boxed{} {x} { a b }\n"


def test_suggestions() -> None:
    assert suggest("slect", ["sample", "select", "score"]) == "select"
    assert suggest("PRM", ["orm", "prm"]) == "prm"
    assert suggest("pool", ["prompt", "policy"]) is None


def test_nodes_are_frozen_values() -> None:
    name = Name("a", span=Span(3, 4))
    assert name == Name("a")
    assert hash(name) == hash(Name("a"))
    assert name != nodes.Text("a")
    assert repr(name) == "Name(text='a')"
    assert replace(name, text="b") == Name("b")
    assert pickle.loads(pickle.dumps(name)) == name
    with pytest.raises(AttributeError):
        name.text = "b"  # type: ignore[misc]
    make: Any = Name
    for values, named in (((), {}), (("a",), {"other": "b"}), (("a", "b"), {})):
        with pytest.raises(TypeError, match="Name"):
            make(*values, **named)
