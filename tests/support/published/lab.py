"""A path through a policy's texts, and a lab in which paths are sampled, scored and asked about.

Streams are those that the documents promise: children are numbered on their path in the order in
which they are asked for, and the same request costs once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import fsum

from tts_runtime.answers import canonical, extract_answer
from tts_runtime.engines.base import (
    Finish,
    GenerateRequest,
    Generation,
    Limits,
    Sampling,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.sim import SimPolicy, SimScorer
from tts_runtime.problems import Problem
from tts_runtime.segment import NOTHING, Segments
from tts_runtime.streams import (
    UNCLAIMED,
    Key,
    Part,
    asked_key,
    child_key,
    cut_key,
    forced_key,
    root_key,
    sampling_tag,
    split_key,
    thinking_key,
)
from tts_runtime.tokens import Tokenizer, to_bytes, to_text

Statistics = tuple[tuple[str, tuple[float, ...]], ...]
#: What is compared of a sampled candidate: text, ids and tokens on the path, finish, done, logprob.
Sampled = tuple[str, int, int, str | None, bool, float]


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """What stands after a prompt, the stream that goes on from it, and what it was made from."""

    prompt: tuple[int, ...]
    key: Key
    tokenizer: Tokenizer
    ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()  # of what was sampled; forced ids have none
    statistics: Statistics = ()
    segments: Segments = NOTHING
    claimed: bytes = UNCLAIMED
    level: int = 0
    finish: str | None = None
    done: bool = False
    end_logprob: float = 0.0
    parent: Path | None = None
    question: str | None = None  # the problem's text, on the problem itself

    @property
    def text(self) -> str:
        """What was written; the question itself before anything was."""
        written = to_text(to_bytes(self.tokenizer, self.ids))
        return written if self.question is None else self.question

    @property
    def tokens(self) -> int:
        """Sampled tokens."""
        return len(self.logprobs)

    @property
    def logprob(self) -> float:
        """Of everything sampled, the end included."""
        return fsum([*self.logprobs, self.end_logprob])

    def values(self, statistic: str) -> tuple[float, ...]:
        """A statistic of every sampled token."""
        return dict(self.statistics).get(statistic, ())


@dataclass(frozen=True, slots=True)
class Ledger:
    """What all calls of one run share: replies, costs, candidates."""

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

    def anew(self) -> Lab:
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

    def opened(self, text: str, key: Key, thinks: bool = False, policy: str = "policy") -> Path:
        """A new conversation."""
        engine = self.policies[policy]
        prompt = engine.tokenizer.encode(engine.binding.open(text, thinking=thinks))
        return Path(prompt, key, engine.tokenizer)

    def sample(
        self,
        path: Path,
        number: int = 1,
        *,
        steps: int = 0,
        thought: bool = False,
        tokens: int = 0,
        most: int | None = None,
        within: int | None = None,
        at_least: int = 0,
        stop_at: str = "",
        temperature: float | None = None,
        likeliest: bool = False,
        statistics: tuple[str, ...] = (),
        policy: str = "policy",
    ) -> list[Path]:
        """So many continuations; a path that is finished, or has no room, stays as it is."""
        if path.done or number <= 0:
            return [path] if path.done else []
        room = self._room(path, policy, within)
        if room <= 0:
            return [replace(path, done=True, finish="length")]
        engine = self.policies[policy]
        sampling = self._sampling(policy, temperature)
        unit = "steps" if steps else "thoughts" if thought else "tokens" if tokens else "solutions"
        irregular = " ".join(
            [f"at least {at_least} in {unit}"] * (at_least > 0) + ["likeliest"] * likeliest
        )
        tag = sampling_tag(
            policy,
            sampling.temperature,
            sampling.top_p,
            sampling.top_k,
            sampling.min_p,
            irregular,
        )
        thinking = engine.binding.thinking
        limits = Limits(
            room if most is None else min(room, most),
            steps=steps,
            thought=engine.tokenizer.encode(thinking.end) if thought and thinking else (),
            unit_tokens=tokens,
            stop_at=stop_at.encode(),
            at_least=at_least,
        )
        found = []
        place = (path.prompt, path.key, path.claimed, len(path.ids), path.level)
        for _ in range(number):
            count = self.numbers[place]
            self.numbers[place] += 1
            key = child_key(path.key, path.claimed, len(path.ids), path.level, count, tag)
            request = GenerateRequest(
                prompt=path.prompt,
                prefix=path.ids,
                key=key,
                sampling=sampling,
                limits=limits,
                segments=path.segments,
                first_rank=count if likeliest else None,
                statistics=statistics,
            )
            child = self._grown(path, request, policy, within)
            child = replace(child, claimed=UNCLAIMED if irregular else tag)
            found.append(child)
            added = to_text(to_bytes(path.tokenizer, child.ids[len(path.ids) :]))
            self.ledger.candidates.append(
                (added, len(child.ids), child.tokens, child.finish, child.done, child.logprob)
            )
        return found

    def rollout(self, path: Path, steps: int) -> Path:
        """Where so many greedy steps lead; nothing of it is kept."""
        if path.done or steps <= 0 or self._room(path, "policy") <= 0:
            return path
        limits = Limits(self._room(path, "policy"), steps=steps)
        sampling = self._sampling("policy", 0.0)
        request = GenerateRequest(path.prompt, path.ids, b"", sampling, limits, path.segments)
        return self._grown(path, request, "policy", None)

    def force(self, path: Path, text: str) -> Path:
        """The path with text that the policy did not choose, as ids; an end is undone."""
        ids = path.tokenizer.encode(text)
        return replace(
            self._written(path, ids),
            key=forced_key(path.key, len(path.ids), ids),
            finish=None,
            end_logprob=0.0,
            done=False,
        )

    def cut(self, path: Path, steps: int) -> Path:
        """The path back at its first steps, open again."""
        kept = path
        for count in range(len(path.ids) + 1):
            start = replace(path, ids=(), segments=Segments())
            kept = self._written(start, path.ids[:count])
            if len(kept.segments.closed) >= steps:
                break
        return replace(
            kept,
            key=cut_key(path.key, len(path.ids), len(kept.ids)),
            logprobs=path.logprobs[: len(kept.ids)],
            finish="cut",
            end_logprob=0.0,
            done=False,
        )

    def pieces(self, path: Path, most: int) -> list[Path]:
        """The lines of a path that are not blank, each as a path of its own."""
        lines = [line.strip() for line in path.text.split("\n") if line.strip()]
        found = []
        for number, line in enumerate(lines[:most]):
            ids = path.tokenizer.encode(line)
            start = replace(path, ids=(), logprobs=(), segments=Segments(), question=None)
            key = split_key(path.key, len(path.ids), number, ids)
            found.append(replace(self._written(start, ids), key=key, done=False, end_logprob=0.0))
        return found

    def ask(
        self,
        prompt: str,
        about: Sequence[Path],
        number: int = 1,
        *,
        shown: Mapping[str, str] | None = None,
        given: Sequence[Path] | None = None,
        together: bool = False,
        thinks: bool = False,
        policy: str = "policy",
        **how: object,
    ) -> list[Path]:
        """Replies in a new conversation about one path, or about several shown together.

        `shown` fills the prompt's slots, beside the problem; `given` are paths that are shown too.
        """
        text = self.filled(prompt, about[0] if not together else None, shown or {})
        parts: list[Part] = [text, int(thinks)]
        if given is not None:
            parts += ["pool", len(given)]
            for path in given:
                parts += [path.key, len(path.ids)]
        key = asked_key(prompt, parts, [(path.key, len(path.ids)) for path in about])
        start = self.opened(text, key, thinks, policy)
        replies = self.sample(start, number, policy=policy, **how)  # type: ignore[arg-type]
        parent = None if together else about[0]
        return [replace(reply, parent=parent) for reply in replies]

    def judge(
        self,
        name: str,
        read: Callable[[str], float | None],
        about: Sequence[Path],
        *,
        shown: Mapping[str, str] | None = None,
        reading: int = 0,
        retries: int = 2,
    ) -> float | None:
        """What the policy says when asked to judge; asked again while it cannot be read."""
        text = self.filled(name, about[0], shown or {})
        names = [(path.key, len(path.ids)) for path in about]
        for retry in range(retries + 1):
            key = asked_key(f"judge:{name}", [text, 0, reading, retry], names)
            start = self.opened(text, key)
            sampling = self._sampling("policy", None)
            settings = (sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p)
            key = child_key(key, UNCLAIMED, 0, 0, 0, sampling_tag("policy", *settings))
            limits = Limits(self._room(start, "policy"))
            request = GenerateRequest(start.prompt, (), key, sampling, limits, start.segments)
            value = read(self._grown(start, request, "policy", None).text)
            if value is not None:
                return value
        return None

    def filled(self, name: str, path: Path | None, shown: Mapping[str, str]) -> str:
        """A prompt's text."""
        slots = {"problem": self.task.text, **shown}
        if path is not None:
            slots.setdefault("text", path.text)
            if path.parent is not None:
                slots["parent.text"] = path.parent.text
        parts = self.templates[name].replace("}", "{").split("{")
        return "".join(slots[part] if odd % 2 else part for odd, part in enumerate(parts))

    def prm(self, path: Path) -> tuple[float | None, ...]:
        """The process reward model's score of every step."""
        return self._scored("prm", path) if path.segments.steps else ()

    def outcome(self, path: Path, scorer: str = "orm") -> float | None:
        """A score of the whole solution."""
        return self._scored(scorer, path)[0]

    def answer(self, path: Path) -> str | None:
        """The answer in canonical form, if there is one."""
        written = self.written_answer(path)
        return None if written is None else canonical(written)

    def written_answer(self, path: Path) -> str | None:
        """The answer as written."""
        binding = self.policies["policy"].binding
        written = to_text(to_bytes(path.tokenizer, path.ids))
        end = binding.thinking.end if binding.thinking else None
        return extract_answer(written, binding.answer, path.finish or "", end)

    def _scored(self, scorer: str, path: Path) -> tuple[float | None, ...]:
        written = to_text(to_bytes(path.tokenizer, path.ids))
        request = ScoreRequest(self.task.text, {}, written, path.segments.texts)
        reply: ScoreReply = self.scorers[scorer].score_now(request)
        return reply.scores

    def _sampling(self, policy: str, temperature: float | None) -> Sampling:
        usual = self.policies[policy].binding.defaults
        heat = usual.temperature if temperature is None else float(temperature)
        return Sampling(heat, usual.top_p, usual.top_k, usual.min_p)

    def _room(self, path: Path, policy: str, within: int | None = None) -> int:
        room = self.policies[policy].binding.context - len(path.prompt) - len(path.ids)
        return room if within is None else min(room, within - path.tokens)

    def _grown(self, path: Path, request: GenerateRequest, policy: str, within: int | None) -> Path:
        greedy = request.sampling.temperature == 0  # which has no use for a stream
        name = (policy, replace(request, key=b"") if greedy else request)
        if name not in self.ledger.replies:
            self.ledger.replies[name] = self.policies[policy].generate_now(request)
        reply = self.ledger.replies[name]
        child = replace(
            path,
            key=request.key,
            ids=path.ids + reply.ids,
            logprobs=path.logprobs + reply.logprobs,
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
        ended = reply.finish is Finish.END or reply.halted
        return replace(child, done=ended or self._room(child, policy, within) <= 0)

    def _written(self, path: Path, ids: tuple[int, ...]) -> Path:
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
            question=None,
        )
