"""Candidates as lines of `nodes.jsonl`: consecutive ones of one operation share a line.

Each thing is written once: texts without their parents', scores of new steps only. What all nodes
of a line have in common (`finish`, `parent`...) stands as one value instead of a list.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter, sub
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from tts_runtime.executor import CandidateRecord, ScoreColumn

#: Nodes of one line, and characters of their texts, at most; a longer text has a line of its own.
MOST_NODES: Final = 256
_MOST_TEXT: Final = 1 << 20
#: What is left out of a line where all its nodes have it.
_DEFAULTS: Final[Mapping[str, object]] = {
    "root": None,
    "before": None,
    "number": 0,
    "stream": None,
    "forced": 0,
    "finish": None,
    "done": False,
    "logprob": None,
    "answer": None,
    "key": None,
    "correct": None,
}
_KINDS: Final = {
    "force": "forced",
    "split": "split",
    "cut": "cut",
    "fork": "copied",
    "resample": "copied",
    "ask": "asked",
    "call": "returned",
}

Texts = str | None | list[str | None]
Numbers = int | None | list[int | None]


class NodeBatch(BaseModel):
    """Consecutive nodes that one operation made for a problem. A value stands for all of them, a
    list has one entry per node."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    problem: str
    seed: int = 0
    first: int = Field(ge=1, description="Number of the first; 0 is the problem")
    op: str = Field(description="The operation that made them: expand, fork, ask, ...")
    place: str = Field(description="Where it stands: FILE:LINE, without folders")
    kind: str = Field(description="sampled, asked, forced, cut, split, copied or returned")
    prompt: Texts = Field(default=None, description="The question, where it is not the problem")
    parent: Numbers = Field(description="What they were expanded from, or ask about")
    root: Numbers = Field(
        default=None,
        description="First node of the tree; 0: none; null: the parent's, or the node itself",
    )
    before: Numbers = Field(
        default=None,
        description="The node whose text each continues; 0: none; null: the parent's, or none of "
        "a question",
    )
    sampling: Mapping[str, Any] | None = Field(
        default=None, description="Policy and clauses that they were sampled with"
    )
    number: int | list[int] = Field(
        default=0, description="Which child each is of what it was drawn from (C2)"
    )
    stream: Texts = Field(
        default=None,
        description="Key of what they were drawn from, if that is neither the problem nor `before`;"
        " of what was forced, cut, split or copied, its own",
    )
    text: str | list[str] = Field(description="What they add to the text that they continue")
    tokens: int | list[int] = Field(description="Sampled tokens that they add")
    forced: int | list[int] = Field(default=0, description="Other ids that they add")
    steps: int | list[int] = Field(description="Steps on the whole path")
    finish: Texts = Field(default=None, description="Why it stopped: stop, end, length, ...")
    done: bool | list[bool] = Field(default=False, description="Nothing more can be added")
    logprob: float | list[float | None] | None = Field(
        default=None, description="Sum of log-probabilities on the whole path"
    )
    answer: Texts = Field(default=None, description="As written in the text")
    key: Texts = Field(default=None, description="Canonical form, if it is another text")
    correct: bool | list[bool | None] | None = Field(
        default=None, description="The grade of the answer"
    )
    ids: Sequence[list[int] | None] = Field(
        default=(), description="With `--keep ids`, per node: ids of what it adds, forced ones too"
    )
    logprobs: Sequence[list[float | None] | None] = Field(
        default=(),
        description="With `--keep logprobs`, per node: log-probability of each id that it adds; "
        "null: forced, or not known",
    )
    prompt_ids: Sequence[int] | None = Field(
        default=None, description="With `--keep ids`: ids of the prompt, where a text starts"
    )
    scores: Mapping[str, list[bool | float | list[float | None] | None]] = Field(
        default={},
        description="By scorer, per node: a number, or how many of the parent's scores are its "
        "own too and those of its new steps; null: missing; false: not scored",
    )
    errors: Mapping[str, Mapping[str, str]] = Field(
        default={}, description="By place in the line: why there is no text or score, by its engine"
    )
    unread: Mapping[str, str] = Field(
        default={}, description="By place in the line: why the answer could not be read"
    )

    @property
    def count(self) -> int:
        """How many nodes."""
        return len(self.parent) if isinstance(self.parent, list) else self._listed()

    def _listed(self) -> int:
        lists = [getattr(self, name) for name in _COLUMNS]
        lists = [value for value in lists if isinstance(value, list)]
        columns = [*lists, *self.scores.values()]
        return len(columns[0]) if columns else 1


def batches(
    problem: str, seed: int, records: Sequence[CandidateRecord]
) -> Iterator[dict[str, Any]]:
    """The lines of a problem's candidates, in program order."""
    by_uid = {record.uid: record for record in records}
    for _, group in groupby(records, _made_alike):
        part: list[CandidateRecord] = []
        room = _MOST_TEXT
        for record in group:
            if part and (len(part) == MOST_NODES or len(record.added) > room):
                yield _batch(problem, seed, part, by_uid)
                part, room = [], _MOST_TEXT
            part.append(record)
            room -= len(record.added)
        yield _batch(problem, seed, part, by_uid)


#: What nodes of one line have in common.
_made_alike: Final = attrgetter("op", "place", "prompt", "sampling", "prompt_ids")


def _batch(
    problem: str,
    seed: int,
    group: Sequence[CandidateRecord],
    by_uid: Mapping[int, CandidateRecord],
) -> dict[str, Any]:
    first = group[0]
    pairs = [(record, by_uid.get(record.before)) for record in group]
    tokens = [one.tokens - before.tokens if before else one.tokens for one, before in pairs]
    ids = [one.ids - before.ids if before else one.ids for one, before in pairs]
    columns: dict[str, list[Any]] = {
        "parent": [each.parent for each in group],
        "root": [None if each.root == _root(each, by_uid) else each.root or 0 for each in group],
        "before": [None if each.before == _before(each) else each.before for each in group],
        "number": [each.number for each in group],
        "stream": [each.stream for each in group],
        "text": [each.added for each in group],
        "tokens": tokens,
        "forced": list(map(sub, ids, tokens)),
        "steps": [each.steps for each in group],
        "finish": [each.finish for each in group],
        "done": [each.done for each in group],
        "logprob": [each.logprob for each in group],
        "answer": [each.answer for each in group],
        "key": [None if each.answer_key == each.answer else each.answer_key for each in group],
        "correct": [each.correct for each in group],
    }
    line: dict[str, Any] = {"problem": problem}
    if seed:
        line["seed"] = seed
    line |= {"first": first.uid, "op": first.op, "place": place_of(first.place)}
    line["kind"] = kind_of(first.op)
    if first.prompt is not None:
        line["prompt"] = first.prompt
    if first.sampling is not None:
        line["sampling"] = dict(first.sampling)
    for name, values in columns.items():
        shared = values.count(values[0]) == len(values)
        if shared and name in _DEFAULTS and values[0] == _DEFAULTS[name]:
            continue
        line[name] = values[0] if shared and name != "text" else values
    if any(record.token_ids is not None for record in group):
        line["ids"] = [record.token_ids for record in group]
    if any(record.token_logprobs is not None for record in group):
        line["logprobs"] = [record.token_logprobs for record in group]
    if first.prompt_ids is not None:
        line["prompt_ids"] = first.prompt_ids
    scorers = dict.fromkeys(name for record in group for name in record.scores)
    if scorers:
        line["scores"] = {
            name: [
                _new(record.scores[name], _scores(parent, name)) if name in record.scores else False
                for record, parent in pairs
            ]
            for name in scorers
        }
    errors = {str(at): dict(record.errors) for at, record in enumerate(group) if record.errors}
    if errors:
        line["errors"] = errors
    unread = {str(at): record.unread for at, record in enumerate(group) if record.unread}
    if unread:
        line["unread"] = unread
    return line


def kind_of(op: str) -> str:
    """What an operation does for its candidates: `NodeBatch.kind`."""
    return _KINDS.get(op, "sampled")


def place_of(place: str) -> str:
    """`FILE:LINE` without the folders that a file happened to lie in."""
    return place.replace("\\", "/").rpartition("/")[2]


def _before(record: CandidateRecord) -> int:
    """What a candidate of its kind continues as a rule: a question starts its own text."""
    return 0 if record.op == "ask" else record.parent or 0


def _root(record: CandidateRecord, by_uid: Mapping[int, CandidateRecord]) -> int | None:
    parent = by_uid.get(record.parent or 0)
    return record.uid if parent is None else parent.root


def _scores(parent: CandidateRecord | None, name: str) -> ScoreColumn:
    return None if parent is None else parent.scores.get(name)


def _new(score: ScoreColumn, before: ScoreColumn) -> Any:
    """Scores without those that the parent has: a vector whose beginning is not the parent's is
    written whole, marked by the number of the parent's scores that it keeps, 0."""
    if not isinstance(score, tuple):
        return score
    known = before if isinstance(before, tuple) else ()
    kept = len(known) if score[: len(known)] == known else 0
    return [kept, *score[kept:]]


def records(batch: NodeBatch, before: dict[int, CandidateRecord]) -> list[CandidateRecord]:
    """The candidates of a line; they join `before`, the problem's earlier ones by number.

    Raises:
        ValueError: Lists of different lengths, or a parent that is not there.
    """
    count = batch.count
    found: list[CandidateRecord] = []

    def column(value: Any) -> Sequence[Any]:
        if not isinstance(value, list):
            return [value] * count
        if len(value) != count:
            raise ValueError(f"{len(value)} values for {count} nodes")
        return value

    columns = {name: column(getattr(batch, name)) for name in _COLUMNS}
    scores = {name: column(values) for name, values in batch.scores.items()}
    for at in range(count):
        row = {name: values[at] for name, values in columns.items()}
        uid = batch.first + at
        parent_uid = row["parent"]
        parent = before.get(parent_uid or 0)
        if parent_uid and parent is None:
            raise ValueError(f"node {uid} has the parent {parent_uid}, which is not there")
        continued = row["before"]
        if continued is None:
            continued = 0 if batch.op == "ask" else parent_uid or 0
        own = before.get(continued)
        if continued and own is None:
            raise ValueError(f"node {uid} continues node {continued}, which is not there")
        root = parent.root if parent else uid
        if row["root"] is not None:
            root = row["root"] or None
        tokens = row["tokens"] + (own.tokens if own else 0)
        ids = row["tokens"] + row["forced"] + (own.ids if own else 0)
        record = CandidateRecord(
            uid,
            parent_uid,
            root,
            batch.op,
            batch.place,
            row["prompt"],
            continued,
            row["text"],
            batch.kind in ("forced", "split"),
            ids,
            tokens,
            row["steps"],
            row["finish"],
            row["done"],
            row["logprob"],
            row["answer"],
            row["answer"] if row["key"] is None else row["key"],
            {
                name: _whole(values[at], _scores(own, name))
                for name, values in scores.items()
                if values[at] is not False
            },
            dict(batch.errors.get(str(at), {})),
            batch.unread.get(str(at)),
            batch.sampling,
            row["number"],
            row["stream"],
            row["correct"],
            _numbers_at(batch.ids, at),
            _numbers_at(batch.logprobs, at),
            None if batch.prompt_ids is None or continued else tuple(batch.prompt_ids),
        )
        found.append(record)
        before[uid] = record
    return found


_COLUMNS: Final = (
    "prompt",
    "parent",
    "root",
    "before",
    "number",
    "stream",
    "text",
    "tokens",
    "forced",
    "steps",
    "finish",
    "done",
    "logprob",
    "answer",
    "key",
    "correct",
)


def _numbers_at(column: Sequence[list[Any] | None], at: int) -> tuple[Any, ...] | None:
    found = column[at] if at < len(column) else None
    return None if found is None else tuple(found)


def _whole(value: Any, before: ScoreColumn) -> ScoreColumn:
    if not isinstance(value, list):
        return value  # type: ignore[no-any-return]
    kept = int(value[0]) if value else 0
    known = before[:kept] if isinstance(before, tuple) else ()
    if len(known) != kept:
        raise ValueError("scores continue from scores that the parent does not have")
    return (*known, *value[1:])
