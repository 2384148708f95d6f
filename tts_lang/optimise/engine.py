"""Applies the rules of a pass to every operation until none fires, and records a trace."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from tts_lang.optimise.analyses import Analyses
from tts_lang.optimise.rewriter import MutablePlan, OpNode
from tts_lang.optimise.rules import Declined, Keeps, Match, Pass, Rule, matched
from tts_lang.plan.graph import Plan

#: More rewrites per operation than any terminating set of rules needs.
_TOO_MANY = 40


class LoopingRules(Exception):
    """Rules that undo each other: a defect of the optimiser, not of the plan."""


@dataclass(slots=True)
class RuleTrace:
    """Counts how often a rule fired, and its reasons to decline after its pattern began to fit."""

    rule: Rule
    fired: int = 0
    declined: Counter[str] = field(default_factory=Counter)

    @property
    def why_not(self) -> str:
        """The most frequent reason to decline; if there is none, that nothing fits."""
        if self.declined:
            return self.declined.most_common(1)[0][0]
        ops = [op.op for op in self.rule.pattern.ops]
        return f"there is no {' or '.join(ops)} to try it on" if ops else "nothing to do"


@dataclass(slots=True)
class PassTrace:
    """The trace of a pass: how often each rule fired, and the names of the rules in order."""

    passed: Pass
    rules: tuple[RuleTrace, ...]
    applied: tuple[str, ...] = ()

    @property
    def fired(self) -> int:
        """The number of rewrites."""
        return len(self.applied)


def run(passed: Pass, plan: Plan, keeps: Keeps = Keeps.TEXTS) -> tuple[Plan, PassTrace]:
    """The plan after a pass; the same object if no rule fired.

    Args:
        passed: Its rules.
        plan: The plan before.
        keeps: What has to be kept. With `ANSWER` every rule is tried, whatever a run costs.

    Raises:
        LoopingRules: More rewrites than a terminating set of rules would make.
    """
    work = MutablePlan(plan)
    analyses = Analyses(work, frugal=keeps is Keeps.TEXTS)
    traces = tuple(
        RuleTrace(rule) for rule in passed.rules if keeps is Keeps.ANSWER or rule.keeps is keeps
    )
    waiting = deque(work.nodes())
    queued = set(waiting)
    limit = _TOO_MANY * (len(waiting) + 1)
    applied: list[str] = []
    while waiting:
        node = waiting.popleft()
        queued.discard(node)
        if node.gone:
            continue
        for trace in traces:
            nodes = matched(trace.rule.pattern, node, work)
            if nodes is None:
                continue
            if isinstance(nodes, str):
                trace.declined[nodes] += 1
                continue
            edit = trace.rule.replacement(Match(nodes, work, analyses))
            if edit is None:
                continue
            if isinstance(edit, Declined):
                trace.declined[edit.why] += 1
                continue
            trace.fired += 1
            applied.append(trace.rule.name)
            if len(applied) > limit:
                raise LoopingRules(f"pass {passed.name} does not end: {', '.join(applied[-10:])}")
            for other in _with_users(work, work.apply(edit)):
                if not other.gone and other not in queued:
                    queued.add(other)
                    waiting.append(other)
            break
    trace_of_pass = PassTrace(passed, traces, tuple(applied))
    return (work.freeze() if applied else plan), trace_of_pass


def _with_users(plan: MutablePlan, touched: list[OpNode]) -> list[OpNode]:
    """Operations and the readers of their outputs: patterns look at the operations before."""
    nodes = dict.fromkeys(touched)
    for node in touched:
        for value in node.outputs:
            nodes.update((user, None) for user in plan.users(value) if isinstance(user, OpNode))
        for block in node.blocks:
            nodes.update(dict.fromkeys(block))
    return list(nodes)
