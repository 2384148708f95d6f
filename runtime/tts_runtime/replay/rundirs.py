"""A run directory as a record: every stream that its strategies drew from."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tts_lang.explain.models import Model
from tts_runtime.binding import Binding
from tts_runtime.engines.base import EngineError, Finish
from tts_runtime.executor import CandidateRecord
from tts_runtime.executor.clauses import avoided
from tts_runtime.problems.model import Trial
from tts_runtime.record.files import NODES, DirectoryError
from tts_runtime.record.nodes import NodeBatch, kind_of, records
from tts_runtime.record.reader import Run, open_run
from tts_runtime.replay.options import ReplayOptions
from tts_runtime.replay.samples import (
    DRAWING,
    ROOM,
    Place,
    Recorded,
    ScoredText,
    ScorerAbout,
)
from tts_runtime.streams import UNCLAIMED, child_key, root_key, sampling_tag

_LOGGER = logging.getLogger(__name__)
#: Trials whose trees are kept: those in flight ask for theirs again and again.
_KEPT = 512


class RunTrees:
    """What the strategies of a run directory drew, from all of its policies.

    Raises:
        EngineError: The directory cannot be read, or is damaged.
    """

    def __init__(self, directory: Path) -> None:
        try:
            self.run = open_run(directory)
            damaged = self.run.verify()
        except DirectoryError as error:
            raise EngineError(str(error)) from error
        if damaged:
            raise EngineError(
                f"{directory} is damaged, so it is not replayed: {damaged[0]}; "
                f"`tts-show {directory} --verify` lists everything"
            )
        self.policies = {
            name: about for name, about in self.run.manifest.engines.items() if "binding" in about
        }
        self.lines = _lines(self.run)
        self.root = lru_cache(_KEPT)(self._joined)

    def _joined(self, trial: Trial) -> Place:
        key = root_key(trial.seed, trial.problem)
        root = Place(key=key)
        for batches in self.lines[trial]:
            _join(root, _nodes(batches))
        return root


class RecordedRun(Recorded):
    """The samples of all strategies of a run directory, for one of its policies.

    Strategies of one run share streams, so their trees are joined: the same draw is there once.

    Args:
        trees: What was drawn.
        options: Which policy.

    Raises:
        EngineError: The directory has no such policy.
    """

    def __init__(self, trees: RunTrees, options: ReplayOptions) -> None:
        run = trees.run
        self.name = str(run.directory)
        self._trees, self._lines = trees, trees.lines
        self.policy = _chosen(self.name, trees.policies, options.policy)
        about = trees.policies[self.policy]
        self.binding = _binding(self.name, about.get("binding"))
        self.card = _card(about)
        ended = {trial.problem for trial in self._lines}
        self.problems = [each for each in run.problems.values() if each.id in ended]
        if len(ended) < len(run.problems):
            _LOGGER.warning(
                "record %s has answers of %s of its %s problems: the others are left out",
                self.name,
                f"{len(ended):,}",
                f"{len(run.problems):,}",
            )
        self.scorers = _scorers(run)
        self.logprobs = True
        self._temperatures: set[float] = set()
        self._forced: dict[str, int] = {}
        self._most = 0
        for lists in self._lines.values():
            for nodes in lists:
                self._survey(nodes)
        if self.binding.thinking is not None and (count := about.get("thought_end")):
            self._forced[self.binding.thinking.end] = count
        self._ids: dict[str, list[Trial]] = {}
        for trial in self._lines:
            self._ids.setdefault(self.by_id[trial.problem].text, []).append(trial)

    def _survey(self, batches: Sequence[NodeBatch]) -> None:
        drawn = 0
        for batch in batches:
            clauses = batch.sampling or {}
            if clauses.get("policy") == self.policy and "temperature" in clauses:
                self._temperatures.add(clauses["temperature"])
            if batch.parent == 0 and kind_of(batch.op) == "sampled":
                drawn += batch.count
            if batch.kind == "forced":
                texts, counts = batch.text, batch.forced
                for at in range(batch.count):
                    text = texts[at] if isinstance(texts, list) else texts
                    self._forced[text] = counts[at] if isinstance(counts, list) else counts
            self.logprobs &= batch.logprob is not None or not clauses
        self._most = max(self._most, drawn)

    @property
    def trees(self) -> RunTrees:
        """What was drawn."""
        return self._trees

    @property
    def trials(self) -> Sequence[Trial]:
        """Problems that finished, under each seed."""
        return list(self._lines)

    @property
    def temperatures(self) -> frozenset[float]:
        """Of all that the policy sampled."""
        return frozenset(self._temperatures)

    @property
    def most(self) -> int:
        """Draws from the problem itself, by the strategy that has most."""
        return self._most

    @property
    def forced(self) -> Mapping[str, int]:
        """Texts that strategies forced and that end thoughts, and the ids that they had."""
        return self._forced

    def root(self, trial: Trial) -> Place:
        """The joined trees of all strategies."""
        return self._trees.root(trial)

    def scores(self, problem: str) -> Mapping[str, ScoredText]:
        """Of all candidates; of equal texts, the first's."""
        texts: dict[str, ScoredText] = {}
        scores_of: dict[str, dict[str, Any]] = {}
        for trial in self._ids.get(problem, ()):
            for batches in self._lines[trial]:
                nodes = _nodes(batches)
                for node in nodes.values():
                    if node.scores:
                        text = _text(node, nodes)
                        into = scores_of.setdefault(text, {})
                        texts.setdefault(text, ScoredText(into, node.ids))
                        for name, value in node.scores.items():
                            into.setdefault(name, value)
        return texts


def _nodes(batches: Sequence[NodeBatch]) -> dict[int, CandidateRecord]:
    nodes: dict[int, CandidateRecord] = {}
    for batch in batches:
        records(batch, nodes)
    return nodes


def _text(node: CandidateRecord, nodes: Mapping[int, CandidateRecord]) -> str:
    parts = [node.added]
    while node.before:
        node = nodes[node.before]
        parts.append(node.added)
    return "".join(reversed(parts))


def places_of(trial: Trial, nodes: Mapping[int, CandidateRecord]) -> Mapping[int, Place]:
    """The places of a strategy's candidates, by number.

    Where keys and whole texts are equal, strategies share the draw (C2).
    """
    return _join(Place(key=root_key(trial.seed, trial.problem)), nodes)


def _join(root: Place, nodes: Mapping[int, CandidateRecord]) -> dict[int, Place]:
    """Adds a strategy's tree to those of others of the same problem and seed.

    Returns:
        The places of its candidates, by number.
    """
    reached: dict[int, Place] = {0: root}
    streams = {(place.key, place.position): place for place in root.others if place.key}
    failed = {place.prompt: place for place in root.others if place.key is None}
    for node in nodes.values():
        kind = kind_of(node.op)
        before = reached.get(node.before, root)
        if kind == "returned":
            reached[node.uid] = _same(node, nodes, reached)
            continue
        if kind in ("sampled", "asked"):
            if node.stream is not None:  # a question, or a call on a stream of its own
                key = bytes.fromhex(node.stream)
                whole = before if node.before else None
                place = (key, 0 if whole is None else whole.position)
                if key != before.key:  # else a strategy was called on it, and draws from it
                    if place not in streams:
                        streams[place] = Place(whole, node.prompt, key=key)
                        root.others.append(streams[place])
                    before = streams[place]
            elif kind == "asked":  # it failed at once: nothing was drawn from its stream
                if node.prompt not in failed:
                    failed[node.prompt] = Place(None, node.prompt)
                    root.others.append(failed[node.prompt])
                before = failed[node.prompt]
            reached[node.uid] = _drawn(before, node)
        elif kind == "copied":
            reached[node.uid] = _same(node, nodes, reached)
        else:
            start = None if not node.before else before
            stream = None if node.stream is None else bytes.fromhex(node.stream)
            count = node.ids - (start.position if start is not None else 0)
            written = Place(start, node.prompt, node.added, count, key=stream)
            existing = None if stream is None else streams.get((stream, written.position))
            if existing is not None and (existing.before, existing.text) == (start, written.text):
                written = existing  # another strategy, or row, forced the same here
            else:
                root.others.append(written)
                streams[stream or b"", written.position] = written
            reached[node.uid] = written
    return reached


def _same(
    node: CandidateRecord, nodes: Mapping[int, CandidateRecord], reached: Mapping[int, Place]
) -> Place:
    """The place of a copy, or of what a call returned: an earlier candidate's, or the problem."""
    text = _text(node, nodes)
    key = None if node.stream is None else bytes.fromhex(node.stream)
    alike = [
        reached[uid]
        for uid, other in nodes.items()
        if 0 < uid < node.uid and uid in reached and other.ids == node.ids
    ]
    alike = [place for place in alike if place.whole == text]
    if not text and not node.done:  # an empty solution is done
        alike.insert(0, reached[0])
    exact = [place for place in alike if key is not None and place.key == key]
    return next(iter(exact or alike), reached[0])


def _drawn(before: Place, node: CandidateRecord) -> Place:
    """The child of a place that a node is: one that another strategy drew too, or a new one."""
    clauses = node.sampling or {}
    text, start = node.added, before.position
    if not node.before and before.before is not None:  # the line has the whole text
        text = text.removeprefix(before.whole)
    siblings = before.children.setdefault(node.number, [])
    for other in siblings:
        if other.text == text and other.clauses == clauses:
            return other
    key, claimed = _stream(before, node, clauses, start)
    count = node.ids - start
    child = Place(
        before,
        None,
        text,
        count,
        count + (node.finish == Finish.END.value),
        node.steps,
        None if node.finish is None else Finish(node.finish),
        node.done,
        next(iter(node.errors.values()), "") if node.finish == Finish.FAILED.value else None,
        node.logprob,
        clauses,
        key,
        claimed,
        0 if count else before.level + 1,
    )
    siblings.append(child)
    return child


def _stream(
    before: Place, node: CandidateRecord, clauses: Mapping[str, Any], start: int
) -> tuple[bytes | None, bytes]:
    """The key of a child, and what it is claimed by."""
    if before.key is None or "temperature" not in clauses:
        return None, UNCLAIMED
    least = clauses.get("at_least", 0)
    words = [f"at least {least} in {clauses['unit']}"] * (least > 0)
    words += ["likeliest"] * bool(clauses.get("likeliest"))
    if form := clauses.get("matching"):
        words.append(f"matching {form}")
    numbers = [clauses.get(name, DRAWING[name]) for name in ("top_p", "top_k", "min_p")]
    tag = sampling_tag(
        clauses["policy"],
        float(clauses["temperature"]),
        float(numbers[0]),
        int(numbers[1]),
        float(numbers[2]),
        " ".join(words),
        avoided(clauses.get("avoiding", ()), clauses.get("avoided_by", 0.0)),
    )
    key = child_key(before.key, before.claimed, start, before.level, node.number, tag)
    return key, UNCLAIMED if words else tag


# ------------------------------------------------------------------------------ the directory


def _lines(run: Run) -> dict[Trial, list[list[NodeBatch]]]:
    """The lines of each problem and seed that finished, by strategy."""
    lines: dict[Trial, list[list[NodeBatch]]] = {}
    for record in run.strategies.values():
        own: dict[Trial, list[NodeBatch]] = {}
        for _, value in record.lines(NODES):
            try:
                batch = NodeBatch.model_validate(value)
            except ValidationError as error:
                raise EngineError(f"{record.folder}: {error.errors()[0]['msg']}") from error
            trial = Trial(batch.problem, batch.seed)
            if batch.first == 1:
                own[trial] = []
            own.setdefault(trial, []).append(batch)
        whole = {
            Trial(answer.id, answer.seed) for answer in run.answers(record.name) if not answer.error
        }
        for trial, batches in own.items():
            if trial not in whole:
                continue
            lines.setdefault(trial, []).append(batches)
    if not lines:
        raise EngineError(
            f"{run.directory} has no finished problems, so there is nothing to replay"
        )
    return lines


def _chosen(name: str, policies: Mapping[str, Any], policy: str | None) -> str:
    listed = ", ".join(policies) or "none"
    if policy is None and "policy" in policies:
        return "policy"
    if policy is None and len(policies) == 1:
        return next(iter(policies))
    if policy in policies:
        assert policy is not None
        return policy
    raise EngineError(
        f"{name} has no policy `{policy}`; its policies: {listed}"
        if policy is not None
        else f"{name} has several policies ({listed}): name one, `replay:{name}?policy=NAME`"
    )


def _binding(name: str, written: object) -> Binding:
    """The binding that the run used; its chat template is not needed."""
    if not isinstance(written, dict):
        raise EngineError(
            f"{name} does not say how its policy was talked to (`binding` in run.json): it was "
            "written by an earlier tts-lang; run it again"
        )
    fields = {**written, "context": ROOM, "stop": ()}
    if fields.pop("chat_template", False):
        fields["prompt"] = "{message}"
    try:
        return Binding.model_validate(fields)
    except ValidationError as error:
        raise EngineError(f"{name}: run.json is damaged: {error.errors()[0]['msg']}") from error


def _scorers(run: Run) -> Mapping[str, ScorerAbout]:
    """Scorers that a strategy of the run declared, but for judges and fields."""
    scorers: dict[str, ScorerAbout] = {}
    for record in run.strategies.values():
        for scorer in record.plan.scorers:
            if scorer.judge is None and scorer.field is None:
                card = _card(run.manifest.engines.get(scorer.name, {}))
                scorers[scorer.name] = ScorerAbout(
                    scorer.steps, None, scorer.low, scorer.high, card
                )
    return scorers


def _card(about: Mapping[str, Any]) -> Model | None:
    """The size of an engine's model, as far as the run knew it."""
    size = about.get("parameters")
    return Model(float(size)) if size else None
