"""Candidates as lines of `nodes.jsonl`: consecutive ones of one operation share a line.

Each thing is written once: texts without their parents', scores of new steps only. What all nodes
of a line have in common (`finish`, `parent`...) stands as one value instead of a list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from tts_runtime.fast_dataclass import fast_dataclass

#: Nodes of one line, at most.
MOST_NODES: Final = 256
#: What is left out of a line where all its nodes have it.
DEFAULTS: Final[Mapping[str, object]] = {
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

#: A score column: a number per step, one number, or missing.
ScoreColumn = float | tuple[float | None, ...] | None


@fast_dataclass(frozen=True, slots=True)
class CandidateRecord:
    """One candidate, as it was made.

    Args:
        uid: Number in program order, from 1; 0 stands for the problem itself.
        parent, root: Uids of the candidate that it was expanded from or asks about, and of the
            first of its tree; `None` where there is none.
        op: The operation that made it ("expand", "fork", "ask"...); `place`: its `file:line`.
        prompt: The question asked, where its conversation is not the problem's.
        before: Uid of the candidate whose text it continues; 0: it starts a text.
        added: Text that it adds to that; `forced`: the policy did not choose it.
        sampling: The clauses it was sampled with (`CallSettings.clauses`), if it was; `number`:
            which child it is (C2).
        stream: Key of the path that it was drawn from, where that is neither the problem nor
            `before`; of a candidate that was not drawn, its own.
        ids: Ids on the whole path; `tokens`: the sampled ones (C21); `steps`: steps on the path.
        finish: Why its generation stopped.
        scores: The latest score of each scorer.
        errors: Why it has no text (by its policy's name), or no score (by the scorer's).
        unread: Why its answer could not be read: it has none, or it is compared as text.
        correct: Its grade, which the run gives it (`Grader.every_candidate`).
        token_ids: Ids that it adds to those of `before`; `token_logprobs`: their log-probabilities,
            missing for forced ids and where the engine has none; `prompt_ids`: of the prompt before
            it, if it starts a text. All only on request (`Outcome.recorded`).
    """

    uid: int
    parent: int | None
    root: int | None
    op: str
    place: str
    prompt: str | None
    before: int
    added: str
    forced: bool
    ids: int
    tokens: int
    steps: int
    finish: str | None
    done: bool
    logprob: float | None
    answer: str | None
    answer_key: str | None
    scores: Mapping[str, ScoreColumn]
    errors: Mapping[str, str] = field(default_factory=dict)
    unread: str | None = None
    sampling: Mapping[str, Any] | None = None
    number: int = 0
    stream: str | None = None
    correct: bool | None = None
    token_ids: tuple[int, ...] | None = None
    token_logprobs: tuple[float | None, ...] | None = None
    prompt_ids: tuple[int, ...] | None = None


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


def kind_of(op: str) -> str:
    """What an operation does for its candidates: `NodeBatch.kind`."""
    return _KINDS.get(op, "sampled")


def place_of(place: str) -> str:
    """`FILE:LINE` without the folders that a file happened to lie in."""
    return place.replace("\\", "/").rpartition("/")[2]


def _scores(parent: CandidateRecord | None, name: str) -> ScoreColumn:
    return None if parent is None else parent.scores.get(name)


def count_of(line: Mapping[str, Any]) -> int:
    """How many nodes a line has that was just made."""
    return len(line["text"])


def answers_in(lines: Iterable[Mapping[str, Any]]) -> Iterator[str | None]:
    """The answers of all nodes of lines that were just made."""
    for line in lines:
        answers = line.get("answer")
        yield from answers if isinstance(answers, list) else (answers,)


def grade_nodes(lines: Iterable[dict[str, Any]], right: Mapping[str, bool]) -> None:
    """Adds the grades of answers, as far as there are any."""
    for line in lines:
        answers = line.get("answer")
        if isinstance(answers, list):
            line["correct"] = [None if each is None else right.get(each) for each in answers]
        elif answers is not None and answers in right:
            line["correct"] = right[answers]


def recorded(lines: Iterable[Mapping[str, Any]]) -> list[CandidateRecord]:
    """The candidates of a problem's lines, as `executor.records` makes them."""
    made: dict[int, CandidateRecord] = {}
    for line in lines:
        records(NodeBatch.model_construct(problem="", **line), made)
    return list(made.values())


def records(batch: NodeBatch, before: dict[int, CandidateRecord]) -> None:
    """Adds the candidates of a line to `before`, the problem's earlier ones by number.

    Raises:
        ValueError: Lists of different lengths, or a parent that is not there.
    """
    count = batch.count

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
        before[uid] = CandidateRecord(
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
