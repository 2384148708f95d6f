"""A lab in which the paths of one problem are sampled and scored.

Streams are those that the documents promise: children are numbered on their path in the order in
which they are asked for, and the same request costs once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Unpack

from tests.support.published.path import How, Path
from tts_runtime.answers import canonical, extract_answer
from tts_runtime.engines.base import (
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    Partial,
    Sampling,
    ScoreRequest,
)
from tts_runtime.engines.sim.engines import SimPolicy, SimScorer
from tts_runtime.problems import Problem
from tts_runtime.steps import NOTHING
from tts_runtime.streams import (
    UNCLAIMED,
    Key,
    child_key,
    cut_key,
    forced_key,
    root_key,
    sampling_tag,
    thinking_key,
)
from tts_runtime.tokens import to_bytes, to_text

#: What is compared of a sampled candidate: text, ids and tokens on the path, finish, done, logprob.
Sampled = tuple[str, int, int, str | None, bool, float]


@dataclass(frozen=True, slots=True)
class Ledger:
    """What all calls of one run share: replies and candidates."""

    replies: dict[object, Generation] = field(default_factory=dict)
    candidates: list[Sampled] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """Tokens drawn, withheld ones and ends included."""
        return sum(reply.drawn for reply in self.replies.values())


@dataclass(frozen=True, slots=True)
class Lab:
    """One problem with its policies and scorers; `templates` are the texts of prompts."""

    task: Problem
    seed: int
    policies: Mapping[str, SimPolicy]
    scorers: Mapping[str, SimScorer]
    templates: Mapping[str, str]
    ledger: Ledger = field(default_factory=Ledger)
    numbers: Counter[object] = field(default_factory=Counter)
    resamplings: Counter[object] = field(default_factory=Counter)

    def again(self) -> Lab:
        """For an algorithm inside another: it means what it means alone, so it counts from 0."""
        return replace(self, numbers=Counter(), resamplings=Counter())

    @property
    def root(self) -> Key:
        """The key of the problem."""
        return root_key(self.seed, self.task.id)

    @property
    def problem(self) -> Path:
        """The problem, nothing written yet."""
        return replace(self.opened(self.task.text, self.root), question=self.task.text)

    @property
    def thinking(self) -> Path:
        """The problem with thinking opened: the prompt ends with the delimiter."""
        start = self.opened(self.task.text, thinking_key(self.root), thinks=True)
        return replace(start, question=self.task.text)

    def opened(
        self,
        text: str,
        key: Key,
        thinks: bool = False,
        policy: str = "policy",
        history: Path | None = None,
    ) -> Path:
        """A new conversation, or the next turn of that of a path."""
        engine = self.policies[policy]
        if history is None:
            prompt = engine.tokenizer.encode(engine.binding.open(text, thinking=thinks))
        else:
            turn = engine.tokenizer.encode(engine.binding.follow(text, thinking=thinks))
            prompt = history.prompt + history.ids + turn
        return Path(prompt, key, engine.tokenizer)

    def sample(
        self, path: Path, number: int = 1, policy: str = "policy", **how: Unpack[How]
    ) -> list[Path]:
        """That many continuations; a path that is finished, or has no room, stays as it is."""
        within = how.get("within")
        room = self.room(path, policy, within)
        if path.done or number <= 0:
            return [path] if path.done else []
        if room <= 0:
            return [replace(path, done=True, finish="length")]
        tag, irregular = self._tag(policy, how)
        place = (path.prompt, path.key, path.claimed, len(path.ids), path.level)
        found = []
        for count in range(self.numbers[place], self.numbers[place] + number):
            request = GenerateRequest(
                prompt=path.prompt,
                prefix=path.ids,
                key=child_key(path.key, path.claimed, len(path.ids), path.level, count, tag),
                sampling=self.sampling(policy, how.get("temperature"), how.get("avoiding")),
                limits=self._limits(policy, room, how),
                segments=path.segments,
                first_rank=count if how.get("likeliest") else None,
                statistics=how.get("statistics", ()),
            )
            child = self.grown(path, request, policy, within)
            found.append(replace(child, claimed=UNCLAIMED if irregular else tag))
            added = to_text(to_bytes(path.tokenizer, child.ids[len(path.ids) :]))
            self.ledger.candidates.append(
                (added, len(child.ids), child.tokens, child.finish, child.done, child.logprob)
            )
        self.numbers[place] += number
        return found

    def rollout(self, path: Path, steps: int) -> Path:
        """Where that many greedy steps lead; nothing of it is kept."""
        room = self.room(path)
        if path.done or steps <= 0 or room <= 0:
            return path
        limits = Limits(room, steps=steps)
        sampling = self.sampling("policy", 0.0)
        request = GenerateRequest(path.prompt, path.ids, b"", sampling, limits, path.segments)
        return self.grown(path, request, "policy")

    def force(self, path: Path, text: str) -> Path:
        """The path with text that the policy did not choose, as ids; an end is undone."""
        ids = path.tokenizer.encode(text)
        key = forced_key(path.key, len(path.ids), ids)
        return replace(self.write(path, ids), key=key, finish=None)

    def cut(self, path: Path, steps: int) -> Path:
        """A sampled path back at its first steps, open again."""
        return self.cut_at(path, lambda kept: len(kept.segments.closed) >= steps)

    def cut_at(self, path: Path, enough: Callable[[Path], bool]) -> Path:
        """A sampled path back where it was first long enough, open again."""
        start = kept = replace(path, ids=(), segments=NOTHING)
        for count in range(len(path.ids) + 1):
            kept = self.write(start, path.ids[:count])
            if enough(kept):
                break
        key = cut_key(path.key, len(path.ids), len(kept.ids))
        return replace(kept, key=key, logprobs=path.logprobs[: len(kept.ids)], finish="cut")

    def write(self, path: Path, ids: tuple[int, ...]) -> Path:
        """The path with ids that nobody draws, open again; it needs a key of its own."""
        segments = path.segments
        delimiter = self.policies["policy"].binding.step_delimiter.encode()
        for token in ids:
            segments = segments.add(path.tokenizer.pieces[token], delimiter)
        return replace(
            path,
            ids=path.ids + ids,
            segments=segments,
            claimed=UNCLAIMED,
            level=0,
            end_logprob=0.0,
            done=False,
            question=None,
        )

    def prm(self, path: Path) -> tuple[float | None, ...]:
        """The process reward model's score of every step."""
        return self._scored("prm", path) if path.segments.steps else ()

    def outcome(self, path: Path) -> float | None:
        """The outcome reward model's score of the whole solution."""
        return self._scored("orm", path)[0]

    def answer(self, path: Path) -> str | None:
        """The answer in canonical form, if there is one."""
        written = self.written_answer(path)
        return None if written is None else canonical(written)

    def written_answer(self, path: Path) -> str | None:
        """The answer as written."""
        binding = self.policies["policy"].binding
        end = binding.thinking.end if binding.thinking else None
        return extract_answer(path.written, binding.answer, path.finish or "", end)

    def sampling(
        self,
        policy: str,
        temperature: float | None = None,
        avoiding: tuple[str, float] | None = None,
    ) -> Sampling:
        """The binding's way to sample, at another temperature if one is given."""
        usual = self.policies[policy].binding.defaults
        heat = usual.temperature if temperature is None else float(temperature)
        penalties: dict[int, float] = {}
        if avoiding is not None:
            word, nats = avoiding
            tokenizer = self.policies[policy].tokenizer
            for text in (word, f" {word}"):
                ids = [each for each in tokenizer.encode(text) if tokenizer.pieces[each].strip()]
                penalties[ids[0]] = nats
        return Sampling(
            heat, usual.top_p, usual.top_k, usual.min_p, tuple(sorted(penalties.items()))
        )

    def room(self, path: Path, policy: str = "policy", within: int | None = None) -> int:
        """Tokens that may still be drawn."""
        room = self.policies[policy].binding.context - len(path.prompt) - len(path.ids)
        return room if within is None else min(room, within - path.tokens)

    def grown(
        self, path: Path, request: GenerateRequest, policy: str, within: int | None = None
    ) -> Path:
        """The path with what a policy replies; the same request is answered once."""
        greedy = request.sampling.temperature == 0  # which has no use for a stream
        name = (policy, replace(request, key=b"") if greedy else request)
        if name not in self.ledger.replies:
            self.ledger.replies[name] = self.policies[policy].generate_now(request)
        reply = self.ledger.replies[name]
        child = replace(
            path,
            key=request.key,
            ids=path.ids + reply.ids,
            logprobs=(*path.logprobs, *reply.logprobs),
            statistics=tuple(
                (each, path.values(each) + values) for each, values in reply.statistics.items()
            ),
            segments=reply.segments,
            level=0 if reply.ids else path.level + 1,
            finish=reply.finish.value,
            end_logprob=reply.end_logprob,
            parent=path,
            question=None,
        )
        over = reply.finish is Finish.END or reply.halted
        return replace(child, done=over or self.room(child, policy, within) <= 0)

    def together(self, scorer: str, paths: Sequence[Path]) -> list[float | None]:
        """Scores of candidates that are scored side by side."""
        requests = [
            ScoreRequest(self.task.text, {}, path.written, path.segments.texts) for path in paths
        ]
        replies = self.scorers[scorer].score_together_now(requests)
        return [reply.scores[0] for reply in replies]

    def _scored(self, scorer: str, path: Path) -> tuple[float | None, ...]:
        request = ScoreRequest(self.task.text, {}, path.written, path.segments.texts)
        return self.scorers[scorer].score_now(request).scores

    def _tag(self, policy: str, how: How) -> tuple[bytes, bool]:
        """Whose draws a key is for; and whether they depend on where the call starts."""
        units = {"steps": "steps", "tokens": "tokens", "thought": "thoughts"}
        unit = next((units[each] for each in units if how.get(each)), "solutions")
        least = how.get("at_least", 0)
        words = [f"at least {least} in {unit}"] * bool(least) + ["likeliest"] * how.get(
            "likeliest", False
        )
        if how.get("matching"):
            words.append(f"matching {how['matching']}")
        s = self.sampling(policy, how.get("temperature"))
        settings = (s.temperature, s.top_p, s.top_k, s.min_p)
        word, nats = how.get("avoiding", ("", 0.0))
        avoiding = f"avoiding {word!r} by {float(nats)!r}" if word else ""
        return sampling_tag(policy, *settings, " ".join(words), avoiding), bool(words)

    def _limits(self, policy: str, room: int, how: How) -> Limits:
        engine = self.policies[policy]
        end = engine.binding.thinking.end if engine.binding.thinking else ""
        cut_off = how.get("cut_off")
        return Limits(
            min(room, how.get("most", room)),
            steps=how.get("steps", 0),
            thought=engine.tokenizer.encode(end) if how.get("thought") else (),
            unit_tokens=how.get("tokens", 0),
            stop_at=how.get("stop_at", "").encode(),
            at_least=how.get("at_least", 0),
            matching=how.get("matching", ""),
            stop_when=how.get("stop_when"),
            end_when=None if cut_off is None else lambda so_far: cut_off(confidences(so_far)),
        )


def confidences(so_far: Partial) -> list[float]:
    """Of a generation's tokens."""
    return so_far.statistics["confidence"]
