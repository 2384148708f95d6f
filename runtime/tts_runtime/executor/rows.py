"""Candidates and rows: what the operations of a plan work on.

A candidate is one identity: a row is a candidate with columns, and several rows (scored, not
scored) can stand for one candidate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple, TypeAlias, overload

from tts_lang.plan.graph import Operation
from tts_lang.values import is_number
from tts_runtime.executor.nodes import EMPTY, Node
from tts_runtime.randomness import row_lane
from tts_runtime.streams import Key

#: Scores of a process scorer's steps, or of a judge's readings.
Vector: TypeAlias = "tuple[float | None, ...] | StepScores"

#: Scores of a block of `StepScores`.
_BLOCK: Final = 8


class StepScores(Sequence["float | None"]):
    """The scores of many steps; paths share those of their beginnings.

    Args:
        before: The first scores, in full blocks; `many`: how many they are.
        recent: The others.
    """

    __slots__ = ("_before", "_many", "_recent")

    def __init__(
        self, before: StepScores | None, many: int, recent: tuple[float | None, ...]
    ) -> None:
        self._before = before
        self._many = many
        self._recent = recent

    def __len__(self) -> int:
        return self._many + len(self._recent)

    @overload
    def __getitem__(self, place: int) -> float | None: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[float | None, ...]: ...

    def __getitem__(self, place: Any) -> Any:
        if type(place) is int and -len(self._recent) <= place < 0:
            return self._recent[place]
        return tuple(self)[place]

    def __iter__(self) -> Iterator[float | None]:
        parts: list[tuple[float | None, ...]] = []
        scores: StepScores | None = self
        while scores is not None:
            parts.append(scores._recent)
            scores = scores._before
        return chain.from_iterable(reversed(parts))

    def __add__(self, new: tuple[float | None, ...]) -> StepScores:
        before, many, recent = self._before, self._many, self._recent + new
        while len(recent) > _BLOCK:
            before = StepScores(before, many, recent[:_BLOCK])
            many += _BLOCK
            recent = recent[_BLOCK:]
        return StepScores(before, many, recent)


def added(scores: Vector, before: Vector) -> tuple[float | None, ...] | None:
    """What scores add to others that they begin with; nothing where they do not."""
    if type(scores) is type(before) is StepScores:
        block = scores._before
        if block is before._before:
            scores, before = scores._recent, before._recent
        elif block is not None and block._before is before._before:  # it is full since then
            scores, before = block._recent + scores._recent, before._recent
    whole, known = tuple(scores), tuple(before)
    return whole[len(known) :] if whole[: len(known)] == known else None


def new_scores(column: Sequence[Any], before: Sequence[int]) -> list[Any]:
    """Of each vector in a column: how many scores it has from the one before it, then the others.

    Args:
        column: An entry per candidate; what is no vector stays as it is.
        before: Uids of the candidates before them, 0: none. One that does not begin with the
            scores of that has none from it.
    """
    entries: list[Any] = []
    for scores, uid in zip(column, before, strict=True):
        kind = type(scores)
        if kind is not tuple and kind is not StepScores:
            entries.append(scores)
            continue
        earlier: Any = column[uid - 1] if uid else ()
        if kind is type(earlier):  # as a rule, and one is new
            if kind is tuple:
                if scores and scores[:-1] == earlier:
                    entries.append([len(earlier), scores[-1]])
                    continue
            elif scores._before is earlier._before and scores._recent[:-1] == earlier._recent:
                entries.append([scores._many + len(earlier._recent), *scores._recent[-1:]])
                continue
        more = added(scores, earlier if type(earlier) in (tuple, StepScores) else ())
        entries.append([0, *scores] if more is None else [len(scores) - len(more), *more])
    return entries


def extended(scores: Vector, new: tuple[float | None, ...]) -> Vector:
    """Scores and those of further steps; few are a tuple."""
    if type(scores) is tuple:
        if len(scores) + len(new) <= _BLOCK:
            return scores + new
        scores = StepScores(None, 0, ()) + scores
    return scores + new


class Backed(NamedTuple):
    """What `backup` keeps of a row (C54): `total` is the sum of the values of its visits where
    their mean is kept, else the value itself."""

    visits: int = 0
    keeping: str = "mean"
    total: float | None = 0.0

    @property
    def value(self) -> float | None:
        """Missing while there is none."""
        if not self.visits or self.total is None:
            return None
        kept = self.total / self.visits if self.keeping == "mean" else self.total
        return kept if is_number(kept) else None

    def visited(self) -> Backed:
        """One more visit, of value 0 where a mean is kept."""
        return self._replace(visits=self.visits + 1)

    def plus(self, value: float | None, keeping: str) -> Backed:
        """One more visit of this value; one that is missing counts as 0 in means and sums."""
        kept = self.total
        if keeping != self.keeping:
            kept = self.value
            if keeping == "mean":
                kept = 0.0 if kept is None else kept * self.visits
        if keeping in ("mean", "sum"):
            # Perhaps infinite: no value then.
            kept = (kept or 0.0) + (0.0 if value is None else float(value))
        elif value is not None:
            kept = value if kept is None or keeping == "last" else max(kept, value)
        return Backed(self.visits + 1, keeping, kept)


UNVISITED: Final = Backed()


class Candidate:
    """An identity: what `+`, `-`, `parent` and `root` compare.

    Args:
        node: The node that it was made with.
        parent: Of the row that `expand` or `ask` worked on (C48).
        root: The tree that it belongs to; none starts a tree of its own (C49).
        before: The row that `force`, `cut` or `split` made it from.
        about: The row that its conversation asks about.
        lane: Where its random numbers come from; `None`: from its node.
        created: Sequence number, in its scope, of the operation that made its node.
        operation: The operation that made it; `None` for a problem's row.
    """

    #: It is what a strategy has for its problem; it belongs to no tree (`OfProblem`).
    problem = rootless = False

    __slots__ = (
        "_lane",
        "_root",
        "about",
        "before",
        "created",
        "errors",
        "node",
        "operation",
        "parent",
        "scores",
        "uid",
    )

    def __init__(
        self,
        node: Node,
        parent: Candidate | None,
        root: Candidate | None,
        before: Row | None,
        about: Row | None,
        created: int,
        operation: Operation | None,
        lane: Key | None = None,
    ) -> None:
        self.node = node
        self.parent = parent
        self._root = root
        self.before = before
        self.about = about
        self.created = created
        self.operation = operation
        self._lane = lane
        self.scores: Mapping[str, float | Vector | None] = EMPTY
        #: Why a scorer gave it none, by name.
        self.errors: Mapping[str, str] = EMPTY
        self.uid = -1

    @property
    def root(self) -> Candidate | None:
        """The first of its tree."""
        # Not stored where it is itself: without cycles, a finished problem is freed at once.
        return None if self.rootless else self._root or self

    @property
    def lane(self) -> Key:
        """The key that its random draws descend from."""
        if self._lane is None:
            node = self.node
            self._lane = row_lane(node.key, node.position, node.level)
        return self._lane


def inherit_roots(candidates: Iterable[Candidate]) -> bool:
    """Whether each one's root is its parent's, or itself where it was made of the problem."""
    for candidate in candidates:
        root, parent = candidate._root, candidate.parent
        if parent is None or not parent.uid:
            if root is not None or candidate.rootless:
                return False
        elif root is not (parent._root or parent) or parent.rootless:
            return False
    return True


class OfProblem(Candidate):
    """What a strategy has for its problem, its copies, and what is forced or cut of it."""

    __slots__ = ("problem", "rootless")


def problem_row(node: Node, known: Scores | None = None) -> Row:
    """The row that a strategy has for its problem."""
    candidate = OfProblem(node, None, None, None, None, 0, None)
    candidate.problem = candidate.rootless = True
    return Row(node, candidate, known=known)


class Row:
    """A candidate with columns.

    `lets` are the columns made by `let`, `scores` those of scorers, for which judges wrote `words`;
    `known` remembers scores of closed steps (C32), also where the columns are gone.
    """

    __slots__ = ("backed", "candidate", "known", "lets", "node", "scores", "words")

    def __init__(
        self,
        node: Node,
        candidate: Candidate,
        lets: Mapping[str, Any] = EMPTY,
        scores: Mapping[str, Any] = EMPTY,
        known: Scores | None = None,
        backed: Backed = UNVISITED,
        words: Mapping[str, str] = EMPTY,
    ) -> None:
        self.node = node
        self.candidate = candidate
        self.lets = lets
        self.scores = scores
        self.known = known
        self.backed = backed
        self.words = words

    def with_score(
        self, name: str, column: Any, path: ScoredPath | None = None, said: Any = None
    ) -> Row:
        """The same row with a score column, what to know of the path, and what a judge said."""
        before, known = self.scores, self.known
        scores: Mapping[str, Any]
        if before is EMPTY:
            scores = found = Scores(name, column, EMPTY, path)
            if path is not None:
                if known is not None:
                    alone = known.name == name and known._before is EMPTY
                    known = None if alone else known.without(name)
                known = found if known is None else Scores(name, column, known, path)
        else:
            scores = (
                {**before, name: column} if name in before else Scores(name, column, before, path)
            )
            if path is not None:
                rest = None if known is None else known.without(name)
                known = Scores(name, column, EMPTY if rest is None else rest, path)
        words = self.words if said is None else {**self.words, name: said}
        return Row(self.node, self.candidate, self.lets, scores, known, self.backed, words)

    def with_let(self, name: str, value: object) -> Row:
        """The same row with a computed column."""
        return self._with({**self.lets, name: value}, self.backed)

    def with_backed(self, backed: Backed) -> Row:
        """The same row with other visits and another value (C54)."""
        return self._with(self.lets, backed)

    def _with(self, lets: Mapping[str, Any], backed: Backed) -> Row:
        return Row(self.node, self.candidate, lets, self.scores, self.known, backed, self.words)

    def passed(self) -> Row:
        """The row that goes through `expand`: its score columns end all the same (C28)."""
        return Row(self.node, self.candidate, self.lets, EMPTY, self.known)


#: What is known of a path that a process scorer has read: the path, the scores of its closed
#: pieces, and what names these pieces (`Scores`).
ScoredPath: TypeAlias = "tuple[Node, Vector, bytes, int]"


_NO_PATH: Final = (None, (), b"", 0)


class Scores(Mapping[str, Any]):
    """Score columns by scorer: one, and those before it.

    Most rows have one, and a dictionary would be four times as large.

    Args:
        name: The scorer.
        column: Its scores.
        before: Other scorers' columns.
        path: Of a process scorer: what it has read (perhaps ahead of the row), the scores of the
            row's own pieces that a delimiter closed, a mark that is equal for equal pieces (of one
            delimiter), and a number that is equal for equal texts of their steps. Without a mark,
            neither is known.
    """

    __slots__ = ("_before", "closed", "column", "mark", "name", "node", "texts")

    def __init__(
        self, name: str, column: Any, before: Mapping[str, Any], path: ScoredPath | None = None
    ) -> None:
        self.name = name
        self.column = column
        self._before = before
        self.node: Node | None
        self.closed: Vector
        self.node, self.closed, self.mark, self.texts = path or _NO_PATH

    def __getitem__(self, name: str) -> Any:
        return self.column if name == self.name else self._before[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._before
        yield self.name

    def __len__(self) -> int:
        return 1 + len(self._before)

    @property
    def alone(self) -> bool:
        """Whether there are no others."""
        return self._before is EMPTY

    def of(self, name: str) -> Scores | None:
        """One scorer's, with those before it."""
        if name == self.name:
            return self
        before = self._before
        return before.of(name) if isinstance(before, Scores) else None

    def without(self, name: str) -> Scores | None:
        """All but one scorer's."""
        before = self._before
        if name == self.name:
            return before if type(before) is Scores else None
        rest = before.without(name) if isinstance(before, Scores) else None
        return self._on(rest, self.column, self.closed, self.mark)

    def cut(self, many: int) -> Scores:
        """Without columns, of paths that are cut back to that many closed pieces."""
        before = self._before
        rest = before.cut(many) if isinstance(before, Scores) else None
        mark = self.mark if many >= len(self.closed) else b""
        closed = self.closed if many >= len(self.closed) else self.closed[:many]
        return self._on(rest, (), closed, mark)

    def _on(self, before: Scores | None, column: Any, closed: Vector, mark: bytes) -> Scores:
        path = None if self.node is None else (self.node, closed, mark, self.texts)
        return Scores(self.name, column, EMPTY if before is None else before, path)


def columns_of(scores: Sequence[Mapping[str, Any]], without: Any) -> dict[str, list[Any]]:
    """Score columns by scorer, an entry per candidate; `without`: of one that has no such score."""
    name: str | None = None
    column: list[Any] = []
    for each in scores:
        if each is EMPTY:
            column.append(without)
        elif type(each) is Scores and each._before is EMPTY and name in (None, each.name):
            name = each.name
            column.append(each.column)
        else:
            break
    else:  # one scorer, as a rule
        return {} if name is None else {name: column}
    every = [dict(each) for each in scores]
    names = dict.fromkeys(name for each in every for name in each)
    return {name: [each.get(name, without) for each in every] for name in names}
