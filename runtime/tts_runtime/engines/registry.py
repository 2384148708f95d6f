"""Engines by name: what `--policy` and `--scorer` accept.

Torch is imported only when an engine that needs it is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from tts_lang.diagnostics import did_you_mean
from tts_lang.plan.expr import REDUCTIONS
from tts_runtime.engines.base import EngineError, PolicyEngine, ScorerEngine
from tts_runtime.paths import bundled

_POLICIES = ("bundled", "sim", "sim:SEED", "a model's folder with a `binding.yaml`")
_SCORERS = (
    "bundled",
    "sim",
    "sim:SEED",
    "field:NAME",
    "a PRM's folder with a `binding.yaml`",
    "a PRM's name and how its scores are reduced to one (bundled:last)",
)


def policy_engine(name: str) -> PolicyEngine:
    """The policy engine of a name or folder.

    Raises:
        EngineError, BindingError: No such engine, or it cannot be used; the message says why.
    """
    kind, _, argument = name.partition(":")
    if kind == "sim":
        from tts_runtime.engines.sim import SimPolicy
        from tts_runtime.engines.sim_model import SimModel

        return SimPolicy(SimModel(_seed(name, argument)))
    if name == "bundled":
        return load_policy(_bundled_folder("policy"))
    if Path(name).is_dir():
        return load_policy(Path(name))
    raise _unknown("policy", name, _POLICIES)


def scorer_engine(name: str) -> ScorerEngine:
    """The scorer engine of a name or folder; errors as `policy_engine`."""
    kind, _, argument = name.partition(":")
    if kind == "field" and argument:
        from tts_runtime.engines.fields import FieldScorer

        return FieldScorer(argument)
    inner, _, reduction = name.rpartition(":")
    if inner and reduction in REDUCTIONS:
        from tts_runtime.engines.reduced import ReducedScorer

        return ReducedScorer(scorer_engine(inner), reduction)
    if kind == "sim":
        from tts_runtime.engines.sim import SimScorer

        return SimScorer(_seed(name, argument))
    if name == "bundled":
        return load_scorer(_bundled_folder("prm"))
    if Path(name).is_dir():
        return load_scorer(Path(name))
    raise _unknown("scorer", name, _SCORERS)


def load_policy(folder: Path) -> PolicyEngine:
    """The policy in a Hugging Face folder."""
    engine: Callable[[Path], PolicyEngine] = _neural("tts_runtime.engines.bundled").BundledPolicy
    return engine(folder)


def load_scorer(folder: Path) -> ScorerEngine:
    """The PRM in a Hugging Face folder."""
    engine: Callable[[Path], ScorerEngine] = _neural("tts_runtime.engines.prm").BundledPrm
    return engine(folder)


def _neural(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("tts_"):
            raise
        raise EngineError(
            f"this engine needs `{error.name}`, which is not installed: "
            "pip install 'tts-lang[transformers]'"
        ) from error


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
    hint = did_you_mean(name, supported)
    return EngineError(
        f"unknown {kind} engine `{name}`"
        + (f"; {hint}" if hint else "")
        + f"; supported: {', '.join(supported)}"
    )
