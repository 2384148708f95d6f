"""The engines of a session: each opened once, when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

from tts_lang.plan.graph import Plan
from tts_runtime.engines.base import EngineError, PolicyEngine, ScorerEngine
from tts_runtime.engines.python import PythonScorer
from tts_runtime.engines.registry import find_policy, find_scorer
from tts_runtime.graders import Grader
from tts_runtime.graders.function import FunctionGrader
from tts_runtime.runs.progress import Progress

Engine = TypeVar("Engine", PolicyEngine, ScorerEngine)


class EngineSet:
    """Open engines and graders by their names, inside `async with`.

    Two policies of one name (`judge` and `policy` on one model) are one engine. An engine that the
    caller opened is used as it is, and stays open.
    """

    def __init__(self) -> None:
        self._policies: dict[str, PolicyEngine] = {}
        self._scorers: dict[str, ScorerEngine] = {}
        self._graders: dict[str, Grader] = {}

    def open(
        self,
        policies: Mapping[str, str | PolicyEngine],
        scorers: Mapping[str, str | ScorerEngine],
        used: Collection[str],
        progress: Progress,
        plans: Sequence[Plan] = (),
    ) -> tuple[dict[str, PolicyEngine], dict[str, ScorerEngine]]:
        """The engines that plans use, by the names that strategies give them.

        Args:
            policies, scorers: Engines, or their names.
            used: Names in strategies; the others are left out: a model takes seconds to load.
            progress: Told which engine opens.
            plans: What will run, as far as it is known: engines that share a device divide its
                memory by what these have them keep.

        Raises:
            EngineError: One cannot be opened; those that are open stay so.
        """
        # All names are understood before the first model loads.
        names = _divided(
            {name: each for name, each in policies.items() if name in used},
            {name: each for name, each in scorers.items() if name in used},
            {*self._policies, *self._scorers},
            plans,
        )
        openers = (
            _openers(policies, used, self._policies, lambda name: find_policy(names(name))),
            _openers(scorers, used, self._scorers, lambda name: find_scorer(names(name))),
        )
        return (
            _opened(policies, used, self._policies, openers[0], progress),
            _opened(scorers, used, self._scorers, openers[1], progress),
        )

    def grader(self, name: str, open_grader: Callable[[], Grader]) -> Grader:
        """The grader of a name."""
        if name not in self._graders:
            self._graders[name] = open_grader()
        return self._graders[name]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes what was opened here; requests in flight are cancelled."""
        async with AsyncExitStack() as stack:
            for group in (self._policies, self._scorers, self._graders):
                for each in group.values():
                    stack.push_async_callback(each.close)
                group.clear()


def scorers_given(scorers: Mapping[str, Any]) -> dict[str, str | ScorerEngine]:
    """Scorers as a program gives them: names, engines, functions.

    Raises:
        EngineError: One is neither.
    """
    return {
        name: _checked(f"scorer `{name}`", each, ScorerEngine) for name, each in scorers.items()
    }


def policies_given(policies: Mapping[str, Any]) -> dict[str, str | PolicyEngine]:
    """The same of policies, which no function is."""
    return {
        name: _checked(f"policy `{name}`", each, PolicyEngine) for name, each in policies.items()
    }


def grader_given(grader: Any) -> str | Grader | None:
    """The same of a grader; `None`: each problem's own."""
    return None if grader is None else _checked("grader", grader, Grader)


def strategy_given(strategy: object) -> str | Plan:
    """A strategy as a program gives it: a name, a file, a plan.

    Raises:
        TypeError: It is none of these.
    """
    if isinstance(strategy, str | Plan):
        return strategy
    if isinstance(strategy, Path):
        return str(strategy)
    raise TypeError(f"strategy: expected a name, a file or a plan, found {strategy!r:.80}")


def strategies_given(strategies: Any) -> list[str | Plan]:
    """One strategy or several.

    Raises:
        TypeError: One is none.
    """
    alone = isinstance(strategies, str | Path | Plan) or not isinstance(strategies, Iterable)
    return [strategy_given(each) for each in ([strategies] if alone else strategies)]


def _checked(what: str, value: Any, kind: type[Any]) -> Any:
    if isinstance(value, str | kind):
        return value
    if isinstance(value, type) or not callable(value) or kind is PolicyEngine:
        hint = f"; make one of it: {value.__name__}()" if isinstance(value, type) else ""
        or_function = "" if kind is PolicyEngine else ", a function"
        raise EngineError(
            f"{what}: expected a name{or_function} or a {kind.__name__}, found {value!r:.80}{hint}"
        )
    written = f"python:{value.__module__}:{getattr(value, '__qualname__', type(value).__name__)}"
    return (PythonScorer if kind is ScorerEngine else FunctionGrader)(value, written)


def _divided(
    policies: Mapping[str, str | PolicyEngine],
    scorers: Mapping[str, str | ScorerEngine],
    opened: Collection[str],
    plans: Sequence[Plan],
) -> Callable[[str], str]:
    """Adds to an engine's name the memory that it gets, where vLLM runs policy and scorer."""
    written = [each for each in (*policies.values(), *scorers.values()) if isinstance(each, str)]
    if (
        not plans
        or sum("vllm" in each for each in written) < 2
        or not set(opened).isdisjoint(written)
    ):
        return lambda name: name
    from tts_runtime.engines.vllm.sharing import divided

    names = divided(policies, scorers, plans)
    return lambda name: names.get(name, name)


def _openers(
    engines: Mapping[str, str | Engine],
    used: Collection[str],
    opened: Mapping[str, Engine],
    find: Callable[[str], Callable[[], Engine]],
) -> dict[str, Callable[[], Engine]]:
    """Functions that open the engines that are not open yet, by the engine's name."""
    return {
        engine: find(engine)
        for name, engine in engines.items()
        if name in used and isinstance(engine, str) and engine not in opened
    }


def _opened(
    engines: Mapping[str, str | Engine],
    used: Collection[str],
    opened: dict[str, Engine],
    openers: Mapping[str, Callable[[], Engine]],
    progress: Progress,
) -> dict[str, Engine]:
    engines_by_name: dict[str, Engine] = {}
    for name, engine in engines.items():
        if name not in used:
            continue
        if not isinstance(engine, str):
            engines_by_name[name] = engine
            continue
        if engine not in opened:
            progress.engine_opens(name, engine)
            opened[engine] = openers[engine]()
        engines_by_name[name] = opened[engine]
    return engines_by_name
