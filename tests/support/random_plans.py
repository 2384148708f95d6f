"""Random legal plans for Hypothesis: every operator, odd numbers and texts, nested regions."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields

from hypothesis import strategies as st

from tests.support.extremes import NUMBERS
from tests.support.plans import Builder
from tts_lang.plan import expr, graph
from tts_lang.plan.clauses import clauses
from tts_lang.plan.expr import Const, Expr
from tts_lang.plan.graph import Amount, Decoding, Exit, Plan, Region, Unit
from tts_lang.plan.operator import OperatorEntry
from tts_lang.plan.ops import POOL_VERBS

_SMALL = st.integers(0, 5).map(Const)
_LEAST_ONE = st.integers(1, 5).map(Const)
_SMALL_HEAT = st.sampled_from([0.5, 1, 2]).map(Const)
_NUMBERS: st.SearchStrategy[Expr] = st.one_of(
    st.one_of(
        st.integers(-(2**70), 2**70),
        st.sampled_from(NUMBERS),
        st.floats(allow_nan=False, allow_infinity=False),
        st.none(),
    ).map(Const),
    st.sampled_from(["tokens", "index"]).map(expr.Column),
)
_FLAGS: st.SearchStrategy[Expr] = st.booleans().map(Const) | st.just(expr.Column("done"))
_TEXTS: st.SearchStrategy[Expr] = st.text(max_size=6).map(Const) | st.just(expr.Column("text"))


def _flag(number: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    """A condition on numbers."""
    compared = st.builds(
        expr.Apply, st.sampled_from(["<", "<=", "==", "!="]), st.tuples(number, number)
    )
    some = st.builds(expr.Apply, st.just("has"), st.tuples(number)) | compared | _FLAGS
    both = st.builds(expr.Apply, st.sampled_from(["and", "or"]), st.tuples(some, some))
    found = st.builds(expr.Apply, st.just("contains"), st.tuples(_TEXTS, _TEXTS))
    return st.one_of(some, both, found, st.builds(expr.Apply, st.just("not"), st.tuples(some)))


def _larger(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    two = st.tuples(inner, inner)
    return st.one_of(
        st.builds(expr.Apply, st.sampled_from(["+", "-", "*", "/", "**", "least"]), two),
        st.builds(expr.Apply, st.sampled_from(["neg", "log"]), st.tuples(inner)),
        st.builds(expr.Apply, st.just("if"), st.tuples(_flag(inner), inner, inner)),
        st.builds(expr.Aggregate, st.sampled_from(["mean", "sum", "max"]), st.just(0), inner),
        st.builds(
            expr.Aggregate, st.just("count"), st.just(0), per=st.sampled_from([None, "root"])
        ),
        st.builds(expr.PoolWide, st.just("softmax"), inner, st.none() | _SMALL_HEAT),
        st.builds(expr.Random, st.just("beta"), two),
        st.builds(
            expr.Statistic, st.sampled_from(expr.STATISTICS), st.sampled_from(["all", "step"])
        ),
        st.builds(
            expr.Statistic,
            st.sampled_from(expr.STATISTICS),
            st.sampled_from(["tail", "lowest"]),
            _SMALL,
        ),
    )


#: Numbers of the rows of an operation whose input 0 is a pool.
EXPRESSIONS: st.SearchStrategy[Expr] = st.recursive(_NUMBERS, _larger, max_leaves=6)
#: Conditions on them.
CONDITIONS = _flag(EXPRESSIONS)
_DECODINGS = st.builds(
    Decoding,
    temperature=st.none() | st.floats(0, 2).map(Const),
    max_tokens=st.none() | _LEAST_ONE,
    within=st.none() | _SMALL,
    stop_at=st.none() | st.text(min_size=1, max_size=3).map(Const),
    likeliest=st.booleans(),
    avoiding=st.just(("Wait",)),
    avoided_by=st.none() | _SMALL,
)
_AMOUNTS = st.builds(Amount, _SMALL, st.sampled_from(Unit), st.none() | _LEAST_ONE)
_PER = st.sampled_from([None, "parent", "root", "answer"])


def _verb(known: OperatorEntry) -> st.SearchStrategy[graph.Spec]:
    """A verb on one pool, with values that its clauses allow."""

    def value(field: Field[object]) -> st.SearchStrategy[object]:
        clause = clauses(known.spec).get(field.name)
        if clause is None:
            return st.sampled_from([Unit.STEPS, Unit.TOKENS])
        given = _KEYS if clause.column else _SMALL if clause.counts else _TYPED[clause.type]
        return st.just(field.default) | given if field.default is not MISSING else given

    return st.builds(known.spec, **{each.name: value(each) for each in fields(known.spec)})


_KEYS = st.sampled_from(["parent", "root", "answer", "text"])
_TYPED: dict[str | None, st.SearchStrategy[Expr]] = {
    "number": EXPRESSIONS,
    "flag": CONDITIONS,
    "text": st.just(Const("\n")),
}
_ONE_POOL: st.SearchStrategy[graph.Spec] = st.one_of(
    st.builds(graph.Expand, _AMOUNTS, _DECODINGS),
    st.builds(graph.Expand, _AMOUNTS, _DECODINGS, st.just(True), st.none() | EXPRESSIONS, per=_PER),
    st.builds(graph.Score, st.sampled_from(["prm", "orm"]), st.none(), st.none() | _SMALL),
    st.builds(graph.Let, st.just("extra"), EXPRESSIONS | CONDITIONS | _TEXTS),
    st.builds(graph.Force, st.text(max_size=4).map(Const)),
    st.builds(graph.Ask, st.just("revise"), _AMOUNTS, _DECODINGS, together=st.booleans()),
    st.builds(graph.Where, CONDITIONS),
    st.builds(graph.Select, EXPRESSIONS, _SMALL, per=_PER),
    st.builds(graph.Select, EXPRESSIONS, share=st.floats(0.1, 1).map(Const)),
    st.builds(graph.First, _SMALL, _PER),
    st.just(graph.Leaves()),
    *map(_verb, POOL_VERBS.values()),
)
_TWO_POOLS: st.SearchStrategy[graph.Spec] = st.one_of(
    st.just(graph.Union()),
    st.just(graph.Difference()),
    st.builds(graph.Backup, EXPRESSIONS, st.sampled_from(graph.KEEPING)),
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """A legal plan with a few statements, some of them with regions."""
    build = Builder()
    pool = _statements(draw, build, build.problem, 2)
    return build.plan(pool)


def _statements(draw: st.DrawFn, build: Builder, pool: int, depth: int) -> int:
    """Some operations, each on the last pool; returns the last pool."""
    start = pool
    for _ in range(draw(st.integers(1, 4))):
        kinds = ["one", "one", "two", "empty", *(["repeat", "branch", "call"] if depth else [])]
        match draw(st.sampled_from(kinds)):
            case "one":
                pool = build.pool(draw(_ONE_POOL), pool, name=draw(st.sampled_from(["", "beams"])))
            case "two":
                pool = build.pool(draw(_TWO_POOLS), pool, start)
            case "empty":
                none = build.pool(graph.Empty(), name="none")
                pool = build.pool(graph.Union(), none, pool)
            case "repeat":
                until = draw(CONDITIONS)
                if any(isinstance(node, expr.Column | expr.PoolWide) for node in expr.walk(until)):
                    until = expr.Aggregate("all done", 0)
                (pool,) = build.repeat(
                    draw(st.integers(0, 3)),
                    (pool,),
                    lambda until=until: until,
                    lambda given: (_statements(draw, build, given, depth - 1),),
                )
            case "branch":
                pool = _branch(draw, build, pool, depth)
            case "call":
                pool = _call(draw, build, pool, depth)
    return pool


def _branch(draw: st.DrawFn, build: Builder, pool: int, depth: int) -> int:
    flag = build.flag(expr.Apply(">", (expr.Aggregate("count", 0), draw(_SMALL))), pool)
    leaving = draw(st.booleans())
    sides = (
        build.region(
            lambda: (_statements(draw, build, pool, depth - 1),),
            exit=Exit.RETURN if leaving else Exit.YIELD,
        ),
        build.region(lambda: (_statements(draw, build, pool, depth - 1),)),
    )
    out = build.value(graph.Kind.POOL)
    return build.add(graph.Branch(), flag, outputs=(out,), regions=sides)[0]


def _call(draw: st.DrawFn, build: Builder, pool: int, depth: int) -> int:
    problem = build.value(graph.Kind.POOL, "problem")
    inside: Region = build.region(
        lambda given: (
            build.pool(graph.First(Const(1)), _statements(draw, build, given, depth - 1)),
        ),
        problem,
        exit=Exit.RETURN,
    )
    out = build.value(graph.Kind.POOL, columns={})
    spec = graph.Call("helper", on_rows=draw(st.booleans()), fresh=draw(st.booleans()))
    return build.add(spec, pool, outputs=(out,), regions=(inside,))[0]
