"""The rewrites of the prover, each with the law that makes it sound.

A rule looks at a plan and gives the plan after one rewrite, or declines. Every rule keeps the
answer of the strategy for every policy, scorer and problem, in runs without errors (C57); rules
that change what a row is say on what condition nobody can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from tts_lang.laws import rules_control, rules_numbers, rules_rows, rules_sampling
from tts_lang.laws.facts import Facts
from tts_lang.plan.graph import Plan

#: The plan after one rewrite, or nothing.
Rewrite: TypeAlias = Callable[[Facts], Plan | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rewrite and why it is sound, in one line."""

    name: str
    law: str
    rewrite: Rewrite


#: Tried in this order, the first that applies, until none does. Every rule makes the plan smaller,
#: or an operation simpler, so this ends.
RULES: tuple[Rule, ...] = (
    # Numbers first: what they fold to decides counts, trips and branches.
    Rule(
        "constants",
        "a function of constants is the constant that the executor would compute",
        rules_numbers.fold_constants,
    ),
    Rule(
        "one order",
        "sums, products, comparisons and conditions do not depend on which side is written first",
        rules_numbers.in_one_order,
    ),
    Rule(
        "unread inputs",
        "an operation depends on the inputs that it reads, in whatever order they are listed",
        rules_numbers.unread_inputs,
    ),
    Rule(
        "equal weights",
        "votes and shares of one positive weight each are votes and shares without weights (C43)",
        rules_numbers.equal_weights,
    ),
    # Control: fewer regions to look into.
    Rule("no round", "a loop of no round gives what it was given", rules_control.no_round),
    Rule("one round", "a loop of one round without condition is its body", rules_control.one_round),
    Rule("known branch", "a branch whose condition is known is that side", rules_control.branch),
    Rule(
        "carried alike", "a value that no round changes need not go round", rules_control.unchanged
    ),
    Rule("carried unread", "a value that nobody reads need not go round", rules_control.unread),
    Rule(
        "only a call",
        "a strategy that only calls another on the problem is that other: both count from 0 (C13)",
        rules_control.only_a_call,
    ),
    # Rows: what cannot change a pool, or cannot be seen.
    Rule(
        "unused",
        "what only computes and is not used plays no part; a call counts in its own scope (C13)",
        rules_rows.unused,
    ),
    Rule(
        "unread score", "a score that nobody reads can be left out (C57)", rules_rows.unread_score
    ),
    Rule("unread column", "a column that nobody reads can be left out", rules_rows.unread_let),
    Rule(
        "keeps everything",
        "selecting at least as many rows as there are keeps all, in their order (C39)",
        rules_rows.keeps_everything,
    ),
    Rule("nothing to order", "one row is sorted, and has no duplicates", rules_rows.one_row),
    Rule("empty side", "nothing added or taken away changes nothing (C30)", rules_rows.empty_side),
    Rule("known condition", "`where` of a known condition keeps all or nothing", rules_rows.where),
    Rule("two conditions", "two conditions on a row are one with `and`", rules_rows.two_conditions),
    Rule("same rows", "rows that are there already are not added (C30)", rules_rows.same_rows),
    Rule(
        "one voter",
        "where only the answer counts, a vote of one row is that row (C40, C43)",
        rules_rows.one_voter,
    ),
    Rule("first is returned", "a strategy's result is its first row (C40)", rules_rows.first_row),
    Rule(
        "one particle",
        "one row resampled to one is a copy on its own node (C3, C12)",
        rules_rows.one_particle,
    ),
    Rule("one copy", "fork into 1 changes nothing (C3)", rules_rows.one_copy),
    # Sampling: the numbers of children stay those of the program (C7).
    Rule(
        "dealt to one",
        "children dealt to a single row all go to it (C18, C20)",
        rules_sampling.dealt_to_one,
    ),
    Rule(
        "expanded copies",
        "copies count on their node: fork into k, expand by m is expand by k*m (C3)",
        rules_sampling.expanded_copies,
    ),
    Rule(
        "sampled in two parts",
        "numbers go on where they stopped: sample a, then b, is sample a + b (C2)",
        rules_sampling.two_samples,
    ),
    Rule(
        "round by round",
        "a loop of expand by 1, then expand by 1 to the end, is expand by 1: child 0 inherits (C1)",
        rules_sampling.rounds_to_the_end,
    ),
    Rule(
        "piece by piece",
        "pieces, then the rest, are one generation: no draw knows where a call stopped (C62)",
        rules_sampling.pieces_to_the_end,
    ),
    Rule(
        "unused last sample",
        "children that nobody uses matter by their numbers only, and nobody counts after them (C2)",
        rules_sampling.unused_last,
    ),
)
