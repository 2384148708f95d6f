"""The analyses of a plan that rules rely on, each run when a rule first asks for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cached_property
from typing import TypeAlias

from tts_lang.optimise.liveness import Liveness, StepReuse
from tts_lang.optimise.rewriter import Block, MutablePlan, OpNode
from tts_lang.optimise.row_bounds import RowBounds
from tts_lang.plan import graph
from tts_lang.plan.columns import HISTORY, LINEAGE
from tts_lang.plan.constants import literal_number
from tts_lang.plan.expr import Aggregate, Const
from tts_lang.plan.graph import Amount, Decoding
from tts_lang.plan.operator import entry
from tts_lang.plan.reads import columns_read, nodes_of
from tts_lang.plan.template import ROW_SLOTS, Slot, split_slot


class Analyses:
    """Facts about a plan at the beginning of a pass.

    The rewrites of a pass must keep what is known of the values that remain; nothing is known of
    values that a rewrite adds.

    Args:
        plan: The plan under rewriting.
        frugal: No rewrite may make a run cost more tokens: also what saves work must stay.
    """

    def __init__(self, plan: MutablePlan, *, frugal: bool = True) -> None:
        self._plan = plan
        self._frugal = frugal

    @cached_property
    def live(self) -> Liveness:
        """Operations and columns that the answer needs."""
        return Liveness(self._plan)

    @cached_property
    def rows(self) -> RowBounds:
        """Bounds of rows, and whether they lie in trees of their own."""
        return RowBounds(self._plan)

    @cached_property
    def _reuse(self) -> StepReuse:
        return StepReuse(self._plan, self.live)

    @cached_property
    def _sharing(self) -> Sharing:
        return Sharing(self._plan)

    def saves_reading(self, node: OpNode) -> bool:
        """Whether an unread score saves later scorings work, where that matters."""
        return self._frugal and self._reuse.saves_reading(node)

    def shared(self, node: OpNode) -> bool:
        """Whether another operation may ask for the same generation, where that matters."""
        return self._frugal and self._sharing.possible(node)

    # ------------------------------------------------------------------ what tells rows apart

    @cached_property
    def _columns(self) -> frozenset[str]:
        """Every column that the plan reads by name."""
        specs = [node.spec for node in self._plan.nodes()]
        return frozenset().union(*map(columns_read, specs), *map(columns_read, self._decodings))

    @cached_property
    def _decodings(self) -> tuple[Decoding, ...]:
        """The sampling settings of judges."""
        scorers = self._plan.plan.scorers
        return tuple(scorer.judge.decoding for scorer in scorers if scorer.judge is not None)

    @cached_property
    def _slots(self) -> dict[str, str]:
        """The slots of prompts and judges, each with the name of one that has it."""
        plan = self._plan.plan
        judges = [scorer.judge.template for scorer in plan.scorers if scorer.judge is not None]
        return {
            part.name if part.name in ROW_SLOTS else split_slot(part.name)[0]: template.name
            for template in (*plan.prompts, *judges)
            for part in template.parts
            if isinstance(part, Slot)
        }

    @cached_property
    def draws(self) -> bool:
        """Some expression draws random numbers, which are counted per row and scope."""
        return any(node.draws for node in self._plan.nodes())

    @cached_property
    def lineage(self) -> str | None:
        """A reason why answers may depend on the parents of rows; `None` if they do not."""
        for node in self._plan.nodes():
            if entry(node.spec).lineage:
                return f"`{node.spec.op}` walks from rows to their parents"
            if any(isinstance(each, Aggregate) and each.below for each in node.expressions):
                return "rows below others are read"
        for name in sorted(self._columns & LINEAGE):
            return f"`{name}` is read"
        if "parent.text" in self._slots:
            return f"prompt `{self._slots['parent.text']}` shows a parent's text"
        return None

    @cached_property
    def history(self) -> str | None:
        """A reason why a generation may differ from a chain of them; `None` if it does not.

        Their rows differ in `parent`, and in `finish` where a step ends exactly at a limit. Random
        numbers belong to rows by the place of their node.
        """
        if self.draws:
            return "random numbers are drawn for rows"
        for name in sorted((self._columns & HISTORY) - LINEAGE):
            return f"`{name}` is read"
        return self.lineage

    @cached_property
    def copies(self) -> str | None:
        """A reason why a copy may differ from its row, apart from its tree."""
        if self.draws:
            return "random numbers are drawn for rows"
        if "attempts" in self._slots:
            return "attempts are shown"
        return self.lineage

    @cached_property
    def identity(self) -> str | None:
        """A reason why rows are compared by identity, or a copy may differ from its row."""
        for node in self._plan.nodes():
            if isinstance(node.spec, graph.Union | graph.Difference):
                return f"`{node.spec.op}` compares rows by identity"
        if "others" in self._slots:
            return "the other rows of a pool are shown"
        return self.copies

    @cached_property
    def roots(self) -> bool:
        """Whether anything depends on the tree that a row belongs to."""
        together = any(
            isinstance(node.spec, graph.Ask) and node.spec.together for node in self._plan.nodes()
        )
        return together or "root" in self._columns

    def calls(self, block: Block) -> bool:
        """Whether a block's scope calls strategies other than on lanes of their own.

        Rows of a plain call may lie on any node of the scope, where their children are numbered
        together with those of the scope's own rows (C2, C13).
        """
        return any(
            isinstance(node.spec, graph.Call) and not node.spec.fresh
            for node, _ in self._plan.in_scope(block.scope)
        )


_Way: TypeAlias = "tuple[Decoding, Amount]"


class Sharing:
    """Generations that could be requested twice in a run, and so cost once (C62).

    Two requests are one if policy, prompt, prefix, key, sampling and limits are equal. Within one
    call every child has its own number and so its own key; but a call starts from 0 again (C13),
    and at temperature 0 the key does not count (C15). Fusing two generations changes the request,
    so those that another operation may request too are left alone: they would then cost twice.
    """

    def __init__(self, plan: MutablePlan) -> None:
        self._calls = False
        self._greedy = any(scorer.judge is not None for scorer in plan.plan.scorers)
        self._ways: Counter[_Way] = Counter()
        for node in plan.nodes():
            spec = node.spec
            self._calls |= isinstance(spec, graph.Call)
            self._greedy |= isinstance(spec, graph.Score) and spec.ahead is not None
            if isinstance(spec, graph.Expand | graph.Ask):
                self._ways[_way(spec)] += 1

    def possible(self, node: OpNode) -> bool:
        """Whether another operation may request the same generation.

        A binding whose own temperature is 0 is not considered: there the saving may be smaller.
        """
        spec = node.spec
        assert isinstance(spec, graph.Expand | graph.Ask)
        temperature = spec.decoding.temperature
        regular = temperature is None or (literal_number(temperature) or 0) > 0
        if regular and not self._calls:
            return False
        return self._ways[_way(spec)] > 1 or (not regular and self._greedy)


def _way(spec: graph.Expand | graph.Ask) -> _Way:
    """All of a request that the operation states; the number of children does not matter."""
    return spec.decoding, replace(spec.amount, count=Const(0))


def fixed(part: object) -> bool:
    """Whether only literals stand in a part of an operator."""
    return all(isinstance(node, Const) for node in nodes_of(part))
