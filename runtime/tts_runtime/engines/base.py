"""The contracts between the executor and the engines.

A policy engine answers `generate`, a scorer engine answers `score`. Both return a future at once
and batch as they like: the answer to a request is a pure function of the request (semantics.md
C62), never of what else is in flight. A cancelled future frees what the request holds as soon as
the engine can. Engines are used from one event loop; they may compute in threads of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from asyncio import Future
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

from tts_lang.explain.models import Model
from tts_lang.plan.graph import Plan
from tts_runtime.binding import Binding
from tts_runtime.engines.errors import CandidateError as CandidateError
from tts_runtime.engines.errors import EngineError as EngineError
from tts_runtime.engines.errors import Fault as Fault
from tts_runtime.engines.errors import NotRecordedError as NotRecordedError
from tts_runtime.engines.exactness import Exactness as Exactness
from tts_runtime.engines.of_path import OfPath, PathSource, made_later
from tts_runtime.fast_dataclass import fast_dataclass
from tts_runtime.steps import StepSplit
from tts_runtime.streams import Key
from tts_runtime.tokens import Tokenizer, Trusted, encode, path_mark


class Ability(Enum):
    """What a strategy may need of a policy engine, beyond sampling from a fresh prompt."""

    CONTINUE = "continuing a partial answer"
    LOGPROBS = "log-probabilities"
    FIRST_TOKENS = "the likeliest first tokens"
    LIKELIEST = "continuing from the likeliest first tokens"
    AT_LEAST = "tokens that may not be drawn"
    MATCHING = "drawing only what matches an expression"
    AVOIDING = "making tokens less likely"
    STREAMING = "an engine that streams"
    CONFIDENCE = "the 20 largest log-probabilities of each token"
    CERTAINTY = "the log-probabilities of the whole vocabulary"
    ENTROPY = "all log-probabilities of each token"
    MARGIN = "the 2 largest log-probabilities of each token"


class Finish(Enum):
    """Why a generation stopped."""

    STOP = "stop"  # the requested unit or a stop text is complete
    END = "end"  # the policy ended
    LENGTH = "length"  # a limit
    CUT = "cut"  # `cut` shortened the path
    FAILED = "failed"  # there is no reply: see `Generation.error`


_new: Final = object.__new__

#: Temperatures below this one count as 0.
LEAST_TEMPERATURE: Final = 1e-5


@dataclass(frozen=True, slots=True)
class Sampling:
    """How logits become a draw: penalties, then temperature, top-k, top-p, min-p, Gumbel-max.

    Ties (equal logits at a top-k or top-p border, equal maxima) go to the lower token id (C15).
    Temperature 0 takes the likeliest token and ignores the key. One below `LEAST_TEMPERATURE` is 0:
    it would draw the same tokens, and dividing by it leaves the range of 32-bit floats.
    `penalties`: ids in rising order, and what is taken from their logits, in nats (C78).
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0  # 0: off
    min_p: float = 0.0
    penalties: tuple[tuple[int, float], ...] = ()

    def __post_init__(self) -> None:
        if 0 < self.temperature < LEAST_TEMPERATURE:
            object.__setattr__(self, "temperature", 0.0)


@fast_dataclass(frozen=True, slots=True)
class Limits:
    """When a generation stops, apart from the policy's own end.

    Args:
        steps: Stop with the token that closes this many more steps than the prefix had; 0: never.
        thought: Ids of the end-of-thinking delimiter: stop when it is drawn, and withhold it. Any
            part of it in the prefix stays there.
        unit_tokens: Stop (finish "stop") after this many tokens: the unit `x k tokens`.
        max_tokens: Stop with finish "length" after this many tokens (>= 1); always set, at
            least by the context window. Engines lower it to what their window leaves.
        stop_at: Bytes that stop the call (finish "stop") with the token that completes them; they
            may begin in the prefix.
        stop_when: Called after every token with the ids, log-probabilities and statistics so far of
            this call; true stops it with finish "stop". May be called in an engine's thread; an
            error in it fails the request.
        end_when: The same; true also marks the generation `halted`.
        at_least: No end, thought delimiter or step end can be drawn in the first `at_least` tokens.
        matching: A regular expression of `tts_lang.regex`: only tokens can be drawn with which the
            call's text can still come to match it, and ends where it matches (C77).
        begun: Ids at the end of the prefix that belong to the call: an earlier request drew them.
    """

    max_tokens: int
    steps: int = 0
    thought: tuple[int, ...] = ()
    unit_tokens: int = 0
    stop_at: bytes = b""
    stop_when: Callable[[Partial], bool] | None = None
    end_when: Callable[[Partial], bool] | None = None
    at_least: int = 0
    matching: str = ""
    begun: int = 0

    @property
    def watched(self) -> bool:
        """Whether a condition sees every token: such a request equals no other."""
        return self.stop_when is not None or self.end_when is not None


class StreamOrigin(NamedTuple):
    """The position of a request in a problem's random streams.

    Args:
        root: The key of the problem (`streams.root_key`).
        parent: The key of the path that is continued.
        number: Which child of it this is (C2).
        level: How many of its last nodes added no token (C10).
    """

    root: Key
    parent: Key
    number: int
    level: int = 0


@fast_dataclass(frozen=True, slots=True)
class GenerateRequest(OfPath):
    """One continuation of one path.

    Args:
        prompt: Ids of the conversation's prompt.
        prefix: Ids of the path after the prompt; the first token drawn has position `len(prefix)`.
        key: The stream that its tokens are drawn from.
        sampling: How they are drawn.
        limits: When to stop.
        segments: How the prefix is split into steps.
        first_rank: Take the token of this rank (0: likeliest) first, instead of drawing it.
        statistics: Names (`confidence`, `certainty`, `entropy`, `margin`) wanted per token.
        logprobs: Log-probabilities are wanted; else an engine that would have to ask for them may
            leave them out (`PolicyEngine.spares_logprobs`).
        priority: Waiting requests with the lowest number get a free slot first, then those that
            came first. It does not affect the answer, so it is no part of the request's identity.
        origin: What `key` was derived from; `None` for judges, look-ahead and graders.
        on_token: Called after every token of the reply, perhaps in an engine's thread; no part of
            the request's identity either. An engine that begins again calls with a new `Partial`;
            one that does not see tokens as they are drawn calls late, or not at all.
    """

    prompt: tuple[int, ...]
    prefix: tuple[int, ...]
    key: Key
    sampling: Sampling
    limits: Limits
    segments: StepSplit
    first_rank: int | None = None
    statistics: tuple[str, ...] = ()
    logprobs: bool = True
    priority: int = field(default=0, compare=False)
    origin: StreamOrigin | None = field(default=None, compare=False)
    on_token: Callable[[Partial], None] | None = field(default=None, compare=False)

    @classmethod
    def after(
        cls,
        path: PathSource,
        prompt: tuple[int, ...],
        key: Key,
        sampling: Sampling,
        limits: Limits,
        first_rank: int | None = None,
        statistics: tuple[str, ...] = (),
        logprobs: bool = True,
        priority: int = 0,
        origin: StreamOrigin | None = None,
    ) -> Self:
        """The request to continue a path."""
        request: Any = _new(cls)  # the fastest way to make one
        request.of = path
        request.prompt = prompt
        request.key = key
        request.sampling = sampling
        request.limits = limits
        request.segments = path.segments
        request.first_rank = first_rank
        request.statistics = statistics
        request.logprobs = logprobs
        request.priority = priority
        request.origin = origin
        request.on_token = None
        made: Self = request
        return made

    @property
    def position(self) -> int:
        """Position of the first token that is drawn: the length of the prefix."""
        of = self.of
        return len(self.prefix) if of is None else of.position

    @property
    def mark(self) -> int:
        """The `path_mark` of the prefix, which need not be put together for it."""
        return path_mark(0, self.prefix) if (of := self.of) is None else of.mark


made_later(GenerateRequest)


@dataclass(slots=True)
class Partial:
    """The tokens that a generation has drawn so far."""

    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    statistics: dict[str, list[float]] = field(default_factory=dict)


@fast_dataclass(frozen=True, slots=True)
class Generation:
    """The answer to a `GenerateRequest`.

    Args:
        ids: New ids, without an end of sequence and without a withheld delimiter.
        logprobs: Natural log-probability of each id under the raw distribution (temperature 1, no
            truncation, C36), one per id; NaN from an engine that lacks them or leaves them out.
        finish: Why it stopped.
        end_logprob: Log-probability of the end-of-sequence token when finish is END, else 0.
        halted: `end_when` fired: nothing more may be added (C17).
        segments: How prefix and new ids are split into steps.
        drawn: Tokens drawn, including withheld ones and the end: the policy's work.
        prefilled: Prompt and prefix tokens that the engine had to process for this request.
        statistics: One list per requested statistic, as long as `ids`.
        error: Why there is no reply (finish FAILED); set by the executor, never by an engine.
    """

    ids: tuple[int, ...]
    logprobs: Sequence[float]
    finish: Finish
    segments: StepSplit
    end_logprob: float = 0.0
    halted: bool = False
    drawn: int = 0
    prefilled: int = 0
    statistics: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    error: CandidateError | None = None


@fast_dataclass(frozen=True, slots=True)
class ScoreRequest(OfPath):
    """One path to score.

    Args:
        problem: The problem's text from the problem file.
        fields: The problem's other fields (gold answers, oracle difficulty).
        text: The conversation's text so far.
        steps: Its steps (`StepSplit.texts`).
        known: Number of leading steps that have been scored before.
        answer: The answer extracted from the text, if any.
        digest: What says the same as the text and how it is cut into steps, in every process, where
            whoever asks knows one and tells no answer.
    """

    problem: str
    fields: Mapping[str, object]
    text: str
    steps: tuple[str, ...]
    known: int = 0
    answer: str | None = None
    digest: bytes | None = field(default=None, compare=False, repr=False)

    @classmethod
    def about(
        cls,
        path: PathSource,
        problem: str,
        fields: Mapping[str, object],
        known: int = 0,
        answer: str | None = None,
        digest: bytes | None = None,
        new_steps: tuple[str, ...] | None = None,
    ) -> Self:
        """The request to score a path."""
        request: Any = _new(cls)  # the fastest way to make one
        request.of = request.of_text = path
        request.problem = problem
        request.fields = fields
        request.known = known
        request.answer = answer
        request.digest = digest
        request.new = new_steps
        made: Self = request
        return made

    @property
    def new_steps(self) -> tuple[str, ...]:
        """The steps that are to be scored."""
        return self.steps[self.known :] if self.new is None else self.new


made_later(ScoreRequest)


@fast_dataclass(frozen=True, slots=True)
class ScoreReply:
    """Scores of the steps after the `known` ones (process), or one number (outcome).

    Args:
        scores: `None` is a missing score.
        tokens: Scorer tokens processed for this request: fewer where an engine has them cached.
        opening: Tokens before the first step (problem and template), if no step is
            known; a function of the problem. 0 for an outcome, which counts as one whole.
        sizes: Tokens of each new step as the scorer reads it, or of the whole path for an outcome;
            a function of the problem and the steps so far, whatever the engine has cached.
    """

    scores: tuple[float | None, ...]
    tokens: int = 0
    opening: int = 0
    sizes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Load:
    """How busy an engine is, in requests: running, slots (0: no limit), waiting."""

    running: int
    slots: int
    waiting: int


class Engine(ABC):  # noqa: B024  (what is abstract differs)
    """The common base of policies and scorers."""

    #: Exact results whatever the batching, but for near ties: the engine follows the streams.
    exact: bool = True
    #: The same bits whatever the batching.
    same_bits: bool = True

    @property
    def exactness(self) -> Exactness:
        """How far a rerun repeats what it gives."""
        if not self.exact:
            return Exactness.NONE
        return Exactness.BITS if self.same_bits else Exactness.NEAR_TIES


class PolicyEngine(Engine):
    """Generates continuations."""

    #: The size of its model, for FLOPs; `None`: not known.
    card: Model | None = None
    #: It finds itself what `matching` and `one of` allow (`engines.matching`).
    masks: bool = True
    #: Where tokens begin and end in its texts is known; else `cut` cannot end inside of a draw.
    borders: bool = True
    #: It leaves log-probabilities out where a request does not want them.
    spares_logprobs: bool = False
    #: Without a marked answer, the last line of a finished reply is the answer (printed output).
    last_line: bool = False
    #: What it cannot do, and why: completes a sentence that begins with "policy `x`" and says what
    #: the user can do about it. `bind` refuses plans that need it.
    lacks: Mapping[Ability, str] = MappingProxyType({})

    binding: Binding
    tokenizer: Tokenizer

    @property
    def thought_end(self) -> int:
        """The count of tokens that end a thought; 0: the binding has no thoughts."""
        thinking = self.binding.thinking
        if thinking is None:
            return 0
        return len(encode(self.tokenizer, Trusted(thinking.end), continued=True))

    @property
    def cancelled_tokens(self) -> int:
        """Tokens drawn so far for requests that were then cancelled."""
        return 0

    @property
    def load(self) -> Load | None:
        """How busy it is; `None` if it does not know.

        For displays, and for deciding whether there is room for speculation.
        """
        return None

    @abstractmethod
    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """Starts one generation.

        The future fails with `CandidateError` for a request that cannot be answered (a path longer
        than the context window, a reply that a server filtered), with `EngineError` for an engine
        that broke.
        """

    def unfit(self, plan: Plan, name: str) -> Iterable[str]:  # noqa: ARG002
        """Demands of a plan on its policy `name` that this engine cannot meet: one line each."""
        return ()

    async def close(self) -> None:
        """Frees what the engine holds; requests in flight are cancelled."""


class ScorerEngine(Engine):
    """Scores paths."""

    #: The size of its model, for FLOPs; `None`: not known.
    card: Model | None = None
    #: A number per step (a PRM) or one per solution (an ORM, a field of the problem).
    steps: bool = True
    #: False: it compares the candidates of a pool, so it can only score them `together`.
    alone: bool = True
    #: The problem's field that it reads; `None` for none.
    read_field: str | None = None
    #: Declared range of the scores; `None` for unbounded.
    low: float | None = 0.0
    high: float | None = 1.0

    @abstractmethod
    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """Scores one path; fails as `PolicyEngine.generate` does.

        Any other exception counts as the candidate's fault (`Fault.EXCEPTION`): scorers may be user
        code.
        """

    @property
    def pools(self) -> bool:
        """Whether it scores a pool together."""
        return type(self).score_together is not ScorerEngine.score_together

    def score_together(self, requests: Sequence[ScoreRequest]) -> Future[Sequence[ScoreReply]]:
        """Scores a pool whose scores depend on each other (a scorer declared `together`)."""
        raise EngineError(
            "this engine scores one candidate at a time, so it cannot score "
            f"{len(requests)} candidates together"
        )

    def unfit(self, plan: Plan, name: str) -> Iterable[str]:  # noqa: ARG002
        """As of policies, for the scorer `name` of a plan."""
        return ()

    async def close(self) -> None:
        """Frees what the engine holds; requests in flight are cancelled."""
