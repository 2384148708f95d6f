"""ask: prompts filled from rows, and the conversations that they open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.support.reference.expressions import Context, count_by, evaluate, groups
from tests.support.reference.generate import children, settings
from tests.support.reference.machine import Machine, Policy
from tests.support.reference.model import Conversation, Node, Pool, Row, Value
from tts_lang.plan import expr, graph
from tts_lang.plan.template import Slot, Template
from tts_runtime.streams import Key, Part, asked_key


def text_of(machine: Machine, row: Row) -> str:
    """What `{text}` shows of a row: the question for the problem's own row."""
    return machine.problem.text if row.node.start else row.node.text


def solution_of(machine: Machine, row: Row) -> str:
    """The text after the thinking."""
    text = text_of(machine, row)
    thinking = machine.policies["policy"].binding.thinking
    if thinking is None:
        return text
    return text.rpartition(thinking.end)[2]


def listed(what: str, texts: Sequence[str]) -> str:
    """Numbered texts, a blank line between them."""
    return "\n\n".join(f"{what} {place}:\n{text}" for place, text in enumerate(texts, 1))


def attempts(machine: Machine, row: Row, last: int | None) -> str:
    """The line of asks that led to a row, oldest first."""
    line: list[Row] = []
    current: Row | None = row
    while current is not None and not current.problem:
        line.append(current)
        current = current.asked
    texts = [text_of(machine, attempt).strip() for attempt in reversed(line)]
    return listed("Attempt", texts if last is None else texts[-last:])


def shown(machine: Machine, value: Value | Pool) -> str:
    """An argument of a prompt as text."""
    if isinstance(value, list):
        return "\n\n".join(text_of(machine, row) for row in value)
    return readable(value)


def readable(value: object) -> str:
    """A value in a prompt (C70)."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value == int(value) else format(value, ".6g")
    if isinstance(value, list):
        return "\n".join(readable(each) for each in value)
    return str(value)


@dataclass(frozen=True, slots=True)
class Slots:
    """What fills a prompt: its arguments, and the columns that it shows of the operator's rows."""

    arguments: dict[str, Value | Pool]
    columns: Mapping[str, expr.Expr]
    context: Context

    def column(self, slot: str, row: Row) -> str:
        """A row's column; its place is that in the operator's pool."""
        pool = self.context.inputs[0]
        assert isinstance(pool, list)
        place = next(place for place, other in enumerate(pool) if other.uid == row.uid)
        return readable(evaluate(self.columns[slot], self.context.at(pool, place)))


def fill(machine: Machine, template: Template, slots: Slots, row: Row | None, pool: Pool) -> str:
    """A prompt's text for one row (`row`) or for a whole pool (`row` is None)."""
    parts: list[str] = []
    for part in template.parts:
        if not isinstance(part, Slot):
            parts.append(part)
            continue
        head, _, rest = part.name.partition(".")
        if part.name in slots.arguments:
            parts.append(shown(machine, slots.arguments[part.name]))
        elif part.name == "problem":
            parts.append(machine.problem.text)
        elif head == "field":
            parts.append(readable(machine.problem.fields[rest]))
        elif head in ("candidates", "others"):
            rows = [
                other
                for other in pool
                if head == "candidates" or row is None or other.uid != row.uid
            ]
            inner = Slot(rest or "text")
            texts = [of_row(machine, inner, other, slots, part.name) for other in rows]
            parts.append(listed("Candidate", texts))
        else:
            assert row is not None, part.name
            parts.append(of_row(machine, part, row, slots, part.name))
    return "".join(parts)


def of_row(machine: Machine, slot: Slot, row: Row, slots: Slots, name: str) -> str:
    """A slot that shows one row; `name` is what the prompt calls it."""
    if slot.name == "text":
        return text_of(machine, row)
    if slot.name == "solution":
        return solution_of(machine, row)
    if slot.name == "answer":
        return machine.answer(row.node) or ""
    if slot.name == "parent.text":
        return "" if row.parent is None else text_of(machine, row.parent)
    if slot.name == "attempts":
        return attempts(machine, row, slot.last)
    return slots.column(name, row)


def ask(
    machine: Machine,
    spec: graph.Ask,
    pool: Pool,
    inputs: Sequence[Pool | Value],
    context: Context,
) -> Pool:
    """New conversations about rows, and their children (C5, C6)."""
    template = machine.plan.prompt(spec.prompt)
    many = count_by(spec.amount.count, context)
    arguments: dict[str, Value | Pool] = {
        name: inputs[given] if isinstance(given, int) else evaluate(given, context)
        for name, given in spec.arguments
    }
    slots = Slots(arguments, dict(spec.shown), context)
    result: Pool = []
    if spec.together:
        call = settings(machine, spec.amount, spec.decoding, context)
        for places in groups(pool, spec.per, context):
            group = [pool[place] for place in places]
            text = fill(machine, template, slots, None, group)
            node = opened(machine, spec, text, arguments, group, context)
            roots = {row.root for row in group}
            root = roots.pop() if len(roots) == 1 else None
            start = Row(node, lane=context.scope.problem.lane, root=root)
            result += children(machine, "ask", start, call, context, many)
        return result
    for place, row in enumerate(pool):
        if many <= 0:
            break
        call = settings(machine, spec.amount, spec.decoding, context.at(pool, place))
        text = fill(machine, template, slots, row, pool)
        node = opened(machine, spec, text, arguments, [row], context)
        start = Row(node, row.lane, parent=row, root=row.root, asked=row, lets=row.lets)
        result += children(machine, "ask", start, call, context, many)
    return result


def opened(
    machine: Machine,
    spec: graph.Ask,
    text: str,
    arguments: dict[str, Value | Pool],
    about: Pool,
    context: Context,
) -> Node:
    """The first node of a conversation."""
    policy = machine.policies[spec.decoding.policy]
    thinks = context.scope.thinks
    told = [text, int(thinks), *argument_parts(arguments), *["history"] * spec.history]
    key = asked_key(spec.prompt, told, [(row.node.key, row.node.position) for row in about])
    history = about[0].node if spec.history else None
    return Node(conversation(policy, text, thinks, key, history), key, policy.tokenizer)


def conversation(
    policy: Policy, text: str, thinks: bool, key: Key, history: Node | None
) -> Conversation:
    """A conversation of its own, or another turn of the one so far (C73)."""
    if history is None:
        return Conversation(key, policy.binding.open(text, thinking=thinks), problems_own=False)
    so_far = history.conversation.ids(policy.tokenizer)
    turn = policy.binding.follow(text, thinking=thinks)
    return Conversation(key, turn, problems_own=False, before=(*so_far, *history.ids))


def argument_parts(arguments: dict[str, Value | Pool]) -> list[Part]:
    """What the pools among the arguments add to the key of a conversation."""
    parts: list[Part] = []
    for value in arguments.values():
        if isinstance(value, list):
            parts += ["pool", len(value)]
            for row in value:
                parts += [row.node.key, row.node.position]
    return parts
