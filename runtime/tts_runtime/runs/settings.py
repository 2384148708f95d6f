"""The settings of a run: `Settings`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tts_lang.explain.models import UNKNOWN, Models
from tts_lang.optimise import ALL
from tts_lang.optimise.early_exit import PASSES
from tts_runtime.cluster.ray_cluster import ClusterAddress
from tts_runtime.engines.base import PolicyEngine, ScorerEngine
from tts_runtime.graders import Grader
from tts_runtime.runs.limits import CostLimits
from tts_runtime.runs.seeds import distinct_seeds
from tts_runtime.runs.shards import Shard

#: Values of `Settings.keep`.
KEPT: Final = ("ids", "logprobs")


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a run: engines by their names in the strategies, problems, seed, output.

    Args:
        policies: Engine names (`bundled`, `vllm:MODEL`...) or open engines by the name that
            strategies give them. Without any other policy, `policy` and `prm` are the bundled ones.
        scorers: The same for scorers (`bundled`, `field:pass_rate`...), which may be functions
            (`plugins.scorer`).
        seeds: Of the random streams: a number, or several (`range(5)`), under each of which every
            problem is answered.
        out: A run directory, new or of the same run: what an earlier session has finished is read
            back there, and not run again. Nothing is written when absent.
        concurrency: At most this many problems in flight; when absent, a small multiple of what
            fills the engines (`default_window`).
        disabled: Passes of the optimiser or the executor that are left out, as `--no-pass` names
            them.
        analyze: Count rows and tokens per operation (`Result.op_stats`).
        problem_set: Name of the problems, for the summary; a file's or set's own if absent.
        speculate: Where engines have free slots, likely survivors of a selection run ahead; tokens
            drawn for nothing are never more than this part of the others. 0: nothing runs ahead.
        strict: What is wrong with one candidate (`engines.base.CandidateError`) fails its problem.
        models: Sizes of models, for FLOPs, where engines do not state them.
        grader: How answers are graded, a name as `--grader` takes it, a function or a grader of
            your own (which stays open); absent: each problem's own, else `math`.
        shard: The part of the problems that is run here, in a folder of its own below `out`;
            `runs.merge.merge` puts the parts together.
        keep: What else a run directory has of every candidate: `ids` (of tokens, with those of the
            prompt), `logprobs` (of each).
        cluster: Where problems run (`ray`, `ray://HOST:PORT`), on engines of `replicas` processes;
            absent: here.
        replicas: Processes, each with all engines of its own.
        command: The command line, for the record.
        limits: Budgets of what plans may cost, held against their bounds on the open engines.
    """

    policies: Mapping[str, str | PolicyEngine] = field(default_factory=dict)
    scorers: Mapping[str, str | ScorerEngine] = field(default_factory=dict)
    seeds: int | Iterable[int] = 0
    out: Path | None = None
    concurrency: int | None = None
    disabled: frozenset[str] = frozenset()
    analyze: bool = False
    speculate: float = 0.0
    problem_set: str | None = None
    strict: bool = False
    models: Models = UNKNOWN
    grader: str | Grader | None = None
    shard: Shard | None = None
    keep: Collection[str] = ()
    cluster: str | None = None
    replicas: int = 1
    command: Sequence[str] = ()
    limits: CostLimits = field(default_factory=CostLimits)

    if TYPE_CHECKING:
        # What a program may write: `__post_init__` and `Session` make the types above of it.
        def __init__(
            self,
            policies: Mapping[str, str | PolicyEngine] = ...,
            scorers: Mapping[str, str | ScorerEngine | Callable[..., Any]] = ...,
            seeds: int | Iterable[int] = ...,
            out: str | Path | None = ...,
            concurrency: int | None = ...,
            disabled: Iterable[str] = ...,
            analyze: bool = ...,
            speculate: float = ...,
            problem_set: str | None = ...,
            strict: bool = ...,
            models: Models = ...,
            grader: str | Grader | Callable[..., Any] | None = ...,
            shard: Shard | None = ...,
            keep: Collection[str] = ...,
            cluster: str | None = ...,
            replicas: int = ...,
            command: Sequence[str] = ...,
            limits: CostLimits = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        if isinstance(self.out, str):  # what a notebook passes
            object.__setattr__(self, "out", Path(self.out))
        for what, engines in (("policies", self.policies), ("scorers", self.scorers)):
            if not isinstance(engines, Mapping):
                raise TypeError(f"{what}: expected a dict, engines by name, not {engines!r:.80}")
        passes = frozenset((self.disabled,) if isinstance(self.disabled, str) else self.disabled)
        passes |= frozenset(PASSES if ALL in passes else ())  # those of the executor, too
        object.__setattr__(self, "disabled", passes)
        object.__setattr__(self, "seeds", distinct_seeds(self.seeds))
        if self.cluster is not None:
            ClusterAddress.parse(self.cluster)
        if isinstance(self.keep, str):
            object.__setattr__(self, "keep", (self.keep,))
        if self.replicas < 1:
            raise ValueError(f"replicas: at least 1, not {self.replicas}")
        if self.concurrency is not None and self.concurrency < 1:
            raise ValueError(f"concurrency: at least 1, not {self.concurrency}")
        if not 0 <= self.speculate <= 1:
            raise ValueError(f"speculate: a number from 0 to 1, not {self.speculate}")
        unknown = sorted(set(self.keep).difference(KEPT))
        if unknown:
            raise ValueError(f"keep: expected {' or '.join(KEPT)}, found {unknown[0]!r}")
