"""Functions of the user's own: `python:MODULE:NAME`, the decorators, entry points.

    @tts_runtime.scorer(per="solution", range=(0, 1))
    def brevity(problem, solutions):
        return [1 / (1 + len(text)) for text in solutions]

    @tts_runtime.grader
    def same_letter(problem, answer):
        return answer.strip("()") == problem.fields["letter"]

A function may be asynchronous. One that is not runs in a thread, so that it may compute or wait.
MODULE is a name that Python can import, the current folder included, or a file (`./my.py`).
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import re
import sys
import sysconfig
import traceback
from asyncio import CancelledError, current_task, to_thread
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal, Protocol, TypeVar, overload

from tts_lang.diagnostics import did_you_mean
from tts_runtime.engines.errors import EngineError

Function = TypeVar("Function", bound=Callable[..., Any])

#: Groups of entry points, by what they hold.
GROUPS: Final = {
    "policy": "tts_lang.engines",
    "scorer": "tts_lang.scorers",
    "grader": "tts_lang.graders",
    "problem set": "tts_lang.problems",
}
_MARK: Final = "__tts_plugin__"
#: Folders whose lines are not the user's: this package, the standard library, what is installed.
_OWN: Final = f"{Path(__file__).parent}{os.sep}"
_LIBRARIES: Final = tuple(
    f"{sysconfig.get_path(kind)}{os.sep}" for kind in ("stdlib", "platstdlib", "purelib", "platlib")
)
#: Modules of files that have run, with the file's time and size.
_FILES: Final[dict[Path, tuple[tuple[int, int], ModuleType]]] = {}


@dataclass(frozen=True, slots=True)
class ScorerSpec:
    """The arguments of the decorator `scorer`.

    Args:
        per: What gets a number: each step, each solution, or the solutions of a pool together.
        low, high: Declared range of the numbers; `None` for unbounded.
        exact: The same numbers for the same texts, always.
    """

    per: Literal["solution", "step", "pool"] = "solution"
    low: float | None = 0.0
    high: float | None = 1.0
    exact: bool = True


@dataclass(frozen=True, slots=True)
class GraderSpec:
    """The argument of `grader`: whether only problems with a gold answer are graded."""

    needs_gold: bool = False


@overload
def scorer(
    function: Function,
    *,
    per: Literal["solution", "step", "pool"] = "solution",
    range: tuple[float | None, float | None] = (0.0, 1.0),
    exact: bool = True,
) -> Function: ...
@overload
def scorer(
    function: None = None,
    *,
    per: Literal["solution", "step", "pool"] = "solution",
    range: tuple[float | None, float | None] = (0.0, 1.0),
    exact: bool = True,
) -> _Decorator: ...
def scorer(
    function: Function | None = None,
    *,
    per: Literal["solution", "step", "pool"] = "solution",
    range: tuple[float | None, float | None] = (0.0, 1.0),
    exact: bool = True,
) -> Function | _Decorator:  # a decorator, with or without arguments
    """Makes a scorer of a function `(problem, solutions) -> numbers`.

    Args:
        function: Used as `@scorer` or `@scorer(per="step")`.
        per: `solution`: a number (or None) for each text of `solutions`. `step`: `solutions` are
            lists of step texts, and each gets a list of numbers, one per step. `pool`: as
            `solution`, but the solutions are one pool, for scorers declared `together`.
        range: Lowest and highest number; None for no bound.
        exact: The same numbers for the same texts, always; else runs are marked not exact.

    Raises:
        ValueError: Another `per`, or an empty range.
    """
    if per not in ("solution", "step", "pool"):
        raise ValueError(f"per={per!r}: a scorer scores per 'solution', 'step' or 'pool'")
    low, high = range
    if low is not None and high is not None and low >= high:
        raise ValueError(f"range={range!r}: the lowest number must be below the highest")
    mark = _marked(ScorerSpec(per, low, high, exact))
    return mark if function is None else mark(function)


@overload
def grader(function: Function, *, needs_gold: bool = False) -> Function: ...
@overload
def grader(function: None = None, *, needs_gold: bool = False) -> _Decorator: ...
def grader(
    function: Function | None = None, *, needs_gold: bool = False
) -> Function | _Decorator:  # a decorator, with or without arguments
    """Makes a grader of a function `(problem, answer) -> bool | None`.

    It may take a third argument, the candidate's whole text. None: this answer cannot be graded.

    Args:
        function: Used as `@grader` or `@grader(needs_gold=True)`.
        needs_gold: Problems without a gold answer are not graded.
    """
    mark = _marked(GraderSpec(needs_gold))
    return mark if function is None else mark(function)


def _marked(spec: ScorerSpec | GraderSpec) -> _Decorator:
    def mark(function: Function, /) -> Function:
        if not callable(function):  # such as `@scorer("step")`
            raise TypeError(f"{function!r} is not a function; arguments are named, as `per=...`")
        setattr(function, _MARK, spec)
        return function

    return mark


class _Decorator(Protocol):
    """A decorator that returns the function, marked."""

    def __call__(self, function: Function, /) -> Function: ...


def spec_of(function: object) -> ScorerSpec | GraderSpec | None:
    """The arguments of a function's decorator."""
    spec = getattr(function, _MARK, None)
    return spec if isinstance(spec, ScorerSpec | GraderSpec) else None


def function_named(place: str) -> Callable[..., Any]:
    """The function of `MODULE:NAME` or `FILE.py:NAME`.

    Raises:
        EngineError: There is no such module or function, or the module fails; the line is named.
    """
    module_name, colon, name = place.rpartition(":")
    if not colon or not module_name or not name:
        raise EngineError(f"`python:{place}`: expected python:MODULE:NAME or python:FILE.py:NAME")
    module = _module(module_name, place)
    function: Callable[..., Any] | None = getattr(module, name, None)
    if function is None:
        functions = [key for key, value in vars(module).items() if callable(value)]
        hint = did_you_mean(name, functions) or "it is not defined there"
        raise EngineError(f"`python:{place}`: {module_name} has no `{name}`; {hint}")
    if not callable(function):
        raise EngineError(
            f"`python:{place}`: `{name}` is not a function, but of type {type(function).__name__}"
        )
    return function


def _module(name: str, place: str) -> Any:
    try:
        if name.endswith(".py") or "/" in name:
            path = Path(name)
            if not path.is_file():
                raise EngineError(f"`python:{place}`: there is no file {name}")
            return _module_of_file(path.resolve())
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        return importlib.import_module(name)
    except EngineError:
        raise
    except ModuleNotFoundError as error:
        if error.name == name.partition(".")[0] or error.name == name:
            raise EngineError(
                f"`python:{place}`: no module `{name}` here or among the installed packages"
            ) from error
        raise EngineError(f"`python:{place}`: {described(error)}") from error
    except (Exception, SystemExit) as error:
        raise EngineError(f"`python:{place}`: {described(error)}") from error


def _module_of_file(path: Path) -> ModuleType:
    """The module of a file, which runs once, and again only if it has changed."""
    state = path.stat()
    version = state.st_mtime_ns, state.st_size
    before = _FILES.get(path)
    if before is not None and before[0] == version:
        return before[1]
    # A name of its own: another file, or an installed module, may have the plain one.
    plain, digest = re.sub(r"\W", "_", path.stem), sha256(os.fsencode(path)).hexdigest()
    name = f"{plain}_{digest[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # before it runs: dataclasses look there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    _FILES[path] = version, module
    return module


def described(error: BaseException, function: Callable[..., Any] | None = None) -> str:
    """An error of somebody's code with its place: `my_rewards.py:12: ValueError: ...`.

    The place is the last line that is neither of a library nor of this package; of an error that
    came before the first line of `function` (wrong arguments), the function's own.
    """
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  (somebody's code, too)
        text = ""
    message = f"{type(error).__name__}: {text}" if text else type(error).__name__
    # Python makes a RuntimeError, without lines, of a StopIteration that leaves a coroutine.
    cause = error.__cause__ if isinstance(error.__cause__, StopIteration) else None
    places = _places(error) or (_places(cause) if cause else [])
    code = getattr(function, "__code__", None)
    if not places and code is not None and not code.co_filename.startswith(("<", _OWN)):
        places = [(code.co_filename, code.co_firstlineno)]
    if not places:
        return message
    file, line = places[-1]
    return f"{Path(file).name}:{line}: {message}"


def _places(error: BaseException) -> list[tuple[str, int]]:
    """Files and lines of a traceback that are of somebody's code, else that of a library."""
    frames = [
        (frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(error.__traceback__)
    ]
    others = [each for each in frames if not each[0].startswith(("<", _OWN))]
    theirs = [each for each in others if not each[0].startswith(_LIBRARIES)]
    return theirs or [each for each in others if each == frames[-1]]


class FunctionError(Exception):
    """What a function of the user's own raised, whatever it was; `described` in words."""


async def called(function: Callable[..., Any], *arguments: object) -> Any:
    """The result of a function, asynchronous or not.

    Raises:
        FunctionError: The function raised something, also what is no `Exception`, or what asyncio
            cannot pass on (`StopIteration`).
    """

    def threaded() -> Any:
        try:
            return function(*arguments)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise FunctionError(described(error, function)) from error

    try:
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004  (an object may be a function)
        ):
            return await function(*arguments)
        result = await to_thread(threaded)
        return await result if inspect.isawaitable(result) else result
    except (FunctionError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        task = current_task()
        if isinstance(error, CancelledError) and task is not None and task.cancelling():
            raise  # the caller's own, not the function's
        raise FunctionError(described(error, function)) from error


def takes(function: Callable[..., Any], count: int) -> bool:
    """Whether a function can be called with this many arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return count == 2  # built in: the usual form
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def registered(kind: str, name: str) -> Callable[..., Any] | None:
    """The object that an installed package registers under this name; `None` if none does.

    Raises:
        EngineError: It cannot be loaded.
    """
    for entry in entry_points(group=GROUPS[kind], name=name):
        try:
            loaded: Callable[..., Any] = entry.load()
        except (Exception, SystemExit) as error:
            why = described(error)
            if isinstance(error, AttributeError) and entry.module in sys.modules:
                why = f"there is no `{entry.value}`"  # the error is importlib's, not the module's
            raise EngineError(
                f"{kind} `{name}` of the package "
                f"{entry.dist.name if entry.dist else entry.value}: {why}"
            ) from error
        return loaded
    return None


def names_registered(kind: str) -> Iterable[str]:
    """Names that installed packages register."""
    return sorted(entry.name for entry in entry_points(group=GROUPS[kind]))
