"""What a rule is: a name, a pattern, a replacement, and the law that makes it sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from tts_lang.optimise.workspace import Edit, Site, Workspace
from tts_lang.plan.graph import Origin, Spec

if TYPE_CHECKING:
    from tts_lang.optimise.facts.live import Live
    from tts_lang.optimise.facts.reuse import Reuse
    from tts_lang.optimise.facts.rows import Rows
    from tts_lang.optimise.facts.sharing import Sharing


#: Places that an operation is said to come from: one made of thousands needs no more.
_MOST_ORIGINS = 8


@dataclass(frozen=True, slots=True)
class Pattern:
    """Operations that a rule is about.

    Args:
        ops: The operators that fit; any when empty.
        name: What a match calls the operation.
        inputs: What must define its first inputs, operations of the same region, so that they run
            as often as it does; `None` for anything.
        sole: Nothing else reads what it gives.
    """

    ops: tuple[type[Spec], ...] = ()
    name: str = "it"
    inputs: tuple[Pattern | None, ...] = ()
    sole: bool = False


class Facts:
    """What is known of a plan when a pass begins, each worked out when a rule first asks.

    Rewrites of one pass must leave facts about values that are still there true; about values that
    a rewrite made nothing is known.
    """

    def __init__(self, work: Workspace) -> None:
        self.work = work

    @cached_property
    def live(self) -> Live:
        """Operations and columns that the answer needs."""
        from tts_lang.optimise.facts.live import Live

        return Live(self.work)

    @cached_property
    def rows(self) -> Rows:
        """How many rows pools have at most, and whether they lie in trees of their own."""
        from tts_lang.optimise.facts.rows import Rows

        return Rows(self.work)

    @cached_property
    def reuse(self) -> Reuse:
        """Scores that nobody reads, but which later scorings go on from."""
        from tts_lang.optimise.facts.reuse import Reuse

        return Reuse(self.work, self.live)

    @cached_property
    def sharing(self) -> Sharing:
        """Generations that several operations may ask for."""
        from tts_lang.optimise.facts.sharing import Sharing

        return Sharing(self.work)

    @cached_property
    def history(self) -> str | None:
        """What could tell a chain of generations from one, by how its rows came about."""
        from tts_lang.optimise.facts.history import reads_history

        return reads_history(self.work)


@dataclass(frozen=True, slots=True)
class Match:
    """Operations that fit a pattern, by its names; `work` and `facts` are only to be read."""

    sites: Mapping[str, Site]
    work: Workspace
    facts: Facts

    def __getitem__(self, name: str) -> Site:
        return self.sites[name]

    @property
    def it(self) -> Site:
        """The operation that the pattern starts from."""
        return self.sites["it"]


@dataclass(frozen=True, slots=True)
class Declined:
    """The pattern fits, but the law does not hold here: why."""

    why: str


#: A rule's replacement; `None` where it has nothing to do (which is no news).
Replacement: TypeAlias = Callable[[Match], "Edit | Declined | None"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rewrite.

    Args:
        name: Shown by EXPLAIN, and what golden cases are checked to cover.
        pattern: What it is about.
        replacement: The change, or why there is none.
        law: One line: why answers, texts and scores stay what they were.
    """

    name: str
    pattern: Pattern
    replacement: Replacement
    law: str


@dataclass(frozen=True, slots=True)
class Pass:
    """Rules that are tried together until none fires: what `--no-pass NAME` leaves out."""

    name: str
    rules: tuple[Rule, ...]


def matched(pattern: Pattern, site: Site, work: Workspace) -> dict[str, Site] | str | None:
    """The operations by name; a text says what does not fit behind the first operation.

    `None`: not even the first one fits.
    """
    if pattern.ops and not isinstance(site.spec, pattern.ops):
        return None
    found = {pattern.name: site}
    for place, wanted in enumerate(pattern.inputs):
        if wanted is None:
            continue
        if place >= len(site.inputs):
            return f"no input {place}"
        before = work.definer(site.inputs[place])
        expected = " or ".join(op.op for op in wanted.ops)
        if before is None:
            return f"not of {expected}, but of what a region is given"
        inner = matched(wanted, before, work)
        if inner is None:
            return f"not of {expected}, but of {before.spec.op}"
        if isinstance(inner, str):
            return inner
        if before.block is not site.block:
            return f"of {expected} in another region, which may run less or more often"
        if wanted.sole and any(
            user is not site or site.inputs.count(value) > 1
            for value in before.outputs
            for user in work.users(value)
        ):
            return f"what the {before.spec.op} gives is read elsewhere too"
        found.update(inner)
    return found


def origins(*sites: Site) -> tuple[Origin, ...]:
    """Where operations come from, together: an error still points into the strategy's file."""
    return tuple(dict.fromkeys(_origins(sites)))[:_MOST_ORIGINS]


def _origins(sites: tuple[Site, ...]) -> Iterator[Origin]:
    for site in sites:
        yield from site.origins


def removed(site: Site, same: Mapping[int, int]) -> Edit:
    """An operation taken out."""
    return Edit({site: ()}, same)


def respecified(site: Site, spec: Spec, inputs: tuple[int, ...] | None = None) -> Edit:
    """The same operation with another spec."""
    given = site.inputs if inputs is None else inputs
    return Edit({site: (Site(spec, given, site.outputs, site.blocks, site.origins),)})
