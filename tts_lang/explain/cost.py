"""What is tracked of a pool, and what an operation costs at most."""

from __future__ import annotations

from operator import add
from typing import NamedTuple

from tts_lang.explain.interval import product


class Cost(NamedTuple):
    """Upper bounds of what is spent; infinite where nothing bounds it.

    Args:
        calls: Policy calls: one a child asked for, a look-ahead rollout, a judge's reading.
        tokens: Tokens sampled in them.
        prefilled: Tokens that policies read and did not sample: prompts and forced text, once each.
            Prompts of the problem's own conversation are added for the whole plan (`own_prompts`).
        cached: Tokens before a call that its policy has read or sampled already.
        open_calls: Those of the calls whose length only the context window bounds.
        reads: Rows given to scorers that are no judges (fields of the problem included).
        read_tokens: Tokens of the paths that these reads process.
        whole_tokens: Tokens of those paths altogether, were none remembered from earlier reads.
        rounds: Engine calls that wait for one another if the plan runs statement by statement.
        made: Rows that did not exist before.
        flops: Of policies and scorers whose size is known.
        operations: Statements executed, and rounds of loops.
    """

    calls: float = 0
    tokens: float = 0
    open_calls: float = 0
    prefilled: float = 0
    cached: float = 0
    reads: float = 0
    read_tokens: float = 0
    whole_tokens: float = 0
    rounds: float = 0
    made: float = 0
    flops: float = 0
    operations: float = 0

    def plus(self, other: Cost) -> Cost:
        """One after the other."""
        return Cost(*map(add, self, other)) if other != NOTHING else self

    def minus(self, other: Cost) -> Cost:
        """What was added since `other`; what is unbounded stays so."""
        return Cost(*(0 if a == b else a - b for a, b in zip(self, other, strict=True)))

    def times(self, factor: float) -> Cost:
        """So many times, one after another."""
        return Cost(*(product(value, factor) for value in self))

    def side_by_side(self, factor: float) -> Cost:
        """So many times at once: the rounds are those of one."""
        return self.times(factor)._replace(rounds=self.rounds if factor else 0)

    def most(self, other: Cost) -> Cost:
        """Either of the two."""
        return Cost(*map(max, self, other))


NOTHING = Cost()
#: What executing any statement costs.
STATEMENT = Cost(operations=1)


class Part(NamedTuple):
    """A pool's rows come one by one from those rows of `source` for which `condition` is `truth`.

    Rows for which it is true and rows for which it is not share no row of the source (C37), so two
    such pools together have at most as many rows as it has.
    """

    source: tuple[int, int]  # value number, and which of its executions
    condition: object
    truth: bool
    rows: float


class Pool(NamedTuple):
    """What is known of a pool in every run.

    Args:
        low, high: Number of rows.
        parents, roots: Distinct values of these keys, at most (what `per parent` can make).
        problem: It may hold the problem itself.
        finished: It may hold done rows, which `expand` passes through once (C18).
        length: Longest path of a row in this conversation, in tokens.
        unread: Per process scorer, tokens of a row's path that it has not read yet, at most; all of
            them for a scorer that is not listed.
        closed: Rows that can still grow end with a closed step, so none has to be read again (C32).
        parts: What parts of which pools the rows come from, the outermost first; only within one
            region and round.
        own: In which of the problem's conversations rows may be: 1 the usual one, 2 that of
            thinking, 3 both.
        asked: Other conversations that rows are in, at most.
        seen: Policies that have read every row's prompt, each with the tokens of a row's path that
            it has neither read nor sampled, at most.
    """

    low: float = 0
    high: float = 0
    parents: float = 0
    roots: float = 0
    problem: bool = False
    finished: bool = False
    length: float = 0
    unread: tuple[tuple[str, float], ...] = ()
    closed: bool = True
    parts: tuple[Part, ...] = ()
    own: int = 0
    asked: float = 0
    seen: tuple[tuple[str, float], ...] = ()

    def groups(self, key: str) -> float:
        """Distinct values of a key column, at most."""
        if key == "parent":
            return min(self.high, self.parents)
        if key == "root":
            return min(self.high, self.roots + self.problem)
        return min(self.high, 2) if key == "done" else self.high

    def sized(self, low: float, high: float) -> Pool:
        """The same kind of rows, other numbers of them."""
        return Pool(
            min(low, high),
            high,
            min(self.parents, high),
            min(self.roots, high),
            self.problem,
            self.finished,
            self.length,
            self.unread,
            self.closed,
            self.parts,
            self.own,
            min(self.asked, high),
            self.seen,
        )

    def to_read(self, scorer: str) -> float:
        """Tokens of a row that the scorer has not read yet, at most."""
        return dict(self.unread).get(scorer, self.length)

    def join(self, other: Pool) -> Pool:
        """Either of the two pools."""
        return Pool(
            min(self.low, other.low),
            max(self.high, other.high),
            max(self.parents, other.parents),
            max(self.roots, other.roots),
            self.problem or other.problem,
            self.finished or other.finished,
            max(self.length, other.length),
            _either_unread(self, other),
            self.closed and other.closed,
            (),
            self.own | other.own,
            max(self.asked, other.asked),
            _seen_by_both(self, other),
        )

    def alone(self) -> Pool:
        """Without what is known about other pools: those of another round are other pools."""
        return self._replace(parts=()) if self.parts else self

    def union(self, other: Pool) -> Pool:
        """The rows of both; a row in both counts once (C51)."""
        high, parts = _together(self, other)
        return self.join(other)._replace(
            low=min(high, max(self.low, other.low)),
            high=high,
            parents=min(high, self.parents + other.parents),
            roots=min(high, self.roots + other.roots),
            parts=parts,
            asked=min(high, self.asked + other.asked),
        )


def _together(left: Pool, right: Pool) -> tuple[float, tuple[Part, ...]]:
    """Rows of both pools at most, and what they are part of: two halves of a pool make it up."""
    for index, (a, b) in enumerate(zip(left.parts, right.parts, strict=False)):
        if (a.source, a.condition) != (b.source, b.condition):
            break
        if a.truth != b.truth:
            return min(left.high + right.high, a.rows), left.parts[:index]
    return left.high + right.high, ()


def _either_unread(left: Pool, right: Pool) -> tuple[tuple[str, float], ...]:
    names = sorted({name for name, _ in left.unread + right.unread})
    return tuple((name, max(left.to_read(name), right.to_read(name))) for name in names)


def _seen_by_both(left: Pool, right: Pool) -> tuple[tuple[str, float], ...]:
    """What has been read of the rows of both; a pool without rows has nothing unread."""
    if left.seen == right.seen or not right.high:
        return left.seen
    if not left.high:
        return right.seen
    other = dict(right.seen)
    return tuple((name, max(u, other[name])) for name, u in left.seen if name in other)
