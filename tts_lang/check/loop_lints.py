"""Loops that cannot get anywhere: nothing changes from round to round, or all is done at once."""

from __future__ import annotations

from tts_lang.check.builtins import FUNCTIONS
from tts_lang.check.context import StrategyContext
from tts_lang.check.generate import clauses_of
from tts_lang.check.uses import assigned, reads, walk
from tts_lang.plan.ops import POOL_VERBS
from tts_lang.syntax import nodes
from tts_lang.syntax.nodes import ClauseKind, find_clause

# Clauses that stop a whole-solution call early, so that a later round can continue it.
_EARLY = (ClauseKind.MAX, ClauseKind.STOP_AT, ClauseKind.STOP_WHEN)

# Further phrases that make new or open candidates out of done ones, and that only choose among the
# rows that are there: verbs on a pool have it in their entries.
_REOPENING = (nodes.ForceStatement, nodes.AskPhrase, nodes.SamplePhrase, nodes.CallOnPhrase)
_CHOOSING = (nodes.SelectPhrase, nodes.BestPhrase, nodes.FirstPhrase, nodes.WhereExpression)
_STILL = frozenset(FUNCTIONS) - {"uniform", "normal", "gumbel", "beta"}


def check_progress(
    context: StrategyContext, node: nodes.RepeatStatement, carried: tuple[str, ...], trips: int
) -> None:
    """Warns about a loop whose later rounds can do nothing new."""
    if trips < 2:
        return
    inside = tuple(walk(*node.body))
    returns = any(isinstance(each, nodes.ReturnStatement) for each in inside)
    broken = any(isinstance(each, nodes.Broken) for each in inside)
    if broken:
        return
    if not carried and not returns:
        context.idle.update(assigned(node.body))
        context.warning(
            "TTS903",
            "every round does the same: nothing that a later round or statement reads changes",
            node.count,
            "assign a variable from before the loop, or leave the loop out",
        )
        return
    if node.until is not None and not returns and _only_chooses(node.until, inside):
        context.warning(
            "TTS903",
            "no round draws a token, so nothing becomes done: later rounds repeat the first one",
            node.until,
            "expand the pool inside the loop, such as `beams = expand beams by 4 steps`",
        )
        return
    if any(map(_reopens, inside)):
        return
    flows = _flows(inside)
    for statement in inside:
        if isinstance(statement, nodes.AssignStatement):
            _whole_solutions(context, statement, carried, flows)


def _only_chooses(until: nodes.Expression, inside: tuple[nodes.SyntaxNode, ...]) -> bool:
    """Whether a loop that waits for `done` does nothing but score and choose rows."""
    waits = any(isinstance(each, nodes.QuantifiedExpression) for each in walk(until))
    statements = [each for each in inside if isinstance(each, nodes.AssignStatement)]
    chooses = all(_chooses(each.value) for each in statements)
    # `select top N` with a name or percentage may be a share: other numbers of rows each time.
    moves = any(
        _reopens(node)
        or isinstance(
            node,
            nodes.ExpandPhrase | nodes.LetStatement | nodes.BackupStatement | nodes.RepeatStatement,
        )
        or (
            isinstance(node, nodes.SelectPhrase)
            and not isinstance(node.count, nodes.BinaryExpression)
        )
        or (isinstance(node, nodes.CallExpression) and node.function.text not in _STILL)
        for node in inside
    )
    return waits and chooses and not moves


def _reopens(node: nodes.SyntaxNode) -> bool:
    """Whether a phrase makes new or open candidates out of done ones."""
    if isinstance(node, nodes.PoolVerbPhrase):
        return not POOL_VERBS[node.verb].makes.same_nodes
    return isinstance(node, _REOPENING)


def _chooses(node: nodes.SyntaxNode) -> bool:
    """Whether a phrase only chooses among the rows that are there: again, it changes nothing."""
    if isinstance(node, nodes.PoolVerbPhrase):
        verb = POOL_VERBS[node.verb]
        return verb.makes.subset and not verb.lineage
    return isinstance(node, _CHOOSING)


def _flows(inside: tuple[nodes.SyntaxNode, ...]) -> dict[str, set[str]]:
    """For each variable, those that its value is made from in one statement."""
    flows: dict[str, set[str]] = {}
    for statement in inside:
        if isinstance(statement, nodes.AssignStatement):
            made_from = {name.text for name in reads(statement.value)}
            flows.setdefault(statement.target.text, set()).update(made_from)
    return flows


def _whole_solutions(
    context: StrategyContext,
    statement: nodes.AssignStatement,
    carried: tuple[str, ...],
    flows: dict[str, set[str]],
) -> None:
    """Reports a carried pool that is expanded by whole solutions: done after the first round."""
    for node in walk(statement.value):
        if not isinstance(node, nodes.ExpandPhrase) or not isinstance(node.pool, nodes.Name):
            continue
        pool = node.pool.text
        unit = node.amount.unit or nodes.Unit.SOLUTIONS
        clauses = clauses_of(context, node.clauses)
        if unit is not nodes.Unit.SOLUTIONS or any(find_clause(clauses, k) for k in _EARLY):
            continue
        if pool in carried and _reaches(flows, pool, statement.target.text):
            context.still.add(node.span)
            context.warning(
                "TTS903",
                f"whole solutions are done after one round: later rounds pass `{pool}` through",
                node.amount,
                "write `steps`, `thoughts` or `x K tokens` to continue bit by bit",
            )


def _reaches(flows: dict[str, set[str]], goal: str, source: str) -> bool:
    """Whether the value of `goal` at the end of a round is made from `source`, not afresh."""
    if goal == source:
        return True
    seen, waiting = {goal}, [goal]
    while waiting:
        made_from = flows.get(waiting.pop(), set())
        if "problem" in made_from:
            return False
        if source in made_from:
            return True
        waiting.extend(made_from - seen)
        seen |= made_from
    return False
