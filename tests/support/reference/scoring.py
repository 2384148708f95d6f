"""score: engines, look-ahead, judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from math import exp, isfinite

from tests.support.reference.asks import Slots, argument_parts, conversation, fill
from tests.support.reference.expressions import Context, count_by, evaluate, groups
from tests.support.reference.generate import Call, grown, request_for, room, settings
from tests.support.reference.machine import Machine
from tests.support.reference.model import (
    Node,
    Pool,
    Row,
    Scope,
    StrategyFailure,
    Value,
    Vector,
)
from tests.support.reference.values import number
from tts_lang.plan import graph
from tts_lang.plan.expr import Const
from tts_runtime.answers.judge_replies import final_text, read
from tts_runtime.engines.base import (
    GenerateRequest,
    Limits,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.scorers import FieldScorer
from tts_runtime.steps import NOTHING
from tts_runtime.streams import asked_key

LIKELIEST = 20


def score(machine: Machine, spec: graph.Score, pool: Pool, context: Context) -> Pool:
    """The same rows with the scorer's column (C29)."""
    scorer = machine.plan.scorer(spec.scorer)
    seen = pool
    if spec.ahead is not None:
        steps = count_by(spec.ahead, context)
        seen = [rollout(machine, row, steps, context) for row in pool]
    words: list[str] = ["" for _ in pool]
    if scorer.judge is not None:
        found = judged(machine, spec, scorer, scorer.judge, seen, context, words)
    elif scorer.together:
        found = [None for _ in pool]
        for places in groups(pool, spec.per, context):
            requests = [request(machine, seen[place].node) for place in places]
            for place, column in zip(places, together(machine, scorer, requests), strict=True):
                found[place] = column
    else:
        found = [alone(machine, scorer, request(machine, row.node)) for row in seen]
    for row, column in zip(pool, found, strict=True):
        machine.scores.setdefault(row.uid, {})[spec.scorer] = column
    return [
        row.again(scores={**row.scores, spec.scorer: column, f"{spec.scorer}.words": said})
        for row, column, said in zip(pool, found, words, strict=True)
    ]


def request(machine: Machine, node: Node) -> ScoreRequest:
    """All of a candidate, whatever has been scored before (C32)."""
    gold = {} if machine.problem.answer is None else {"answer": machine.problem.answer}
    return ScoreRequest(
        problem=machine.problem.text,
        fields={**machine.problem.fields, **gold},
        text=node.text,
        steps=node.segments.texts,
        answer=machine.answer(node),
    )


def alone(machine: Machine, scorer: graph.Scorer, asked: ScoreRequest) -> Value | Vector:
    """One candidate's score."""
    if scorer.steps and not asked.steps:
        return ()
    key = (scorer.name, asked.text, asked.steps, asked.answer)
    machine.counts.scorer_calls += 1
    if key not in machine.replies:
        field = FieldScorer(scorer.field) if scorer.field is not None else None
        engine = machine.scorers[scorer.name] if field is None else field
        machine.replies[key] = engine.score_now(asked)
    reply = machine.replies[key]
    assert isinstance(reply, ScoreReply)
    return as_column(scorer, reply)


def together(
    machine: Machine, scorer: graph.Scorer, requests: Sequence[ScoreRequest]
) -> list[Value | Vector]:
    """A pool's scores, read side by side."""
    key = (scorer.name, *((asked.text, asked.steps, asked.answer) for asked in requests))
    machine.counts.scorer_calls += len(requests)
    if key not in machine.replies:
        machine.replies[key] = machine.scorers[scorer.name].score_together_now(requests)
    replies = machine.replies[key]
    assert isinstance(replies, Sequence)
    return [as_column(scorer, reply) for reply in replies]


def as_column(scorer: graph.Scorer, reply: ScoreReply) -> Value | Vector:
    """The column's value; a score outside the declared range is an error."""
    for given in reply.scores:
        low, high = scorer.low, scorer.high
        outside = given is not None and (
            not isfinite(given)
            or (low is not None and given < low)
            or (high is not None and given > high)
        )
        if outside:
            raise StrategyFailure(f"{scorer.name} gave {given}, outside {low} to {high}")
    return reply.scores if scorer.steps else reply.scores[0]


def rollout(machine: Machine, row: Row, steps: int, context: Context) -> Row:
    """The row some greedy steps later; no child is counted (C11)."""
    if steps <= 0 or row.node.done:
        return row
    amount = graph.Amount(Const(1), graph.Unit.STEPS, Const(steps))
    call = settings(machine, amount, graph.Decoding(temperature=Const(0)), context)
    if room(machine, row.node, call) <= 0:
        return row
    asked = replace(request_for(machine, row, call, 0, context), key=row.node.key)
    return row.again(node=grown(machine, row.node, asked, call))


# ------------------------------------------------------------------------------ judges


def judged(
    machine: Machine,
    spec: graph.Score,
    scorer: graph.Scorer,
    judge: graph.Judge,
    pool: Pool,
    context: Context,
    words: list[str],
) -> list[Value | Vector]:
    """A judge's readings: a number a row, or a vector of them with `times` (C34).

    `words` gets what it wrote about each row.
    """
    times = count_by(spec.times, context)
    said: list[list[str]] = [[] for _ in pool]
    readings: list[list[Value]] = []
    for reading in range(times):
        if judge.pairwise:
            readings.append(wins(machine, spec, judge, pool, context, reading))
        elif scorer.together:
            readings.append(read_groups(machine, spec, judge, pool, context, reading, said))
        else:
            one: list[Value] = []
            for row, lines in zip(pool, said, strict=True):
                given, reply = reply_to(machine, spec, judge, [row], row, context, reading)
                one += given
                lines.append(reply)
            readings.append(one)
    words[:] = ["\n\n".join(lines) for lines in said]
    if spec.times is None:
        return list(readings[0])
    return [tuple(_as_score(each[place]) for each in readings) for place in range(len(pool))]


def _as_score(value: Value) -> float | None:
    assert not isinstance(value, str)
    return value


def read_groups(
    machine: Machine,
    spec: graph.Score,
    judge: graph.Judge,
    pool: Pool,
    context: Context,
    reading: int,
    said: list[list[str]],
) -> list[Value]:
    """One reading of a judge that sees a whole pool, or each group of it."""
    found: list[Value] = [None for _ in pool]
    for places in groups(pool, spec.per, context):
        group = [pool[place] for place in places]
        given, reply = reply_to(machine, spec, judge, group, None, context, reading)
        for place, value in zip(places, given, strict=True):
            found[place] = value
            said[place].append(reply)
    return found


def wins(
    machine: Machine,
    spec: graph.Score,
    judge: graph.Judge,
    pool: Pool,
    context: Context,
    reading: int,
) -> list[Value]:
    """How often each row is chosen, over the ordered pairs of its group with a verdict."""
    found: list[Value] = [None for _ in pool]
    for places in groups(pool, spec.per, context):
        won: dict[int, float | None] = dict.fromkeys(places, 0.0 if len(places) == 1 else None)
        for pair in permutations(places, 2):
            two = [pool[place] for place in pair]
            given, _ = reply_to(machine, spec, judge, two, None, context, reading)
            for place, value in zip(pair, given, strict=True):
                if value is not None:
                    won[place] = (won[place] or 0) + (number(value) or 0)
        for place in places:
            found[place] = won[place]
    return found


def reply_to(
    machine: Machine,
    spec: graph.Score,
    judge: graph.Judge,
    about: Pool,
    row: Row | None,
    context: Context,
    reading: int,
) -> tuple[list[Value], str]:
    """Asks, reads, and asks again while the reply cannot be read; numbers and the last reply."""
    arguments: dict[str, Value | Pool] = {
        name: evaluate(given, context) for name, given in spec.arguments
    }
    slots = Slots(arguments, dict(spec.shown), context)
    text = fill(machine, judge.template, slots, row, about)
    policy = machine.policies[judge.policy]
    history = about[0].node if judge.history else None
    parts = argument_parts(arguments)
    names = [(other.node.key, other.node.position) for other in about]
    reply = ""
    for retry in range(judge.retries + 1):
        key = asked_key(f"judge:{spec.scorer}", [text, 0, *parts, reading, retry], names)
        node = Node(conversation(policy, text, False, key, history), key, policy.tokenizer)
        if judge.read == "probability":
            return [probability(machine, judge, node, context) for _ in about], ""
        # How a reply is read is a table of its own (tests/executor/test_reading.py).
        reply = final_text(answered(machine, judge, node, context), policy.binding, text)
        numbers = read(judge, reply, len(about))
        if numbers is not None:
            return list(numbers), reply
    return [None for _ in about], reply


def answered(machine: Machine, judge: graph.Judge, node: Node, context: Context) -> str:
    """A judge's reply."""
    whole = graph.Amount(Const(1))
    call: Call = settings(machine, whole, judge.decoding, context)
    row = Row(node, lane=node.key)
    scope = Scope(row, thinks=False)
    asked = request_for(machine, row, call, 0, replace(context, scope=scope))
    return grown(machine, node, asked, call).text


def probability(machine: Machine, judge: graph.Judge, node: Node, context: Context) -> float | None:
    """The raw probability of an option's first token, if it is one of the likeliest; else 0."""
    wanted = node.tokenizer.encode(judge.options[0][0])[0]
    call = settings(machine, graph.Amount(Const(1)), judge.decoding, context)
    prompt = node.conversation.ids(node.tokenizer)
    for rank in range(LIKELIEST):
        asked = GenerateRequest(
            prompt, (), node.key, call.sampling, Limits(1), NOTHING, first_rank=rank
        )
        generation = machine.generate(judge.policy, asked)
        if generation.ids == (wanted,):
            return exp(generation.logprobs[0])
    return 0.0
