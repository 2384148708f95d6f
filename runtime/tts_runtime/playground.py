"""The runtime's interface for the documentation's playground: JSON texts; in a browser.

Beside the compiler (`tts_lang.playground`) this needs pydantic and PyYAML alone: engines are
simulated, in virtual time, without processes and threads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from tts_lang.compiler import check_source
from tts_lang.diagnostics import DiagnosticError
from tts_lang.laws.decide import LawChecker, check_laws
from tts_lang.laws.render import text_of
from tts_lang.laws.search import LawError
from tts_lang.laws.sizes import runnable
from tts_lang.playground import NAME, compiled, shown
from tts_lang.source import Source
from tts_runtime.binding import Defaults
from tts_runtime.engines.base import EngineError
from tts_runtime.engines.sim.model import Rates
from tts_runtime.engines.sim.virtual import run_virtual
from tts_runtime.executor import BindError
from tts_runtime.laws import hunt
from tts_runtime.laws.random_models import LawWorld
from tts_runtime.report.tree_text import tree_lines
from tts_runtime.runs.response import AnswerError, Response
from tts_runtime.runs.session import Session

#: Trials of a law that is not proved: a browser takes about a second for them.
TRIALS = 60
#: Texts of a dozen short steps, which give an answer more often than not.
_RATES = Rates(step=0.3, end=0.02, answer=0.15)
#: Tokens that tests need, and that only make a text harder to read.
_NEVER: Final = frozenset(("<think>", "?", "accent", "<eot>", "\n\nb"))
_TOO_LARGE = (
    "This is too large to be run in a browser: give it smaller parameters, or use `tts-run`."
)
#: A run may have this many more calls and rounds than one of those trials.
_SCALE = 10
_HEAD = "One random problem on simulated engines: random texts, random scores."


def answer(request: str) -> str:
    """The answer to a question: `{"do": NAME, ...}` by the function of that name."""
    arguments: dict[str, Any] = json.loads(request)
    return json.dumps(_ANSWERS[arguments.pop("do")](**arguments))


def run(text: str, strategy: str, settings: Mapping[str, str], seed: int) -> dict[str, Any]:
    """A run of a strategy on simulated engines: its tree, scores, decisions, winner.

    Args:
        text: Of a strategy file.
        strategy: Which of its strategies.
        settings: Parameters, as `tts_lang.playground.explain` takes them.
        seed: Another one is another problem with other engines.
    """
    plan, diagnostics = compiled(text, strategy, settings)
    if plan is None:
        return {"diagnostics": diagnostics}
    if not runnable(plan, scale=_SCALE):
        return {"diagnostics": [], "page": _TOO_LARGE}
    world = LawWorld(
        model=seed,
        run=seed,
        rates=_RATES,
        order=None,
        without=_NEVER if plan.thinks else _NEVER | {"</"},
        context=400,
        levels=0,
        missing=0.0,
        defaults=Defaults(),
        text="2 a b",
        number=0.5,
    )
    problem = world.problem(plan)

    async def one() -> Response:
        async with Session(world.policies(plan), world.scorers(plan)) as session:
            return await session.answer(plan, problem, seed=seed)

    try:
        response = run_virtual(one())
    except (AnswerError, BindError, EngineError) as error:
        return {"diagnostics": [], "page": f"{_HEAD}\n\nfailed: {error}"}
    tree = "\n".join(tree_lines(strategy, response.trace, None))
    return {"diagnostics": [], "page": f"{_HEAD}\n\n{tree}"}


def laws(text: str) -> dict[str, Any]:
    """The verdict on every law of a text, by proof or by trials."""
    source = Source.of(text, NAME)
    result = check_source(source)
    if not result.ok:
        return {"diagnostics": shown(result.diagnostics)}
    judge = LawChecker(trials=TRIALS, search=hunt)
    verdicts = []
    for law in result.laws:
        try:
            verdicts.append(text_of(check_laws([law], NAME, text, judge), show=False).rstrip("\n"))
        except DiagnosticError as error:
            return {"diagnostics": shown(error.diagnostics)}
        except LawError as error:
            verdicts.append(str(error))
    return {"diagnostics": [], "page": "\n".join(verdicts) or "The text states no laws."}


_ANSWERS: dict[str, Callable[..., Any]] = {"run": run, "laws": laws}
