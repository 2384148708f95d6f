"""Candidates as lines of a record, which `record.nodes` reads back.

A run with a directory does this for every candidate, so it goes column by column, without an object
for each, and reads nothing again that was read for the candidate before: neither the text, to look
for an answer, nor the log-probabilities, to add them up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from math import fsum, isfinite, nan
from operator import sub
from typing import Any, Final

from tts_lang.plan.graph import Operation
from tts_lang.plan.operator import Makes, entry
from tts_lang.values import number
from tts_runtime.answers.extract import cues_of
from tts_runtime.engines.base import Finish
from tts_runtime.executor.nodes import Node
from tts_runtime.executor.problem import place
from tts_runtime.executor.rows import Candidate, columns_of, inherit_roots, new_scores
from tts_runtime.record.nodes import DEFAULTS, MOST_NODES, kind_of, place_of
from tts_runtime.steps import StepSplit, added_texts, counts

#: Characters of the texts of one line, at most; a longer text has a line of its own.
_MOST_TEXT: Final = 1 << 20
#: In the column of a scorer: the candidate was not scored.
_NOT_SCORED: Final = False


class _Made:
    """The fields that all candidates of one operation share."""

    __slots__ = ("drawn", "op", "own", "place")

    def __init__(self, operation: Operation) -> None:
        makes = entry(operation.spec).makes
        self.op = operation.spec.op
        self.place = place_of(place(operation.origins))
        self.own = makes in (Makes.EDITED, Makes.COPIES)
        self.drawn = makes in (Makes.CHILDREN, Makes.CONVERSATIONS)


def lines_of(candidates: Sequence[Candidate], keep: Collection[str] = ()) -> list[dict[str, Any]]:
    """The lines of a problem's candidates, in program order, without the problem's name.

    Args:
        candidates: All of them, with their numbers.
        keep: As in `Outcome.lines`.
    """
    if not candidates:
        return []
    nodes = [each.node for each in candidates]
    made = _made_by(candidates)
    parent = [None if (of := each.parent) is None else of.uid for each in candidates]
    before, texts, streams = _continuations(candidates, nodes, made)
    sampled = [node.tokens for node in nodes]
    ids = [node.position for node in nodes]
    tokens = _added(sampled, before)
    finish = [None if (why := node.finish) is None else why._value_ for node in nodes]
    written, keys, unread = _answers(nodes, before, texts, finish)
    columns: dict[str, list[Any]] = {
        "parent": parent,
        "root": _roots(candidates, parent),
        "before": _befores(before, parent, made),
        "number": [node.number for node in nodes],
        "stream": streams,
        "text": texts,
        "tokens": tokens,
        "forced": [0] * len(nodes)
        if ids == sampled
        else list(map(sub, _added(ids, before), tokens)),
        "steps": counts([node.segments for node in nodes]),
        "finish": finish,
        "done": [node.done for node in nodes],
        "logprob": _logprobs(nodes),
        "answer": written,
        "key": keys,
    }
    for name, default in DEFAULTS.items():
        if name in columns and _all(columns[name], default):
            del columns[name]
    scores = {
        name: new_scores(column, before)
        for name, column in columns_of([each.scores for each in candidates], _NOT_SCORED).items()
    }
    errors = _errors(candidates)
    kept = [_kept_of(*each, keep) for each in zip(candidates, before, strict=True)] if keep else []
    lines = []
    for start, end in _borders(nodes, made, texts, [prompt for _, _, prompt in kept]):
        first, by = nodes[start], made[start]
        line: dict[str, Any] = {"first": start + 1, "op": by.op, "place": by.place}
        line["kind"] = kind_of(by.op)
        if not first.conversation.own:
            line["prompt"] = first.conversation.message
        if first.sampling is not None:
            line["sampling"] = first.sampling
        for name, column in columns.items():
            values = column[start:end]
            if name == "text" or not _all(values, values[-1]):
                line[name] = values
            elif name not in DEFAULTS or values[0] != DEFAULTS[name]:
                line[name] = values[0]
        if kept:
            line |= _columns_of_kept(kept[start:end])
        new = {name: column[start:end] for name, column in scores.items()}
        new = {name: v for name, v in new.items() if any(each is not _NOT_SCORED for each in v)}
        if new:
            line["scores"] = new
        for name, found in (("errors", errors), ("unread", unread)):
            here = {str(at - start): what for at, what in found.items() if start <= at < end}
            if here:
                line[name] = here
        lines.append(line)
    return lines


def _all(values: list[Any], value: Any) -> bool:
    """Whether all are this one, of which the first tells most of the time."""
    return values[0] == value and values.count(value) == len(values)


def _made_by(candidates: Sequence[Candidate]) -> list[_Made]:
    """By what each was made: one object for all operations that a line may have side by side."""
    alike: dict[tuple[str, str], _Made] = {}
    found: list[_Made] = []
    last: Operation | None = None
    for candidate in candidates:
        operation = candidate.operation
        if operation is not last:
            assert operation is not None
            last, made = operation, _Made(operation)
            made = alike.setdefault((made.op, made.place), made)
        found.append(made)
    return found


def _borders(
    nodes: Sequence[Node],
    made: Sequence[_Made],
    texts: Sequence[str],
    prompts: Sequence[tuple[int, ...] | None],
) -> Iterator[tuple[int, int]]:
    """The begin and end of every line."""
    sampling = [node.sampling for node in nodes]
    conversations = [node.conversation for node in nodes]
    if (
        made.count(made[0]) == sampling.count(sampling[0]) == len(nodes)
        and conversations.count(conversations[0]) == len(nodes)
        and not prompts
        and sum(map(len, texts)) <= _MOST_TEXT
    ):  # as in a search
        for start in range(0, len(nodes), MOST_NODES):
            yield start, min(start + MOST_NODES, len(nodes))
        return
    start = size = 0
    for at, (node, by, text) in enumerate(zip(nodes, made, texts, strict=True)):
        last = nodes[at - 1]
        if at and (
            by is not made[at - 1]
            or at - start == MOST_NODES
            or size + len(text) > _MOST_TEXT
            or (node.sampling is not last.sampling and node.sampling != last.sampling)
            or (node.conversation is not last.conversation and _asked(node) != _asked(last))
            or (prompts and prompts[at] != prompts[at - 1])
        ):
            yield start, at
            start, size = at, 0
        size += len(text)
    yield start, len(nodes)


def _asked(node: Node) -> str | None:
    return None if node.conversation.own else node.conversation.message


def _added(counts: list[int], before: Sequence[int]) -> list[int]:
    """What each adds to the count of the candidate whose text it continues, by its uid."""
    known = [0, *counts]
    return [count - known[uid] for count, uid in zip(counts, before, strict=True)]


def _befores(
    before: Sequence[int], parent: Sequence[int | None], made: Sequence[_Made]
) -> list[int | None]:
    """Which candidate each continues, where that is not the usual one: the parent, or none for a
    question."""
    if before == parent and not any(by.op == "ask" for by in set(made)):
        return [None] * len(before)
    usual = [0 if by.op == "ask" else uid or 0 for by, uid in zip(made, parent, strict=True)]
    return [None if b == u else b for b, u in zip(before, usual, strict=True)]


def _roots(candidates: Sequence[Candidate], parent: Sequence[int | None]) -> list[int | None]:
    """Each one's root, where it is neither the parent's nor itself."""
    if inherit_roots(candidates):
        return [None] * len(candidates)
    roots = [None if (root := each.root) is None else root.uid for each in candidates]
    usual = [roots[uid - 1] if uid else at for at, uid in enumerate(parent, 1)]
    return [None if root == u else root or 0 for root, u in zip(roots, usual, strict=True)]


# ------------------------------------------------------------------ texts


def _continuations(
    candidates: Sequence[Candidate], nodes: Sequence[Node], made: Sequence[_Made]
) -> tuple[list[int], list[str], list[str | None]]:
    """Which candidate each continues (0: none), what it adds to that, its stream (`NodeBatch`)."""
    policy = nodes[0].policy
    before: list[int] = []
    #: How what each continues is split, in the usual case.
    splits: list[StepSplit | None] = []
    #: Places of those that continue no candidate of the record.
    others: list[int] = []
    for candidate, node in zip(candidates, nodes, strict=True):
        source, on = candidate.parent, node.parent
        if (
            source is not None
            and on is not None
            and source.node is on
            and candidate.before is None
            and node.policy is policy
            and not node.mixed
            and on.conversation is node.conversation
        ):
            uid = source.uid
            if uid <= 0 or source.problem:
                others.append(len(before))
            before.append(uid)
            splits.append(on.segments)
        else:
            before.append(0)
            splits.append(None)
    texts: list[Any] = added_texts([node.segments for node in nodes], splits, policy.delimiter)
    if None in texts:
        for place in [place for place, text in enumerate(texts) if text is None]:
            before[place], texts[place], recorded = _continuation(candidates[place])
            if not recorded:
                others.append(place)
    streams: list[str | None] = [None] * len(nodes)
    for place in others:
        if made[place].drawn:
            streams[place] = _stream_of(nodes[place])
    if any(by.own for by in set(made)):
        for place, by in enumerate(made):
            if by.own:
                streams[place] = nodes[place].key.hex()
    return before, texts, streams


def _continuation(candidate: Candidate) -> tuple[int, str, bool]:
    """The same of any candidate, and whether what it continues is one of the record."""
    node, source, start = candidate.node, candidate.parent, candidate.before
    on = None if source is None else source.node
    if start is not None:
        source, on = start.candidate, start.node
    text = None
    if on is not None and on.conversation is node.conversation:
        if not node.mixed and (on is node.parent or on.segments is node.segments):
            [text] = added_texts([node.segments], [on.segments], node.policy.delimiter)
        if text is None and (whole := node.text).startswith(start_text := on.text):
            text = whole[len(start_text) :]
    if text is None or source is None:
        return 0, node.text, False
    return source.uid, text, source.uid > 0 and not source.problem


def _stream_of(node: Node) -> str | None:
    """What a candidate was drawn from, where that is neither the problem nor another candidate."""
    start = node.parent
    if start is None or (start.start == () and not node.conversation.thinking):
        return None
    return start.key.hex()


# ------------------------------------------------------------------ log-probabilities


def _logprobs(nodes: Sequence[Node]) -> list[float | None]:
    """`Node.logprob` of each, from what its parents' are made of."""
    #: Few numbers whose sum is that of the sampled ones on the path.
    sums: dict[Node | None, tuple[float, ...]] = {None: ()}
    found: list[float | None] = []
    for node in nodes:
        before = sums.get(node.parent)
        if before is None:
            before = _parts(node.parent, sums)
        sums[node] = parts = _exact([*before, *node.logprobs]) if node.sampled else before
        if node.end_logprob:
            parts = _exact([*parts, node.end_logprob])
        value = parts[0] if parts else 0.0
        found.append(value if node.error is None and isfinite(value) else None)
    return found


def _parts(at: Node | None, sums: dict[Node | None, tuple[float, ...]]) -> tuple[float, ...]:
    """The same of one node, and of all before it."""
    new: list[Node] = []
    while (parts := sums.get(at)) is None:
        assert at is not None
        new.append(at)
        at = at.parent
    for each in reversed(new):
        if each.sampled:
            parts = _exact([*parts, *each.logprobs])
        sums[each] = parts
    return parts


def _exact(numbers: list[float]) -> tuple[float, ...]:
    """Few numbers of the same exact sum: it, rounded once, then the rest in the same way."""
    parts: list[float] = []
    try:
        first = fsum(numbers)
        numbers.append(-first)
        part = fsum(numbers)
        if not part:  # as a rule
            return (first,) if first else ()
        parts.append(first)
        while part and isfinite(first):
            parts.append(part)
            numbers.append(-part)
            part = fsum(numbers)
    except (OverflowError, ValueError):  # beyond the largest number, or of both infinities
        return (nan,)
    return tuple(parts)


# ------------------------------------------------------------------ answers and faults


def _answers(
    nodes: Sequence[Node],
    before: Sequence[int],
    texts: Sequence[str],
    finish: Sequence[str | None],
) -> tuple[list[str | None], list[str | None], dict[int, str]]:
    """Answers as written, canonical forms that are other texts, and why answers were not read.

    A text is only searched if it has a word that an answer needs, there or in what it continues,
    or if the policy ended.
    """
    written: list[str | None] = [None] * len(nodes)
    keys: list[str | None] = [None] * len(nodes)
    unread: dict[int, str] = {}
    for at in _perhaps_answered(nodes, before, texts, finish):
        node = nodes[at]
        written[at], key = node.answers
        keys[at] = None if key == written[at] else key
        why = node.unread
        if why is not None:
            unread[at] = why[1]
    return written, keys, unread


def _perhaps_answered(
    nodes: Sequence[Node],
    before: Sequence[int],
    texts: Sequence[str],
    finish: Sequence[str | None],
) -> Sequence[int]:
    """Places of the nodes that may have an answer."""
    cues: set[str] = set()
    for policy in {node.policy for node in nodes}:
        found = cues_of(tuple(policy.binding.answer))
        if found is None:
            return range(len(nodes))
        cues |= found
    longest = max(map(len, cues))
    new = texts
    last = "".join([text[-1:] for text in texts])
    if not (len(last) == len(texts) and last.isspace()):
        #: How texts end, as far as a cue may begin there: none has white space.
        ends = [""]
        new = []
        for text, uid in zip(texts, before, strict=True):
            if ends[uid]:
                text = ends[uid] + text
            new.append(text)
            ends.append("" if text[-1:].isspace() else text[1 - longest :])
    end = Finish.END.value
    if not _cued("\n".join(new), cues):
        return [at for at, why in enumerate(finish) if why == end] if end in finish else ()
    perhaps = [False]
    for text, uid in zip(new, before, strict=True):
        perhaps.append(perhaps[uid] or _cued(text, cues))
    return [at for at, why in enumerate(finish) if why == end or perhaps[at + 1]]


def _cued(text: str, cues: Collection[str]) -> bool:
    """Whether a text may have a cue. Letters outside ASCII may count as some of it."""
    if not text.isascii():
        return True
    text = text.lower()
    for cue in cues:  # noqa: SIM110  (asked of every step: `any` is slower)
        if cue in text:
            return True
    return False


def _errors(candidates: Sequence[Candidate]) -> dict[int, dict[str, str]]:
    """By place: why a candidate has no text, or no score."""
    found: dict[int, dict[str, str]] = {}
    for at, candidate in enumerate(candidates):
        error = candidate.node.error
        if error is not None:
            found[at] = {**candidate.errors, candidate.node.policy.name: str(error)}
        elif candidate.errors:
            found[at] = dict(candidate.errors)
    return found


# ------------------------------------------------------------------ ids and log-probabilities

#: Ids of what a candidate adds, their log-probabilities, ids of the prompt: as far as kept.
_Kept = tuple[tuple[int, ...] | None, list[float | None] | None, tuple[int, ...] | None]


def _kept_of(candidate: Candidate, uid: int, keep: Collection[str]) -> _Kept:
    node = candidate.node
    edges = node.edges()
    source = candidate.before or candidate.parent
    if uid and source is not None:
        known = [edge.ids for edge in source.node.edges()]
        if [edge.ids for edge in edges[: len(known)]] != known:
            return None, None, None  # the same text, of other ids
        edges = edges[len(known) :]
    logprobs = [
        number(value)
        for edge in edges
        for value in (
            edge.logprobs
            if edge.sampled and len(edge.logprobs) == len(edge.ids)
            else [nan] * len(edge.ids)
        )
    ]
    of_ids = "ids" in keep
    return (
        tuple(id_ for edge in edges for id_ in edge.ids) if of_ids else None,
        logprobs if "logprobs" in keep else None,
        node.conversation.prompt(node.policy) if of_ids and not uid else None,
    )


def _columns_of_kept(kept: Sequence[_Kept]) -> dict[str, Any]:
    ids, logprobs = [each[0] for each in kept], [each[1] for each in kept]
    found: dict[str, Any] = {}
    if any(each is not None for each in ids):
        found["ids"] = ids
    if any(each is not None for each in logprobs):
        found["logprobs"] = logprobs
    if kept[0][2] is not None:
        found["prompt_ids"] = kept[0][2]
    return found
