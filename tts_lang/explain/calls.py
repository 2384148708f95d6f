"""What policy calls cost beside the tokens that they sample: what is read, what is cached, FLOPs.

A policy reads every token of a conversation once and keeps it for the rest of the problem (a prefix
cache that forgets nothing); what it samples it has read. So it has to read prompts, forced text,
and what other policies sampled. The problem's own prompt is read once by each policy, whichever
operation comes first; it is charged to each operation that may be it (`Ledger.prompts`), and once
to the whole plan.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tts_lang.explain.cost import Cost, Pool
from tts_lang.explain.interval import INFINITY, product
from tts_lang.explain.models import UNKNOWN, Model, Models, attended
from tts_lang.plan import graph
from tts_lang.plan.graph import Plan, operations

#: A policy, and which of the problem's conversations it reads the prompt of (`Pool.own`).
Prompt = tuple[str, int]


@dataclass(slots=True)
class Ledger:
    """What is known of a plan's policies, and what they may have read so far.

    Attributes:
        context, prompt: Tokens of a context window, and of a problem, at most.
        models: Sizes of models, as far as they are known.
        default: The policy that looks ahead.
        foreign: A path may hold tokens that the policy has not sampled itself.
        asks: There are conversations beside the problem's own.
        called: Policies that may have been called.
        read: Problem prompts that have been read for certain.
        prompts: Those that the operation under way may be the first to read.
    """

    context: float
    prompt: float
    models: Models = UNKNOWN
    default: str = "policy"
    foreign: bool = True
    asks: bool = True
    policies: frozenset[str] = frozenset()
    called: frozenset[str] = frozenset()
    read: frozenset[Prompt] = frozenset()
    prompts: set[Prompt] = field(default_factory=set)

    @classmethod
    def of(cls, plan: Plan, context: float, prompt: float, models: Models) -> Ledger:
        """That of a plan before anything runs."""
        specs = {type(operation.spec) for operation in operations(plan.body)}
        default = plan.policies[0] if plan.policies else "policy"
        foreign = len(plan.policies) > 1 or bool(specs & {graph.Force, graph.Split})
        asks = graph.Ask in specs
        known = frozenset((*plan.policies, default))
        return cls(context, min(prompt, context), models, default, foreign, asks, known)

    def nothing_is_first(self) -> None:
        """What comes may run several times, so it may not be the first to call anyone."""
        self.called = self.policies

    def prompt_flops(self, name: str) -> float:
        """Of reading the problem's prompt once."""
        return _flops(self.models.of_policy(name), 1, self.prompt, self.prompt)

    # ---------------------------------------------------------------------------- calls

    def going_on(
        self, pool: Pool, policy: str, calls: float, limit: float, *, certain: bool = False
    ) -> Cost:
        """Calls that go on from the rows of a pool, each for at most so many tokens; `certain`:
        there is at least one."""
        if not calls:
            return Cost()
        context = self.context
        start = context if pool.asked else min(context, self.prompt + pool.length)
        seen = dict(pool.seen)
        unread = min(start, seen.get(policy, self.unread(pool)))
        first = False
        other = 0.0
        if policy not in seen:
            own = frozenset((policy, kind) for kind in (1, 2) if pool.own & kind)
            self.prompts |= own - self.read
            other = pool.asked
            alone = len(own) == 1 and not pool.asked
            first = alone and not pool.length and policy not in self.called
            if certain and alone:
                self.read |= own
        self.called |= {policy}
        model = self.models.of_policy(policy)
        return Cost(
            prefilled=product(pool.high, unread) + product(other, context),
            # Of the calls that begin with the prompt nobody has read, one has to read it.
            cached=product(calls - first, start) if calls > first else 0.0,
            flops=_flops(model, calls, limit, min(context, start + limit))
            + _flops(model, pool.high, unread, start)
            + _flops(model, other, context, context),
        )

    def opening(self, policy: str, prompts: float, calls: float, limit: float) -> Cost:
        """Calls in conversations of their own, each of which may fill the context window.

        Any of them may be read already: rows on one node are asked in one conversation.
        """
        context = self.context
        model = self.models.of_policy(policy)
        return Cost(
            prefilled=product(prompts, context),
            cached=product(calls, context),
            flops=_flops(model, calls, limit, context) + _flops(model, prompts, context, context),
        )

    def scoring(self, scorer: str, reads: float, tokens: float, length: float) -> Cost:
        """Reads of so many new tokens each, at the end of paths of at most this length."""
        end = min(self.context, self.prompt + length)
        return Cost(flops=_flops(self.models.of_scorer(scorer), reads, min(tokens, end), end))

    # ---------------------------------------------------------------------------- reading

    def unread(self, pool: Pool) -> float:
        """Tokens of a row's path that a policy may not have read if nothing else is known."""
        if not self.foreign:
            return 0.0
        # Another policy cuts a text into tokens of its own.
        return self.context if len(self.policies) > 1 else pool.length

    def seen_after(self, pool: Pool, policy: str, *, fresh: bool) -> tuple[tuple[str, float], ...]:
        """What has been read once rows have been continued; `fresh`: all of them were called."""
        seen = {name: self.context for name, _ in pool.seen if name != policy}
        before = dict(pool.seen)
        if fresh:
            seen[policy] = 0.0
        elif policy in before:  # rows that are done pass through as they were
            seen[policy] = before[policy]
        return tuple(sorted(seen.items()))

    def seen_with(self, pool: Pool, added: float) -> tuple[tuple[str, float], ...]:
        """What has been read once every path holds so many tokens that nobody sampled."""
        return tuple((name, min(self.context, unread + added)) for name, unread in pool.seen)


def _flops(model: Model | None, times: float, tokens: float, end: float) -> float:
    if model is None:
        return 0.0
    if INFINITY in (tokens, end):
        return INFINITY if times and tokens else 0.0
    return product(times, model.flops(tokens, attended(min(tokens, end), end)))
