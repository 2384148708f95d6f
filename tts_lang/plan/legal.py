"""The rules of the language for plans: names, texts, numbers, types and columns.

A compiled plan has all of it. A plan that comes from a file is held against the same rules before
anything else looks at it, so that what passes can be explained and run without further checks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final, TypeAlias

from tts_lang.plan import expr, graph
from tts_lang.plan.clauses import ANY, clauses, keys_of
from tts_lang.plan.columns import COLUMNS, NEEDS_POOL
from tts_lang.plan.expr import KEY, STEPS, UNKNOWN, Const, Expr, fields_in, signature
from tts_lang.plan.graph import Exit, Kind, Operation, Plan, Region
from tts_lang.plan.operator import Makes, entry
from tts_lang.plan.template import (
    LISTS,
    ONE_ROW,
    ROW_SLOTS,
    TEXTS,
    Slot,
    Template,
    shows_row,
    split_slot,
)
from tts_lang.syntax.words import is_name
from tts_lang.values import is_number

#: Columns of a pool by name, with their types; `None`: every column, of a pool without rows.
Columns: TypeAlias = "Mapping[str, str] | None"
#: Gives the error of a broken rule.
Fail: TypeAlias = Callable[[str], Exception]

#: The longest name, and the largest number of readings or retries of a judge.
_LONGEST, _RETRIES = 200, 100
#: The suffix that `--sweep` adds to a strategy's name: values of parameters, in brackets.
_SWEPT: Final = re.compile(r"\[[^\x00-\x1f\x7f]{1,400}\]")
_SCALARS: Final = ("number", "text", "flag")


def check(plan: Plan, fail: Callable[[str, Operation | None], Exception]) -> None:
    """Holds a plan of legal form against the rules of the language.

    Args:
        plan: Passes `verify`.
        fail: Makes the error of a message and the operation that it is about.

    Raises:
        Exception: What `fail` gives, for the first rule that is broken.
    """

    def about(operation: Operation | None) -> Fail:
        return lambda message: fail(message, operation)

    general = _Rules(about(None))
    general.texts(plan)
    general.plan(plan)
    columns = derived(plan)
    for number, value in enumerate(plan.values):
        if value.columns is not None and number in columns:
            general.declared(number, value.columns, columns[number])
    for operation in graph.operations(plan.body):
        _Rules(about(operation)).operation(plan, operation, columns)


# ------------------------------------------------------------------------------ columns


def derived(plan: Plan) -> dict[int, Columns]:
    """The columns of every pool, as the operations make them (C28 to C31)."""
    columns_of: dict[int, Columns] = {}
    scorers = {scorer.name: scorer for scorer in plan.scorers}

    def region(inner: Region) -> None:
        for each in inner.operations:
            operation(each)

    def branch(each: Operation) -> None:
        ways: list[Region] = []
        for side in each.regions:
            region(side)
            if side.exit is Exit.YIELD:
                ways.append(side)
        for place, output in enumerate(each.outputs):
            if plan.values[output].kind is Kind.POOL and ways:
                joined = columns_of[ways[0].results[place]]
                for way in ways[1:]:
                    joined = common(joined, columns_of[way.results[place]])
                columns_of[output] = joined

    def repeat(each: Operation) -> None:
        """The columns before every round, as a fixed point; each iteration removes some."""
        until, body = each.regions
        carried = [columns_of.get(value) for value in each.inputs]
        while True:
            for inner in (until, body):
                for value, columns in zip(inner.parameters, carried, strict=True):
                    columns_of[value] = columns
                region(inner)
            if body.exit is not Exit.YIELD:
                break
            after = [
                common(old, columns_of.get(value))
                for old, value in zip(carried, body.results, strict=True)
            ]
            if after == carried:
                break
            carried = after
        for value, columns in zip(each.outputs, carried, strict=True):
            columns_of[value] = columns

    def operation(each: Operation) -> None:
        spec = each.spec
        if isinstance(spec, graph.Branch):
            return branch(each)
        if isinstance(spec, graph.Repeat):
            return repeat(each)
        if isinstance(spec, graph.Call):
            columns_of[each.regions[0].parameters[0]] = {}
            region(each.regions[0])
        if isinstance(spec, graph.Compute):
            return None
        pools = [columns_of[value] for value in each.inputs if value in columns_of]
        columns_of[each.outputs[0]] = _after(spec, pools, each, scorers, columns_of, plan)
        return None

    columns_of[plan.body.parameters[0]] = {}
    region(plan.body)
    return {value: columns for value, columns in columns_of.items() if _is_pool(plan, value)}


def _is_pool(plan: Plan, value: int) -> bool:
    return plan.values[value].kind is Kind.POOL


def _after(
    spec: graph.Spec,
    pools: list[Columns],
    operation: Operation,
    scorers: Mapping[str, graph.Scorer],
    columns_of: Mapping[int, Columns],
    plan: Plan,
) -> Columns:
    """The columns of an operation's output."""
    makes = entry(spec).makes
    if makes is Makes.NOTHING:
        return None
    columns = pools[0]
    if makes is Makes.BOTH:
        return common(columns, pools[1])
    if columns is None:
        return None
    if isinstance(spec, graph.Score):
        scorer = scorers[spec.scorer]
        steps = scorer.steps or spec.times is not None
        return {**columns, spec.scorer: STEPS if steps else "number"}
    if isinstance(spec, graph.Let):
        return {**columns, spec.name: _Types(plan, operation, columns_of).of(spec.value, columns)}
    if makes.keeps_scores:
        return columns
    if isinstance(spec, graph.Ask) and spec.together:
        return {}
    return {name: type_ for name, type_ in columns.items() if name not in scorers}


def common(left: Columns, right: Columns) -> Columns:
    """The columns that both pools have, of one type."""
    if left is None or right is None:
        return right if left is None else left
    return {name: type_ for name, type_ in left.items() if right.get(name) == type_}


# ------------------------------------------------------------------------------ types


@dataclass(frozen=True, slots=True)
class _Types:
    """Types of an operation's expressions."""

    plan: Plan
    operation: Operation
    columns: Mapping[int, Columns]
    fail: Fail | None = None

    def of(self, expression: Expr, row: Columns, streaming: bool = False) -> str:
        """The type of an expression over rows with these columns, bottom-up without recursion.

        With `fail`, arguments of the wrong type are errors.
        """
        # A node is seen twice: its parts first, then itself. Rows differ inside an aggregate.
        results: list[str] = []
        waiting: list[tuple[Expr, Columns, bool]] = [(expression, row, False)]
        while waiting:
            node, rows, ready = waiting.pop()
            if not ready:
                waiting.append((node, rows, True))
                inner = self._inner(node, rows)
                waiting.extend((part, of, False) for part, of in reversed(inner))
                continue
            parts = [results.pop() for _ in expr.children(node)][::-1]
            results.append(self._type(node, rows, parts, streaming))
        return results[0]

    def _inner(self, node: Expr, rows: Columns) -> list[tuple[Expr, Columns]]:
        if not isinstance(node, expr.Aggregate):
            return [(part, rows) for part in expr.children(node)]
        pool = self.columns.get(self.operation.inputs[node.pool])
        return [(part, rows if part is node.quantile else pool) for part in expr.children(node)]

    def _type(self, node: Expr, rows: Columns, parts: list[str], streaming: bool) -> str:
        if streaming and isinstance(node, expr.PoolWide | expr.Random):
            self._wrong("what is read while a row is generated looks at that row alone")
        match node:
            case Const(value):
                return literal_type(value)
            case expr.Input(index):
                return self.plan.values[self.operation.inputs[index]].kind.value
            case expr.Column(name):
                made_type = (rows or {}).get(name)
                scored = any(each.name == name for each in self.plan.scorers)
                if streaming and (scored or name in NEEDS_POOL):
                    self._wrong(f"column `{name}` is not known while a row is generated")
                if made_type is None and rows is not None and name not in COLUMNS:
                    self._wrong(f"there is no column `{name}`")
                return made_type or (COLUMNS[name].type if name in COLUMNS else UNKNOWN)
            case expr.Reduce(column=column):
                if rows is not None and rows.get(column) != STEPS:
                    self._wrong(f"column `{column}` has no number per step")
            case expr.Delimiter():
                return "text"
            case expr.Aggregate("first"):
                return parts[0]
        types, result = signature(node, parts)
        for part, expected in zip(parts, types, strict=True):
            if UNKNOWN not in (part, expected) and part != expected:
                name = getattr(node, "function", getattr(node, "how", "a random number"))
                self._wrong(f"`{name}` takes a {expected}, not a {part}")
        return result

    def _wrong(self, message: str) -> None:
        if self.fail is not None:
            raise self.fail(message)


def literal_type(value: object) -> str:
    """The type of a literal."""
    if isinstance(value, bool):
        return "flag"
    return "text" if isinstance(value, str) else UNKNOWN if value is None else "number"


# ------------------------------------------------------------------------------ rules


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules, and how a broken one is reported."""

    fail: Fail

    def texts(self, part: object) -> None:
        """Texts are Unicode, numbers are those of the language."""
        waiting = [part]
        while waiting:
            current = waiting.pop()
            if isinstance(current, str):
                try:
                    current.encode()
                except UnicodeEncodeError:
                    raise self.fail("a text holds a surrogate, which is no character") from None
            elif isinstance(current, Mapping):
                waiting += [*current, *current.values()]
            elif isinstance(current, tuple):
                waiting += current
            elif is_dataclass(current) and not isinstance(current, type):
                waiting += [getattr(current, field.name) for field in fields(current)]
            elif type(current) in (int, float) and not is_number(current):
                raise self.fail("a number is not finite, or above 1.797e308")

    def name(self, name: str, what: str) -> None:
        """A name of the language."""
        if not is_name(name) or len(name) > _LONGEST:
            shown = name if len(name) <= 40 else f"{name[:37]}..."
            raise self.fail(f"{what} is called {shown!r}, which is no name")

    def plan(self, plan: Plan) -> None:
        """Declarations."""
        strategy, bracket, rest = plan.strategy.partition("[")
        self.name(strategy, "the strategy")
        if bracket and not _SWEPT.fullmatch(bracket + rest):
            raise self.fail("the strategy's name continues with what is no value of a sweep")
        for parameter in plan.parameters:
            self.name(parameter, "a parameter")
        if not plan.policies:
            raise self.fail("no policy is declared")
        for what, names in (
            ("policy", plan.policies),
            ("scorer", [scorer.name for scorer in plan.scorers]),
            ("prompt", [prompt.name for prompt in plan.prompts]),
        ):
            for name in names:
                self.name(name, f"a {what}")
            if len(set(names)) < len(names):
                raise self.fail(f"a {what} is declared twice")
        for name in (value.name for value in plan.values):
            if len(name) > _LONGEST or not name.isprintable():
                raise self.fail("the name of a value is too long, or cannot be printed")
        for prompt in plan.prompts:
            self.template(prompt)
        for scorer in plan.scorers:
            self.scorer(plan, scorer)

    def template(self, template: Template) -> None:
        """Slots of a prompt."""
        self.name(template.name, "a prompt")
        for part in template.parts:
            if isinstance(part, Slot):
                if part.name not in ROW_SLOTS:
                    for name in part.name.split(".", 1):
                        self.name(name, "a slot")
                if part.last is not None and (part.name != "attempts" or part.last < 1):
                    raise self.fail(f"`last {part.last}` of slot `{part.name}`")

    def scorer(self, plan: Plan, scorer: graph.Scorer) -> None:
        """A scorer's range, field and judge."""
        low, high = scorer.low, scorer.high
        if low is not None and high is not None and low > high:
            raise self.fail(f"scorer `{scorer.name}` has a range from {low:g} to {high:g}")
        if scorer.judge is None:
            return
        judge = scorer.judge
        self.template(judge.template)
        single = not scorer.together and not judge.pairwise
        if judge.history and not single:
            raise self.fail(f"judge `{scorer.name}` continues the conversations of several rows")
        options = len(judge.options)
        fits = {
            "number": not options and judge.low is not None and judge.high is not None,
            "choice": single == (options > 0),
            "ranking": not options and scorer.together and not judge.pairwise,
            "probability": single and options == 1,
        }
        if not fits.get(judge.read, False) or scorer.steps or scorer.field is not None:
            raise self.fail(f"judge `{scorer.name}` cannot read {judge.read!r}")
        if judge.pairwise and not scorer.together:
            raise self.fail(f"judge `{scorer.name}` is pairwise, so it sees the whole pool")
        if not 0 <= judge.retries <= _RETRIES:
            raise self.fail(f"judge `{scorer.name}` retries {judge.retries} times")
        self.slots(judge.template, scorer.together, None)
        if judge.decoding.policy != judge.policy:
            raise self.fail(f"judge `{scorer.name}` names two policies")
        outside = Operation(graph.Compute(Const(None)), (), ())
        types = _Types(plan, outside, {}, self.fail)
        self.parts(judge.decoding, types, {})

    def slots(self, template: Template, together: bool, arguments: set[str] | None) -> None:
        """Slots fit what the prompt is about, and all others have an argument."""
        for part in template.parts:
            if isinstance(part, Slot):
                name = part.name
                has_argument = arguments is not None and name in arguments
                pool = split_slot(name)[0] == "candidates"
                if not has_argument and (shows_row(name) and name in ONE_ROW if together else pool):
                    raise self.fail(f"slot `{name}` of `{template.name}` has nothing to show")
                has_value = name in ROW_SLOTS or arguments is None or has_argument
                head, shown = split_slot(name)
                has_value |= head == "field" or (head in LISTS and shown in TEXTS)
                if not has_value:
                    raise self.fail(f"`{template.name}` needs a value for `{name}`")

    def declared(self, number: int, columns: Mapping[str, str], computed: Columns) -> None:
        """Columns that a value is said to have are there."""
        for name, type_ in columns.items():
            if computed is not None and computed.get(name) not in (type_, UNKNOWN):
                raise self.fail(f"values[{number}] has no column `{name}` ({type_})")

    def operation(self, plan: Plan, operation: Operation, columns: Mapping[int, Columns]) -> None:
        """One operation's names, types and ranges."""
        spec = operation.spec
        types = _Types(plan, operation, columns, self.fail)
        place = entry(spec).row_input
        row = {} if place is None else columns[operation.inputs[place]]
        for outer in fields_in(spec):
            for node in expr.walk(outer, pools=False) if place is None else ():
                if isinstance(node, expr.PoolWide):
                    raise self.fail(f"`{node.how}` compares rows, and there is no pool here")
            for node in expr.walk(outer):
                if isinstance(node, expr.Statistic):
                    windowed = node.span in ("tail", "lowest")
                    if (node.window is not None) != windowed or (
                        node.share is not None and node.span != "lowest"
                    ):
                        raise self.fail(f"`{node.how}` over `{node.span}` has the wrong arguments")
        for key in keys_of(spec):
            if row is not None and key not in COLUMNS and row.get(key, STEPS) == STEPS:
                raise self.fail(f"there is no column `{key}` to group by")
        self.parts(spec, types, row)
        match spec:
            case graph.Compute(value):
                computed = types.of(value, {})
                kind = plan.values[operation.outputs[0]].kind.value
                if computed not in (kind, UNKNOWN):
                    raise self.fail(f"the value is a {computed}, and the output a {kind}")
            case graph.Let(name=name):
                self.name(name, "a column")
                if name in COLUMNS or any(each.name == name for each in plan.scorers):
                    raise self.fail(f"`{name}` is a column already")
            case graph.Ask(prompt=prompt, together=together, arguments=arguments):
                if spec.history and together:
                    raise self.fail("`with history` continues one conversation")
                passed = (*arguments, *spec.shown)
                self.arguments(plan.prompt(prompt), together, passed, types, row)
            case graph.Score(scorer=scorer, arguments=arguments):
                judge = plan.scorer(scorer).judge
                template = None if judge is None else judge.template
                passed = (*arguments, *spec.shown)
                self.arguments(template, plan.scorer(scorer).together, passed, types, row)
                if spec.times is not None and judge is None:
                    raise self.fail("`times` belongs to a judge")
            case graph.Call(strategy=strategy):
                self.name(strategy, "a strategy")
            case graph.Backup(keeping=keeping) if keeping not in graph.KEEPING:
                raise self.fail(f"`backup` keeps no `{keeping}`")
            case graph.Cut(unit=unit) if unit not in (graph.Unit.STEPS, graph.Unit.TOKENS):
                raise self.fail(f"a path is not cut to {unit.value}")

    def arguments(
        self,
        template: Template | None,
        together: bool,
        arguments: tuple[tuple[str, Expr | int], ...],
        types: _Types,
        row: Columns,
    ) -> None:
        """Arguments of a prompt or judge."""
        names = [name for name, _ in arguments]
        for name in names:
            for part in name.split(".", 1):
                self.name(part, "an argument")
        if len(set(names)) < len(names) or set(names) & set(ROW_SLOTS):
            raise self.fail("an argument appears twice, or is called like a slot")
        for name, value in arguments:
            if not isinstance(value, int) and types.of(value, row) in (STEPS, KEY):
                raise self.fail(f"argument `{name}` is no number and no text")
        if template is not None:
            self.slots(template, together, set(names))

    def parts(self, part: object, types: _Types, row: Columns) -> None:
        """Every expression of a spec has the type of its place, and literals are in range."""
        for holder, name, expression in _places(part):
            streaming = name in ("stop_when", "end_when")
            type_ = types.of(expression, row, streaming)
            clause = clauses(type(holder)).get(name)
            expected = None if clause is None else clause.type
            if expected is not None and type_ not in (expected, UNKNOWN):
                raise self.fail(f"`{name}` is a {expected}, and this is a {type_}")
            if expected is None and type_ not in (*_SCALARS, UNKNOWN, KEY):
                raise self.fail(f"`{name}` is one value, and this is a {type_}")
        for outer in fields_in(part):
            for node in expr.walk(outer):
                self.ranges(node)
        for holder in _holders(part):
            self.ranges(holder)

    def ranges(self, holder: object) -> None:
        """Literals of clauses are in the ranges that the language gives them."""
        for name, clause in clauses(type(holder)).items():
            low, high, open_low = clause.range
            value = getattr(holder, name) if clause.range != ANY else None
            if isinstance(value, Const) and value.value is None:
                raise self.fail(f"`{name}` is missing")
            number = value.value if isinstance(value, Const) else None
            if isinstance(number, int | float) and (
                not low <= number <= high or (open_low and number == low)
            ):
                above = "above" if open_low else "at least"
                limit = "" if high == float("inf") else f" and at most {high:g}"
                raise self.fail(f"`{name}` is {number:g}: it must be {above} {low:g}{limit}")


def _holders(part: object) -> Iterator[object]:
    """A spec and its parts, expressions left out."""
    if is_dataclass(part) and not isinstance(part, Expr):
        yield part
        for field in fields(part):
            yield from _holders(getattr(part, field.name))


def _places(part: object) -> Iterator[tuple[object, str, Expr]]:
    """Every outermost expression with what holds it, and the field's name."""
    for holder in _holders(part):
        assert is_dataclass(holder)
        for field in fields(holder):
            value: Any = getattr(holder, field.name)
            if isinstance(value, Expr) and field.name != "arguments":
                yield holder, field.name, value
