"""Laws of pools and their columns that only the prover uses: a run would save nothing by them.

%2 = sort %1 by tokens; %3 = first 2 of %2   ->   %2 = select top 2 of %1 by tokens; %3 = sort %2
"""

from __future__ import annotations

from dataclasses import replace

from tts_lang.optimise.passes.fold_constants import canonical_comparisons
from tts_lang.optimise.rebuild import mapped, rebuilt
from tts_lang.optimise.rewriter import Block, Edit, MutablePlan, OpNode
from tts_lang.optimise.rules import Declined, Keeps, Match, Pattern, Rule, origins
from tts_lang.plan import graph
from tts_lang.plan.columns import LINEAGE, NEEDS_POOL
from tts_lang.plan.expr import Aggregate, Apply, Column, Const, Expr, Reduce, walk
from tts_lang.plan.graph import Exit
from tts_lang.plan.operator import Makes, entry
from tts_lang.plan.reads import columns_read
from tts_lang.plan.rows import literal_count


def row_alone(expression: Expr) -> bool:
    """Whether it reads columns that a row has in whatever pool it is, and nothing else."""
    return all(
        isinstance(node, Const | Apply | Reduce)
        or (isinstance(node, Column) and node.name not in NEEDS_POOL)
        for node in walk(expression)
    )


def returned(match: Match) -> Block | None:
    """The region that returns the operation's output, if nothing else reads it."""
    output, block = match.it.outputs[0], match.it.block
    alone = block.exit is Exit.RETURN and block.results == (output,)
    return block if alone and match.plan.read_once(output) else None


def _chosen_from(plan: MutablePlan, value: int, source: int) -> bool:
    """Whether the rows of `value` are some of those of `source`."""
    node = plan.definer(value)
    while node is not None and entry(node.spec).makes is Makes.SUBSET:
        if node.inputs[0] == source:
            return True
        node = plan.definer(node.inputs[0])
    return False


# ------------------------------------------------------------------ order


def _sorted_returned(match: Match) -> Edit | Declined:
    """`sort` of a pool whose first row is all that a strategy or call returns."""
    spec = match.it.spec
    assert isinstance(spec, graph.Sort)
    if spec.per is not None or match.it.draws:
        return Declined("it sorts groups, or by random numbers")
    if returned(match) is None:
        return Declined("its result is not only returned")
    return match.respecified(graph.Select(spec.by, Const(1)))


def _first_sorted(match: Match) -> Edit | Declined:
    """`sort (select top k of P by E) by E` in place of `first k of (sort P by E)`."""
    first, sort = match.it.spec, match["sort"].spec
    assert isinstance(first, graph.First)
    assert isinstance(sort, graph.Sort)
    if first.per is not None or sort.per is not None:
        return Declined("a row without a key forms no group")
    if literal_count(first.count) is None or not row_alone(sort.by):
        return Declined("the key reads more than the row, or the count is only known at run time")
    best = match.plan.new_value(match.it.outputs[0])
    inputs = match["sort"].inputs
    select = OpNode(graph.Select(sort.by, first.count), inputs, (best,), (), match.it.origins)
    then = OpNode(sort, (best,), match.it.outputs, (), match["sort"].origins)
    return Edit({match["sort"]: (), match.it: (select, then)})


def _sorted_before(match: Match) -> Edit | Declined:
    """`sort P by E` before another `sort`, or a choice of one, by the same E."""
    spec, sort = match.it.spec, match["sort"].spec
    assert isinstance(spec, graph.Sort | graph.Select)
    assert isinstance(sort, graph.Sort)
    if isinstance(spec, graph.Select) and literal_count(spec.count) != 1:
        return Declined("it keeps the order of several rows")
    if (spec.by, spec.per, sort.per) != (sort.by, None, None) or not row_alone(sort.by):
        return Declined("they go by different keys")
    again = OpNode(spec, match["sort"].inputs, match.it.outputs, (), match.it.origins)
    return Edit({match["sort"]: (), match.it: (again,)})


# ------------------------------------------------------------------ parts of a pool


def _part_of_part(match: Match) -> Edit | Declined:
    """`first j of (first k of P)` is `first min(j, k) of P`."""
    outer, inner = match.it.spec, match["inner"].spec
    assert isinstance(outer, graph.First)
    assert isinstance(inner, graph.First)
    limit, other = literal_count(outer.count), literal_count(inner.count)
    if limit is None or other is None or outer.per is not None or inner.per is not None:
        return Declined("the counts are of groups, or only known at run time")
    fewer = outer if limit <= other else inner
    merged = OpNode(fewer, match["inner"].inputs, match.it.outputs, (), match.it.origins)
    return Edit({match["inner"]: (), match.it: (merged,)})


def _with_a_part(match: Match) -> Edit | Declined:
    """`P + Q` where Q is chosen from P."""
    left, right = match.it.inputs[:2]
    if not _chosen_from(match.plan, right, left):
        return Declined("the right pool is not chosen from the left one")
    return match.removed(left)


def _without_a_part(match: Match) -> Edit | Declined:
    """`P - (P where C)` is `P where not C`."""
    left, right = match.it.inputs[:2]
    part = match.plan.definer(right)
    if part is None or not isinstance(part.spec, graph.Where) or part.inputs[0] != left:
        return Declined("the right pool is not the left one under a condition")
    if part.draws or not row_alone(part.spec.condition):
        return Declined("the condition reads more than the row")
    rest = graph.Where(_negated(part.spec.condition))
    return Edit({match.it: (OpNode(rest, (left,), match.it.outputs, (), origins(part, match.it)),)})


def _negated(condition: Expr) -> Expr:
    """The opposite; missing counts as false (C37)."""
    if isinstance(condition, Apply) and condition.function == "not":
        return condition.arguments[0]
    return Apply("not", (condition,))


_ANSWERED = Apply("has", (Column("answer"),))


def _voters_answer(match: Match) -> Edit | None:
    """`has(answer)` in the weight of a vote on answers: without one there is no vote (C40)."""
    spec = match.it.spec
    assert isinstance(spec, graph.Vote)
    if spec.on != "answer" or spec.weight is None or not row_alone(spec.weight):
        return None

    def as_answered(node: Expr) -> Expr:
        return Const(True) if node == _ANSWERED else node

    weight = rebuilt(spec.weight, as_answered)
    return None if weight is spec.weight else match.respecified(replace(spec, weight=weight))


# ------------------------------------------------------------------ columns


def _let_inlined(match: Match) -> Edit | Declined | None:
    """The value of a `let` in place of its column, where rows are chosen by it."""
    node = match.it
    operator = entry(node.spec)
    if operator.makes is not Makes.SUBSET or operator.lineage or operator.row_input != 0:
        return None
    names = {each.name for each in node.expressions if isinstance(each, Column)}
    lets = {name: value for name in sorted(names) if (value := _let_of(match, name)) is not None}
    if not lets:
        return None
    if any(isinstance(each, Aggregate) for each in node.expressions):
        return Declined("an aggregate may read the column of another pool")

    def change(part: Expr) -> Expr:
        return lets.get(part.name, part) if isinstance(part, Column) else part

    spec = mapped(node.spec, lambda outer: rebuilt(outer, change))
    if canonical_comparisons(spec) > canonical_comparisons(node.spec):
        return Declined("`answer` is compared with a literal text by canonical form (C42)")
    return match.respecified(spec)


def _let_of(match: Match, name: str) -> Expr | None:
    """The value of a column that a `let` before the operation sets, if it is still the same."""
    passed = {name}
    node = match.plan.definer(match.it.inputs[0])
    while node is not None:
        spec = node.spec
        if isinstance(spec, graph.Let) and spec.name == name:
            same = row_alone(spec.value) and not columns_read(spec) & (passed | LINEAGE)
            return spec.value if same else None
        if isinstance(spec, graph.Let):
            passed.add(spec.name)
        elif isinstance(spec, graph.Score):
            passed.add(spec.scorer)
        elif entry(spec).makes is not Makes.SUBSET:
            return None
        node = match.plan.definer(node.inputs[0])
    return None


def _scores_in_order(match: Match) -> Edit | Declined | None:
    """Two scores of one pool, by name."""
    outer, inner = match.it.spec, match["inner"].spec
    assert isinstance(outer, graph.Score)
    assert isinstance(inner, graph.Score)
    if outer.scorer >= inner.scorer:
        return None
    if inner.scorer in columns_read(outer) or outer.scorer in columns_read(inner):
        return Declined("one reads the other's column")
    if match.it.draws or match["inner"].draws:
        return Declined("their arguments draw random numbers")
    before = match.plan.new_value(match.it.outputs[0], frozenset((inner.scorer,)))
    pool, scored = match["inner"].inputs[0], match["inner"].outputs[0]

    def moved(node: OpNode, start: int, end: int) -> OpNode:
        inputs = tuple(start if value in (pool, scored) else value for value in node.inputs)
        return OpNode(node.spec, inputs, (end,), (), node.origins)

    first, then = moved(match.it, pool, before), moved(match["inner"], before, match.it.outputs[0])
    return Edit({match["inner"]: (), match.it: (first, then)})


_SORTED = (Pattern((graph.Sort,), "sort", sole=True),)

#: Laws of which rows there are, and in which order.
POOL_LAWS = (
    Rule(
        "sorted-is-returned",
        Pattern((graph.Sort,)),
        _sorted_returned,
        "the first row of a sorted pool is its best: the same ties, missing last (C39, C40)",
        Keeps.ANSWER,
    ),
    Rule(
        "first-of-sorted",
        Pattern((graph.First,), inputs=_SORTED),
        _first_sorted,
        "the first k of a sorted pool are its best k, sorted: the same ties, missing last (C39)",
        Keeps.ANSWER,
    ),
    Rule(
        "sorted-before",
        Pattern((graph.Sort, graph.Select), inputs=_SORTED),
        _sorted_before,
        "what is sorted by a key has its ties in their order for the same key (C39)",
        Keeps.ANSWER,
    ),
    Rule(
        "part-of-part",
        Pattern((graph.First,), inputs=(Pattern((graph.First,), "inner", sole=True),)),
        _part_of_part,
        "the first of the first rows are the first of all",
        Keeps.ANSWER,
    ),
    Rule(
        "with-a-part",
        Pattern((graph.Union,)),
        _with_a_part,
        "a union adds rows that the left pool lacks, and it lacks none of its own (C51)",
        Keeps.ANSWER,
    ),
    Rule(
        "without-a-part",
        Pattern((graph.Difference,)),
        _without_a_part,
        "`where` and `where not` part a pool; missing is not true (C37, C51)",
        Keeps.ANSWER,
    ),
    Rule(
        "voters-answer",
        Pattern((graph.Vote,)),
        _voters_answer,
        "a row without an answer has no vote, so that voters have one (C40, C43)",
        Keeps.ANSWER,
    ),
)

#: Laws of the columns that statements add. They change which columns are read where, so they do not
#: stand in a pass that asks for live columns.
COLUMN_LAWS = (
    Rule(
        "let-inlined",
        Pattern(),
        _let_inlined,
        "a column of `let` is its value, as long as nothing that it reads is made again (C29)",
        Keeps.ANSWER,
    ),
    Rule(
        "scores-in-order",
        Pattern((graph.Score,), inputs=(Pattern((graph.Score,), "inner", sole=True),)),
        _scores_in_order,
        "scores of different scorers do not depend on each other (C28, C29)",
        Keeps.ANSWER,
    ),
)
