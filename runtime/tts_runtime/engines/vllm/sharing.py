"""How a policy and a reward model share one device: memory for each by what a plan has it keep.

EXPLAIN bounds the tokens that a plan samples and those that its scorer reads (semantics.md C59).
Paths that are continued, or whose continuations are scored, are kept in caches of keys and values,
so memory that the weights leave is divided in proportion to them: then neither cache is full while
the other has room. A path that is scored once need not be kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, Final

from tts_lang.explain.costs import bounds
from tts_lang.plan.graph import Operation, Plan, Repeat, Score, operations
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.hf.files import card, model_files
from tts_runtime.engines.options import EngineName, options_of, parse_name, with_options
from tts_runtime.engines.vllm.launch import gpu_memory
from tts_runtime.engines.vllm.options import (
    CPU_CACHE,
    POLICY_SHARE,
    SCORER_SHARE,
    VllmOptions,
    VllmPolicyOptions,
    VllmScorerOptions,
)

#: Part of a GPU in which each model computes, beside its weights and its cache.
_WORK: Final = 0.04
#: A scorer that keeps nothing has room for this part of what it reads, one path at least.
_LEAST: Final = 64
_BYTES: Final = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True)
class Tenant:
    """A model on a device that it shares.

    Args:
        weights: Bytes.
        token: Bytes of the keys and values of a token.
        window: Tokens of its context window, which its cache must hold.
        tokens: That a plan has it keep, per problem.
    """

    weights: float
    token: float
    window: int
    tokens: float


def caches(tenants: Sequence[Tenant], room: float) -> list[float] | None:
    """Bytes of each model's cache: a window, and of the rest in proportion to what it keeps.

    Args:
        tenants: The models.
        room: Bytes of all caches together.

    Returns:
        `None` where `room` does not hold a window of each.
    """
    least = [tenant.window * tenant.token for tenant in tenants]
    kept = [tenant.tokens * tenant.token for tenant in tenants]
    rest = room - sum(least)
    if rest < 0 or not sum(kept):
        return None
    return [low + rest * own / sum(kept) for low, own in zip(least, kept, strict=True)]


def shares(tenants: Sequence[Tenant], device: float) -> list[float] | None:
    """Shares of a GPU of `device` bytes, vLLM's `gpu_memory_utilization`; `None`: they do not fit.

    Together they are as much as the default shares.
    """
    fixed = [tenant.weights + _WORK * device for tenant in tenants]
    found = caches(tenants, (POLICY_SHARE + SCORER_SHARE) * device - sum(fixed))
    return found and [(own + cache) / device for own, cache in zip(fixed, found, strict=True)]


def tokens_kept(plans: Iterable[Plan], context: int, scorer: str) -> tuple[int, int] | None:
    """Tokens of policies and of one scorer in a problem, at most, of the plan with the most.

    Of a scorer that reads each path once, those of one path: it reads faster than a policy draws,
    so few of a problem are with it at a time. `None` where a plan has no bound.
    """
    sampled, scored = 0, 0
    for plan in plans:
        found = bounds(plan, context)
        written = [found.total.sampled_tokens, found.total.prefilled_tokens]
        read = [
            operation.spent.scorer_tokens
            for operation in found.operations
            if _scores(operation.operation, scorer)
        ]
        if None in written or None in read:
            return None
        sampled = max(sampled, sum(each or 0 for each in written))
        whole = sum(each or 0 for each in read)
        once = max(min(whole, context), whole // _LEAST)
        scored = max(scored, whole if reads_again(plan, scorer) else once)
    return sampled, scored


def reads_again(plan: Plan, scorer: str) -> bool:
    """Whether a scorer may be given a path again, or one that continues it: what it keeps pays."""
    looped = {
        id(inner)
        for operation in operations(plan.body)
        if isinstance(operation.spec, Repeat)
        for region in operation.regions
        for inner in operations(region)
    }
    scoring = [each for each in operations(plan.body) if _scores(each, scorer)]
    return len(scoring) > 1 or any(id(each) in looped for each in scoring)


def _scores(operation: Operation, scorer: str) -> bool:
    return isinstance(operation.spec, Score) and operation.spec.scorer == scorer


def divided(
    policies: Mapping[str, object], scorers: Mapping[str, object], plans: Sequence[Plan]
) -> dict[str, str]:
    """Names of engines with the memory that each gets, by their names without.

    Only where vLLM runs one policy and one scorer on the first device, and the user says nothing of
    memory; and only if the files of both models say how large they are.
    """
    used = [
        (name, parsed, kind)
        for engines, kind in ((policies, VllmPolicyOptions), (scorers, VllmScorerOptions))
        for name, engine in engines.items()
        if isinstance(engine, str) and _on_vllm(parsed := parse_name(engine))
    ]
    if len(used) != 2 or used[0][2] is used[1][2] or find_spec("vllm") is None:
        return {}
    try:
        options = [_options(parsed, kind) for _, parsed, kind in used]
        said = [each.gpu_memory or each.kv_cache or each.args for each in options]
        devices = {(each.tensor_parallel, each.devices) for each in options}
        if any(said) or devices not in ({(1, None)}, {(1, "0")}):
            return {}
        device = gpu_memory()
        sizes = [
            _size(parsed.argument, each, gpu=device is not None)
            for (_, parsed, _), each in zip(used, options, strict=True)
        ]
    except (EngineError, KeyError, TypeError):  # told where the engine opens
        return {}
    kept = tokens_kept(plans, min(size.window for size in sizes), used[1][0])
    if kept is None:
        return {}
    tenants = [
        Tenant(size.weights, size.token, size.window, tokens)
        for size, tokens in zip(sizes, kept, strict=True)
    ]
    if device is None:
        option, found = "kv_cache", caches(tenants, 2 * CPU_CACHE * 2**30)
        found = found and [cache / 2**30 for cache in found]
    else:
        option, found = "gpu_memory", shares(tenants, device)
    return {
        parsed.written: with_options(parsed.plain, {**dict(parsed.options), option: f"{part:.4f}"})
        for (_, parsed, _), part in zip(used, found or (), strict=bool(found))
    }


def _on_vllm(name: EngineName) -> bool:
    return name.kind == "vllm" or dict(name.options).get("engine") == "vllm"


def _options(name: EngineName, kind: type[VllmOptions]) -> VllmOptions:
    own = tuple(pair for pair in name.options if pair[0] != "reduce")  # of any scorer's scores
    return options_of(replace(name, options=own), kind)


def _size(name: str, options: VllmOptions, *, gpu: bool) -> Tenant:
    files = model_files(name, options.revision)
    model, window = card(files), options.context or files.positions
    if model is None or window is None:
        raise EngineError(f"`{name}` does not say its size")
    width = _BYTES[options.dtype if options.dtype != "auto" else "bfloat16" if gpu else "float32"]
    config: dict[str, Any] = files.config.get("text_config", files.config)
    heads = config["num_attention_heads"]
    head = config.get("head_dim") or config["hidden_size"] // heads
    token = 2 * config["num_hidden_layers"] * (config.get("num_key_value_heads") or heads) * head
    return Tenant(model.parameters * width, token * width, window, 0)
