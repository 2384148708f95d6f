"""Parsing, printing and formatting agree with one another."""

from __future__ import annotations

from dataclasses import MISSING, fields

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.golden import SYNTAX
from tests.support.samples import sample_sources
from tts_lang.diagnostics import DiagnosticError
from tts_lang.plan.clauses import clauses
from tts_lang.plan.ops import POOL_VERBS
from tts_lang.source import Source
from tts_lang.syntax import nodes
from tts_lang.syntax.format import format_source
from tts_lang.syntax.nodes import Operator
from tts_lang.syntax.parser import parse
from tts_lang.syntax.printer import print_node

SOURCES = sample_sources()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_print_then_parse_gives_the_same_tree(source: Source) -> None:
    result = parse(source)
    assert not result.diagnostics
    printed = print_node(result.file)
    assert parse(Source.of(printed)).file == result.file
    # What the printer writes is already canonical layout.
    assert format_source(Source.of(printed)) == printed


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_format_keeps_tree_and_comments_and_is_idempotent(source: Source) -> None:
    formatted = format_source(source)
    assert parse(Source.of(formatted)).file == parse(source).file
    assert format_source(Source.of(formatted)) == formatted
    assert formatted.count("#") == source.text.count("#")


MESSY = '''

# top comment

policy a   # tr


policy   b
# about s

# attached
strategy   s( n=4,width = 2 , # why
   keep=10% # k
  # own
   ) at temperature 0 :


  """Doc
  second
    third
  """
  # first

  x = sample n   steps


  # before if
  if n==-3:
     # in then
     y=-x**-2
     # end of then
  # end of body
  else   :
     y = max ( 3,4 )+(first (n+1) of x)
       # deep
  return (x where done)+
     x
# last
strategy t(): return sample 1
prompt p = """a
  b"""
policy z
policy y'''

TIDY = '''# top comment

policy a  # tr

policy b
# about s

# attached
strategy s(n = 4, width = 2,  # why
        keep = 10%  # k
        # own
) at temperature 0:
    """Doc
    second
      third
    """
    # first

    x = sample n steps

    # before if
    if n == -3:
        # in then
        y = -x ** -2
        # end of then
    # end of body
    else:
        y = max(3, 4) + (first (n + 1) of x)
        # deep
    return (x where done) +
        x

# last
strategy t(): return sample 1

prompt p = """a
  b"""

policy z
policy y
'''


def test_canonical_layout() -> None:
    assert format_source(Source.of(MESSY)) == TIDY


@pytest.mark.parametrize(
    ("text", "tidy"),
    [
        ("# only", "# only\n"),
        ("# one\n\n\n# two\n", "# one\n\n# two\n"),
        ("law a() == b()  # said\n# last", "law a() == b()  # said\n# last\n"),
        (
            "strategy a():\n    return sample 1\n    # of the body\n# of the file\n",
            "strategy a():\n    return sample 1\n    # of the body\n\n# of the file\n",
        ),
    ],
)
def test_comments_after_the_last_statement_stay(text: str, tidy: str) -> None:
    assert format_source(Source.of(text)) == tidy
    assert format_source(Source.of(tidy)) == tidy


def test_fixtures_are_canonical() -> None:
    for path in SYNTAX.glob("*.tts"):
        text = path.read_text("utf-8")
        assert format_source(Source.of(text)) == text, path.name


def test_windows_files_are_formatted_alike() -> None:
    text = "\ufeff" + MESSY.replace("\n", "\r\n")
    assert format_source(Source.of(text)) == TIDY


def test_broken_files_are_not_formatted() -> None:
    with pytest.raises(DiagnosticError) as caught:
        format_source(Source.of("strategy s(:\n", "f"))
    assert caught.value.diagnostics
    with pytest.raises(ValueError, match="broken"):
        print_node(nodes.Broken())


NAMES = st.sampled_from(["pool", "n", "step", "best", "max", "first", "x", "ends", "top_p", "stop"])


def _pool_verbs(
    verb: str, leaves: st.SearchStrategy[nodes.Expression]
) -> st.SearchStrategy[nodes.PoolVerbPhrase]:
    """A verb with any of its optional clauses."""
    known = POOL_VERBS[verb]
    optional = {each.name for each in fields(known.spec) if each.default is not MISSING}
    units = st.sampled_from([nodes.Unit.STEPS, nodes.Unit.TOKENS])

    def value(field: str) -> st.SearchStrategy[nodes.Expression | nodes.Unit]:
        clause = clauses(known.spec).get(field)
        if clause is None:
            return units
        return NAMES.map(nodes.Name) if clause.column else leaves

    def written(field: str) -> st.SearchStrategy[nodes.VerbClause | None]:
        there = st.builds(nodes.VerbClause, st.just(field), value(field))
        return st.none() | there if field in optional else there

    return st.builds(
        lambda pool, given: nodes.PoolVerbPhrase(verb, pool, tuple(filter(None, given))),
        leaves,
        st.tuples(*map(written, known.places)),
    )


def _expressions(
    leaves: st.SearchStrategy[nodes.Expression],
) -> st.SearchStrategy[nodes.Expression]:
    operators = st.sampled_from(list(Operator))
    names = NAMES.map(nodes.Name)
    return st.one_of(
        st.builds(nodes.BinaryExpression, operators, leaves, leaves),
        st.builds(nodes.UnaryExpression, st.sampled_from(list(nodes.UnaryOperator)), leaves),
        st.builds(nodes.ConditionalExpression, leaves, leaves, leaves),
        st.builds(nodes.QuantifiedExpression, st.booleans(), leaves),
        st.builds(nodes.WhereExpression, leaves, leaves),
        st.builds(
            lambda name, values, fresh: nodes.CallExpression(
                name,
                tuple(nodes.Argument(None, value) for value in values),
                fresh and name.text in {"pool", "n"},  # a soft word may follow a name `fresh`
            ),
            names,
            st.lists(leaves, max_size=3),
            st.booleans(),
        ),
        st.builds(
            nodes.AggregateExpression,
            names,
            leaves,
            leaves,
            st.booleans(),
            st.none() | names,
            st.none() | names,
            st.none() | leaves,
        ),
        st.builds(nodes.SamplePhrase, st.builds(nodes.AmountPhrase, leaves)),
        st.builds(nodes.FirstPhrase, st.none() | leaves, leaves, st.none() | names),
        st.builds(nodes.SelectPhrase, leaves, leaves, leaves, st.none() | names),
        st.builds(
            nodes.ExpandPhrase,
            leaves,
            st.just(nodes.Dealing.TO),
            st.builds(nodes.AmountPhrase, leaves, leaves, st.sampled_from(list(nodes.Unit))),
            st.none() | leaves,
        ),
        st.sampled_from(list(POOL_VERBS)).flatmap(lambda verb: _pool_verbs(verb, leaves)),
        st.builds(
            nodes.SamplePhrase,
            st.builds(nodes.AmountPhrase, leaves),
            st.builds(
                lambda kind, value: (nodes.Clause(kind, value),),
                st.sampled_from(
                    [
                        nodes.ClauseKind.TEMPERATURE,
                        nodes.ClauseKind.MAX,
                        nodes.ClauseKind.STOP_AT,
                        nodes.ClauseKind.AT_LEAST,
                    ]
                ),
                leaves,
            ),
        ),
    )


LEAVES: st.SearchStrategy[nodes.Expression] = st.one_of(
    NAMES.map(nodes.Name),
    st.integers(0, 99).map(nodes.Number),
    st.floats(0, 9).map(lambda value: nodes.Number(value, nodes.NumberKind.FLOAT)),
    st.integers(1, 99).map(lambda value: nodes.Number(value, nodes.NumberKind.PERCENT)),
    st.text(max_size=5).filter(lambda text: "\r" not in text).map(nodes.Text),
)


@settings(deadline=None, max_examples=150, derandomize=True)
@given(st.recursive(LEAVES, _expressions, max_leaves=8))
@example(nodes.FirstPhrase(nodes.CallExpression(nodes.Name("ends")), nodes.Name("pool")))
def test_any_expression_survives_printing(expression: nodes.Expression) -> None:
    strategy = nodes.StrategyDeclaration(
        nodes.Name("s"),
        (),
        (),
        None,
        (nodes.AssignStatement(nodes.Name("y"), expression), nodes.ReturnStatement(expression)),
    )
    printed = print_node(nodes.File((strategy,)))
    result = parse(Source.of(printed))
    assert not result.diagnostics, printed
    assert result.file == nodes.File((strategy,)), printed
    assert format_source(Source.of(printed)) == printed
