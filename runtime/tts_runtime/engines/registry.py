"""Engines by name: what `--policy` and `--scorer` accept.

Torch is imported only when an engine that needs it is chosen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from re import fullmatch
from typing import Any

from tts_lang.diagnostics import did_you_mean
from tts_lang.plan.expr import REDUCTIONS
from tts_lang.readers import is_file, is_folder
from tts_runtime.engines.base import EngineError, PolicyEngine, ScorerEngine
from tts_runtime.engines.options import (
    SERVERS,
    EngineName,
    NoOptions,
    PolicyOptions,
    ScorerOptions,
    SimOptions,
    options_of,
    parse_name,
    with_options,
)
from tts_runtime.engines.scorers import POOL_SCORERS, pool_scorer
from tts_runtime.paths import bundled
from tts_runtime.plugins import described, function_named, names_registered, registered, spec_of

#: Families of `--scorer NAME=FAMILY:MODEL`; `tts_runtime.engines.prm` has their recipes.
FAMILIES = ("math-shepherd", "rlhflow", "skywork", "qwen-math-prm", "er-prm", "pqm", "orm", "auto")

_POLICIES = (
    "bundled",
    "sim",
    "sim:SEED",
    "transformers:MODEL",
    "vllm:MODEL",
    "openai:URL#MODEL",
    *(f"{server}/MODEL" for server in SERVERS),
    "exec:python",
    "replay:PATH",
    "a model's folder with a `binding.yaml`",
)
_SCORERS = (
    "bundled",
    "sim",
    "sim:SEED",
    "field:NAME",
    *POOL_SCORERS,
    "exec:python?field=NAME",
    "python:MODULE:NAME",
    "replay:PATH",
    *(f"{family}:MODEL" for family in FAMILIES),
    "http:URL#MODEL",
    "a PRM's folder with a `binding.yaml`",
    "a PRM's name and a reduction of its scores (bundled:last, bundled?reduce=last)",
)

#: Extras of the package by the module that they bring; others come with `transformers`.
_EXTRAS = {"tokenizers": "tokenizers", "huggingface_hub": "tokenizers", "vllm": "vllm"}

#: Prefixes of names of hosted models.
_HOSTED = r"gpt|chatgpt|o\d|claude|gemini|deepseek|grok"


def policy_engine(name: str) -> PolicyEngine:
    """The policy engine of a name or folder, with options: `transformers:MODEL?slots=32`.

    Raises:
        EngineError, BindingError: No such engine, or it cannot be used; the message says why.
    """
    return find_policy(name)()


def scorer_engine(name: str) -> ScorerEngine:
    """The scorer engine of a name or folder; errors as for `policy_engine`.

    With the option `reduce`, or ending in `:REDUCTION`, its scores of steps are reduced to one.
    """
    return find_scorer(name)()


def find_policy(name: str) -> Callable[[], PolicyEngine]:
    """Checks a policy engine's name and options; returns a function that opens the engine.

    Raises:
        EngineError: No such engine or option.
    """
    parsed = parse_name(name)
    if parsed.kind == "transformers":
        options = options_of(_with_model(parsed), PolicyOptions)
        return _opener(
            "tts_runtime.engines.torch.policy:TransformersPolicy", parsed.argument, options
        )
    if parsed.kind == "vllm":
        from tts_runtime.engines.vllm.options import VllmPolicyOptions

        vllm_options = options_of(_with_model(parsed), VllmPolicyOptions)
        return _opener("tts_runtime.engines.vllm.policy:VllmPolicy", parsed.argument, vllm_options)
    if parsed.kind == "openai":
        from tts_runtime.engines.openai.options import ServerOptions

        served = options_of(parsed, ServerOptions)
        return _opener("tts_runtime.engines.openai.replicas:open_servers", parsed.argument, served)
    if parsed.kind == "exec":
        parsed = _of_python(parsed)
        from tts_runtime.engines.sandbox.box import SandboxOptions

        sandbox = options_of(parsed, SandboxOptions)
        return _opener("tts_runtime.engines.sandbox.policy:ExecPolicy", sandbox)
    if parsed.kind == "replay":
        from tts_runtime.replay.options import ReplayOptions

        replayed = options_of(parsed, ReplayOptions)
        return _opener("tts_runtime.replay.policy:ReplayPolicy", parsed.argument, replayed)
    if parsed.kind == "sim":
        from tts_runtime.engines.sim.engines import SimPolicy
        from tts_runtime.engines.sim.model import SimModel

        simulated = options_of(parsed, SimOptions)
        model = SimModel(_seed(name, parsed.argument))
        return lambda: SimPolicy(model, model.binding(simulated.context))
    if parsed.plain == "bundled":
        options_of(parsed, NoOptions)
        return lambda: load_policy(_bundled_folder("policy"))
    if is_folder(Path(parsed.plain)):
        options_of(parsed, NoOptions)
        return lambda: load_policy(Path(parsed.plain))
    plugin = registered("policy", parsed.kind)
    if plugin is not None:
        return _plugged(plugin, parsed, PolicyEngine)
    raise _unknown("policy", name, (*_POLICIES, *names_registered("policy")))


def find_scorer(name: str) -> Callable[[], ScorerEngine]:
    """As `find_policy`, for a scorer engine."""
    parsed = parse_name(name)
    inner, _, reduction = parsed.plain.rpartition(":")
    options = dict(parsed.options)
    if not (inner and reduction in REDUCTIONS and parsed.kind != "field"):
        if "reduce" not in options:
            return _scorer(parsed)
        inner, reduction = parsed.plain, options.pop("reduce")
    if reduction not in REDUCTIONS:
        hint = did_you_mean(reduction, REDUCTIONS) or f"one of {', '.join(REDUCTIONS)}"
        raise EngineError(f"engine `{name}`: no reduction `{reduction}`; {hint}")
    from tts_runtime.engines.scorers import ReducedScorer

    opener = find_scorer(with_options(inner, options))
    return lambda: ReducedScorer(opener(), reduction)


def _scorer(name: EngineName) -> Callable[[], ScorerEngine]:
    if name.kind in FAMILIES and ("engine", "vllm") in name.options:
        from tts_runtime.engines.vllm.options import VllmScorerOptions

        vllm_options = options_of(_with_model(name), VllmScorerOptions)
        return _opener(
            "tts_runtime.engines.vllm.scorer:VllmScorer", name.kind, name.argument, vllm_options
        )
    if name.kind in FAMILIES:
        options = options_of(_with_model(name), ScorerOptions)
        return _opener(
            "tts_runtime.engines.prm.engine:load_family", name.kind, name.argument, options
        )
    if name.kind == "http":
        from tts_runtime.engines.openai.options import PoolingOptions

        pooling_options = options_of(name, PoolingOptions)
        return _opener(
            "tts_runtime.engines.openai.scorer:HttpScorer", name.argument, pooling_options
        )
    if name.kind == "field" and name.argument:
        from tts_runtime.engines.scorers import FieldScorer

        options_of(name, NoOptions)
        return lambda: FieldScorer(name.argument)
    if name.kind == "exec":
        name = _of_python(name)
        from tts_runtime.engines.sandbox.scorer import TestOptions

        tests = options_of(name, TestOptions)
        return _opener("tts_runtime.engines.sandbox.scorer:ExecScorer", tests)
    if name.kind == "replay":
        from tts_runtime.replay.options import ReplayScorerOptions

        replayed = options_of(name, ReplayScorerOptions)
        return _opener("tts_runtime.replay.scorer:ReplayScorer", name.argument, replayed)
    if name.kind == "sim":
        from tts_runtime.engines.sim.engines import SimScorer

        options_of(name, NoOptions)
        seed = _seed(name.written, name.argument)
        return lambda: SimScorer(seed)
    if name.kind == "python":
        from tts_runtime.engines.python import PythonScorer

        options_of(name, NoOptions)
        function = function_named(name.argument)
        return lambda: PythonScorer(function, name.written)
    if name.plain in POOL_SCORERS:
        return pool_scorer(name)
    if name.plain == "bundled":
        options_of(name, NoOptions)
        return lambda: load_scorer(_bundled_folder("prm"))
    if is_folder(Path(name.plain)):
        options_of(name, NoOptions)
        return lambda: load_scorer(Path(name.plain))
    plugin = registered("scorer", name.kind)
    if plugin is not None:
        return _plugged(plugin, name, ScorerEngine)
    raise _unknown("scorer", name.written, (*_SCORERS, *names_registered("scorer")))


def _plugged(plugin: Callable[..., Any], name: EngineName, kind: type[Any]) -> Callable[[], Any]:
    """Opens an engine of an installed package: its factory gets argument and options.

    A scorer may also be a plain function, as `python:MODULE:NAME` takes it.
    """
    if spec_of(plugin) is not None:
        from tts_runtime.engines.python import PythonScorer

        options_of(name, NoOptions)
        return lambda: PythonScorer(plugin, name.written)

    def opened() -> Any:
        try:
            engine = plugin(name.argument, **dict(name.options))
        except EngineError:
            raise
        except Exception as error:
            raise EngineError(f"engine `{name.written}`: {described(error)}") from error
        if not isinstance(engine, kind):
            raise EngineError(
                f"engine `{name.written}`: the package returned a {type(engine).__name__}, "
                f"no {kind.__name__}"
            )
        return engine

    return opened


def _with_model(name: EngineName) -> EngineName:
    if not name.argument:
        raise EngineError(
            f"engine `{name.written}`: expected {name.kind}:MODEL, a hub id or folder"
        )
    return name


def _of_python(name: EngineName) -> EngineName:
    if name.argument != "python":
        raise EngineError(f"engine `{name.written}`: the only language is Python: `exec:python`")
    if sys.platform != "linux":
        raise EngineError(f"engine `{name.written}`: programs run on Linux only")
    return name


def load_policy(folder: Path) -> PolicyEngine:
    """The policy in a Hugging Face folder."""
    engine: PolicyEngine = _opener("tts_runtime.engines.bundled.policy:BundledPolicy", folder)()
    return engine


def load_scorer(folder: Path) -> ScorerEngine:
    """The PRM in a Hugging Face folder."""
    engine: ScorerEngine = _opener("tts_runtime.engines.bundled.prm:BundledPrm", folder)()
    return engine


def _opener(place: str, *arguments: object) -> Callable[[], Any]:
    """Calls `MODULE:NAME`, importing it first.

    Raises:
        EngineError: When called, if a package is missing; the message says what to install.
    """
    module, _, name = place.partition(":")

    def open_engine() -> Any:
        try:
            return getattr(import_module(module), name)(*arguments)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("tts_"):
                raise
            extra = _EXTRAS.get(error.name.partition(".")[0], "transformers")
            raise EngineError(
                f"this engine needs `{error.name}`, which is not installed: "
                f"pip install 'tts-lang[{extra}]'"
            ) from error

    return open_engine


def _bundled_folder(part: str) -> Path:
    try:
        return bundled(part)
    except FileNotFoundError as error:
        raise EngineError(str(error)) from error


def _seed(name: str, text: str) -> int:
    if not text:
        return 0
    try:
        return int(text)
    except ValueError as error:
        raise EngineError(f"engine `{name}`: the seed must be a whole number") from error


def _unknown(kind: str, name: str, supported: Iterable[str]) -> EngineError:
    hint = _meant(kind, name, supported) or did_you_mean(name, supported)
    return EngineError(
        f"unknown {kind} engine `{name}`"
        + (f"; {hint}" if hint else "")
        + f"; supported: {', '.join(supported)}"
    )


def _meant(kind: str, name: str, supported: Iterable[str]) -> str | None:
    """A hint for an address, a hub id, a model or a function under no or another prefix."""
    server = "openai" if kind == "policy" else "http"
    if name.startswith(("http://", "https://", "localhost:", "127.0.0.1:")):
        address = name if name.startswith("http") else f"http://{name}"
        return f"for a server write `{server}:{address}" + ("`" if "#" in name else "#MODEL`")
    prefix, colon, rest = name.partition(":")
    if kind == "scorer" and prefix and is_file(Path(prefix.removesuffix(".py") + ".py")):
        return f"for a function of your own write `python:{prefix}:{rest or 'FUNCTION'}`"
    if colon:
        prefixes = dict.fromkeys(each.partition(":")[0] for each in supported if ":" in each)
        near = get_close_matches(prefix, prefixes, 1, 0.7)
        if near and near[0] != prefix:
            return f"did you mean '{near[0]}:{rest}'?"
        name = rest if "/" in rest else name
    if fullmatch(r"[\w.-]+/[\w.:-]+", name):
        server, _, model = name.partition("/")
        near = get_close_matches(server, SERVERS, 1, 0.8)
        if kind == "policy" and near and near[0] != server:
            return f"did you mean '{near[0]}/{model}'?"
        if kind == "policy":
            return f"for this model write `transformers:{name}`, or `vllm:{name}`"
        return f"for this model write `auto:{name}`, or its family: `qwen-math-prm:{name}`..."
    if kind == "policy" and fullmatch(rf"({_HOSTED})(-[\w.-]+)?", name):
        return (
            f"for a hosted model write `openai:https://HOST/v1#{name}`, or by a short name "
            f"`openai/{name}`, `openrouter/...`"
        )
    return None
