"""Statements without blocks: assignment, score, force, let, backup, return."""

from __future__ import annotations

from tts_lang.check import builtins
from tts_lang.check.aggregates import pool_name
from tts_lang.check.constants import constant, is_constant
from tts_lang.check.dispatch import STATEMENTS, Site, statement_rule
from tts_lang.check.frame import MOST_COLUMNS, NO_VALUE, Binding, Fixed, Frame, Inputs, Pool, Scalar
from tts_lang.check.frames import declaration_frame
from tts_lang.check.kinds import POISON, VALUE_KINDS, WORDS, Sort, Typed
from tts_lang.check.mentions import reads
from tts_lang.check.pools import Column, PoolType
from tts_lang.check.prompts import arguments
from tts_lang.check.resolve import gives_pool, top_level
from tts_lang.check.scope import Role
from tts_lang.check.scorers import enter_scorer
from tts_lang.check.values import NO_POOL, count, expect, number, pool, scalar, text
from tts_lang.check.verbs import grouping
from tts_lang.plan.expr import Const, Delimiter
from tts_lang.plan.graph import Backup, Compute, Force, Let, Score
from tts_lang.syntax import nodes


def block(frame: Frame, statements: tuple[nodes.Statement, ...]) -> bool:
    """Carries out the statements of a block; true if control never reaches its end."""
    for place, statement in enumerate(statements):
        if STATEMENTS[type(statement)](frame, statement):
            if place + 1 < len(statements):
                frame.warning(
                    "TTS909",
                    "this is never reached: every path has returned before",
                    statements[place + 1],
                    "remove it, or move it before the `return`",
                )
            return True
    return False


def materialise(frame: Frame, binding: Binding, node: nodes.Node, name: str = "") -> Binding:
    """The same value as one that the plan computes, so that a region can pass it on."""
    if not isinstance(binding, Fixed) or binding.typed.sort is Sort.UNKNOWN:
        return binding
    return compute(frame, binding.typed, Inputs(), node, name)


def compute(frame: Frame, typed: Typed, inputs: Inputs, node: nodes.Node, name: str = "") -> Scalar:
    """A scalar as a value of the plan."""
    number_ = frame.value(VALUE_KINDS.get(typed.sort, VALUE_KINDS[Sort.NUMBER]), name)
    frame.emit(Compute(typed.expr), inputs, (number_,), node)
    return Scalar(number_, typed.sort)


@statement_rule(nodes.Broken)
def _broken(frame: Frame, node: nodes.Broken) -> bool:
    if node.name is not None:
        frame.env[node.name.text] = Fixed(POISON)
    return False


@statement_rule(nodes.Assign)
def _assign(frame: Frame, node: nodes.Assign) -> bool:
    name = node.target.text
    made: Binding
    if gives_pool(frame, node.value):
        given = pool(frame, node.value)
        frame.rename(given.number, name)
        made = Fixed(POISON) if given is NO_POOL else given
    else:
        made = _scalar(frame, node)
    made = _same_kind(frame, node, made)
    frame.env[name] = made
    return False


def _scalar(frame: Frame, node: nodes.Assign) -> Binding:
    inputs = Inputs()
    typed = scalar(frame, node.value, Site(inputs))
    if typed.sort in {Sort.STEPS, Sort.KEY}:
        typed = expect(frame, typed, Sort.NUMBER, node.value)
    if typed.sort is Sort.UNKNOWN:
        return Fixed(POISON)
    if not inputs.numbers and is_constant(typed.expr):
        return Fixed(Typed(typed.sort, Const(constant(typed.expr)), typed.share))
    if not inputs.numbers and isinstance(typed.expr, Delimiter):
        return Fixed(typed)
    if isinstance(node.value, nodes.Name):
        known = frame.env.get(node.value.text)
        if known is not None:
            return known
    return compute(frame, typed, inputs, node, node.target.text)


def _same_kind(frame: Frame, node: nodes.Assign, made: Binding) -> Binding:
    before, after = sort_of(frame.env.get(node.target.text)), sort_of(made)
    if before is None or after is None or before == after:
        return made
    frame.error(
        "TTS215",
        f"`{node.target.text}` holds {before}, and gets {after} here",
        node.target,
        "choose another name for one of them",
    )
    return Fixed(POISON)


def sort_of(binding: Binding | None) -> str | None:
    """What a variable holds, in words; nothing if that is not known."""
    if isinstance(binding, Pool):
        return "a pool"
    if isinstance(binding, Scalar):
        return WORDS[binding.sort]
    if isinstance(binding, Fixed) and binding.typed.sort is not Sort.UNKNOWN:
        return WORDS[binding.typed.sort]
    return None


def _variable(frame: Frame, node: nodes.Expression, verb: str) -> Pool | None:
    """The pool of a variable that a statement changes; `None` after a message."""
    if isinstance(node, nodes.Name) and node.text not in builtins.POOLS:
        given = pool(frame, node)
        return None if given is NO_POOL else given
    if gives_pool(frame, node):
        written = frame.scope.source.slice(node.span)
        shown = written if len(written) <= 30 and "\n" not in written else "..."
        actual = f"`{written}` is not one" if written in builtins.POOLS else "this is not one"
        frame.error(
            "TTS212",
            f"`{verb}` gives a variable a new value, and {actual}",
            node,
            f"assign it first: `pool = {shown}`",
        )
    else:
        pool(frame, node)
    return None


def _with_column(
    frame: Frame, given: PoolType, name: str, column: Column, node: nodes.Node
) -> PoolType:
    made = given.with_column(name, column)
    if len(made.columns or ()) > MOST_COLUMNS:
        message = f"a pool with more than {MOST_COLUMNS} columns"
        raise frame.too_large("TTS405", message, node, "compute what is needed in one expression")
    return made


def _rebind(frame: Frame, node: nodes.Expression, made: Pool) -> None:
    if isinstance(node, nodes.Name):
        frame.rename(made.number, node.text)
        frame.env[node.text] = made


@statement_rule(nodes.Score)
def _score(frame: Frame, node: nodes.Score) -> bool:
    declared = top_level(frame, node.scorer, Role.SCORER)
    given = _variable(frame, node.pool, "score")
    if given is None:
        return False
    if declared is None:
        # Every later use of any column would be reported for want of this one.
        if isinstance(node.pool, nodes.Name):
            frame.env[node.pool.text] = NO_POOL
        return False
    described = enter_scorer(
        frame, declaration_frame(frame.session, declared), declared, node.scorer
    )
    inputs = Inputs([given.number])
    times = ahead = None
    if node.times is not None:
        times = count(frame, node.times, "the number of readings", inputs)
        if described.judge is None:
            frame.error(
                "TTS406",
                f"`times` needs a judge: `{declared.name}` gives the same score every time",
                node.times,
                "leave `times` out",
            )
    if node.look_ahead is not None:
        ahead = count(frame, node.look_ahead, "the number of steps looked ahead", inputs)
    per = grouping(frame, node.per, given, pool_name(node.pool))
    if node.per is not None and not described.together:
        frame.error(
            "TTS406",
            f"`per` needs a scorer that looks at a pool: `{declared.name}` scores one candidate "
            "at a time",
            node.per,
            f"declare it so: `scorer {declared.name} together`",
        )
    parameters: tuple[nodes.Parameter, ...] = ()
    if isinstance(declared.node, nodes.JudgeDeclaration):
        parameters = declared.node.parameters
    passed = arguments(frame, declared, parameters, node.arguments, node.scorer, inputs)
    expressions = tuple((name, value) for name, value in passed if not isinstance(value, int))
    if len(expressions) != len(passed):
        frame.error("TTS218", "a judge takes numbers and texts, not pools", node.scorer)
    steps = described.steps or node.times is not None
    column = Column(Sort.STEPS if steps else Sort.NUMBER, made=frozenset({node.span}))
    frame.scored.setdefault(node.span, (declared.name, node.span))
    type_ = _with_column(frame, given.type, declared.name, column, node)
    spec = Score(declared.name, times, ahead, per, expressions)
    _rebind(frame, node.pool, frame.emit_pool(spec, inputs, type_, node))
    return False


@statement_rule(nodes.Force)
def _force(frame: Frame, node: nodes.Force) -> bool:
    given = _variable(frame, node.pool, "force")
    inputs = Inputs([NO_VALUE if given is None else given.number])
    forced = text(frame, node.text, Site(inputs))
    if given is None:
        return False
    why = f"`force` at line {frame.line(node)} dropped it: the text has changed"
    type_ = given.type.children(given.type.bound, why)
    _rebind(frame, node.pool, frame.emit_pool(Force(forced), inputs, type_, node))
    return False


@statement_rule(nodes.Let)
def _let(frame: Frame, node: nodes.Let) -> bool:
    given = _variable(frame, node.pool, "let")
    if given is None:
        return False
    inputs = Inputs([given.number])
    typed = scalar(frame, node.value, Site(inputs, given.type, pool_name(node.pool)))
    if typed.sort in {Sort.STEPS, Sort.KEY}:
        typed = expect(frame, typed, Sort.NUMBER, node.value)
    column = Column(typed.sort, inherited=True)
    type_ = _with_column(frame, given.type, node.column.text, column, node)
    _rebind(
        frame,
        node.pool,
        frame.emit_pool(Let(node.column.text, typed.expr), inputs, type_, node),
    )
    return False


@statement_rule(nodes.Backup)
def _backup(frame: Frame, node: nodes.Backup) -> bool:
    tree = _variable(frame, node.tree, "backup")
    rows = pool(frame, node.pool)
    inputs = Inputs()
    inputs.numbers = [NO_VALUE if tree is None else tree.number, rows.number]
    by = number(frame, node.by, Site(inputs, rows.type, pool_name(node.pool)))
    if tree is not None:
        _rebind(frame, node.tree, frame.emit_pool(Backup(by), inputs, tree.type, node))
    return False


@statement_rule(nodes.Return)
def _return(frame: Frame, node: nodes.Return) -> bool:
    given = pool(frame, node.value)
    if given is not NO_POOL:
        _one_row(frame, node, given)
        if given.type.filtered and not _guarded(frame, node):
            frame.warning(
                "TTS904",
                "this pool is empty where the condition holds for no candidate: then there is no "
                "answer",
                node.value,
                "look at `count(...)` first, or add candidates to fall back on",
            )
    frame.returned(given)
    return True


def _guarded(frame: Frame, node: nodes.Return) -> bool:
    return any(name.text in frame.guarded for name in reads(node))


def _one_row(frame: Frame, node: nodes.Return, given: Pool) -> None:
    if not frame.numbers_matter or (given.type.bound is not None and given.type.bound <= 1):
        return
    written = frame.scope.source.slice(node.value.span)
    name = written if written.isidentifier() else f"({written})"
    name = name if len(name) <= 40 and "\n" not in name else "P"
    by = next(
        (
            f"last({key})" if column.sort is Sort.STEPS else key
            for key, column in (given.type.columns or {}).items()
            if not column.inherited
        ),
        "E",
    )
    most = "" if given.type.bound is None else f" (up to {given.type.bound})"
    frame.error(
        "TTS305",
        f"`return` takes one candidate's answer, and this pool can have several{most}",
        node.value,
        f"`return vote {name}`, `return best of {name} by {by}` or `return first of {name}`",
    )
