"""Tries the rules of a pass on every operation until none fires, and keeps a trace."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

from tts_lang.optimise.rules import Declined, Facts, Match, Pass, Rule, matched
from tts_lang.optimise.workspace import Site, Workspace
from tts_lang.plan.graph import Plan

#: Rewrites per operation that no terminating set of rules needs.
_TOO_MANY = 40


class LoopingRules(Exception):
    """Rules that undo one another: a defect of the optimiser, not of the plan."""


@dataclass(slots=True)
class RuleTrace:
    """How often a rule fired, and why it did not where its pattern began to fit."""

    rule: Rule
    fired: int = 0
    declined: Counter[str] = field(default_factory=Counter)

    @property
    def why_not(self) -> str:
        """The commonest reason; that nothing fits if there is none."""
        if self.declined:
            return self.declined.most_common(1)[0][0]
        ops = [op.op for op in self.rule.pattern.ops]
        return f"there is no {' or '.join(ops)} to try it on" if ops else "nothing to do"


@dataclass(slots=True)
class PassTrace:
    """What a pass did."""

    passed: Pass
    rules: tuple[RuleTrace, ...]

    @property
    def fired(self) -> int:
        """Rewrites in all."""
        return sum(rule.fired for rule in self.rules)


def run(passed: Pass, plan: Plan) -> tuple[Plan, PassTrace]:
    """The plan after a pass; the same object if no rule fired.

    Raises:
        LoopingRules: More rewrites than a terminating set of rules would make.
    """
    work = Workspace(plan)
    facts = Facts(work)
    traces = tuple(RuleTrace(rule) for rule in passed.rules)
    waiting = deque(work.sites())
    queued = set(waiting)
    limit = _TOO_MANY * (len(waiting) + 1)
    recent: deque[str] = deque(maxlen=10)
    while waiting:
        site = waiting.popleft()
        queued.discard(site)
        if site.gone:
            continue
        for trace in traces:
            sites = matched(trace.rule.pattern, site, work)
            if sites is None:
                continue
            if isinstance(sites, str):
                trace.declined[sites] += 1
                continue
            edit = trace.rule.replacement(Match(sites, work, facts))
            if edit is None:
                continue
            if isinstance(edit, Declined):
                trace.declined[edit.why] += 1
                continue
            trace.fired += 1
            recent.append(trace.rule.name)
            if sum(each.fired for each in traces) > limit:
                raise LoopingRules(f"pass {passed.name} does not end: {', '.join(recent)}")
            for other in _with_users(work, work.apply(edit)):
                if not other.gone and other not in queued:
                    queued.add(other)
                    waiting.append(other)
            break
    trace_of_pass = PassTrace(passed, traces)
    return (work.freeze() if trace_of_pass.fired else plan), trace_of_pass


def _with_users(work: Workspace, touched: list[Site]) -> list[Site]:
    """Sites and those that read what they give: patterns look behind an operation."""
    found = dict.fromkeys(touched)
    for site in touched:
        for value in site.outputs:
            found.update((user, None) for user in work.users(value) if isinstance(user, Site))
        for block in site.blocks:
            found.update(dict.fromkeys(block))
    return list(found)
