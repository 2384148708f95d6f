"""The boundary around a model's text: its answer, the answer's form, its grade.

Whatever the text is, these functions give a value and never raise. Plain numbers, words and
choices are read in place; all other answers are read in processes under limits (`workers`). Where
that fails the answer is compared as text, or is not graded, and the result says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache, partial
from threading import Lock
from typing import Any, TypeVar

from tts_runtime.answers.extract import extract_answer
from tts_runtime.answers.numbers import MAXIMUM_LENGTH, number_key
from tts_runtime.answers.workers import WorkerLostError, pool
from tts_runtime.engines.sim.virtual import VirtualLoop

#: Results kept, the oldest go first.
MAXIMUM_KEPT = 100_000
MAXIMUM_PLAIN = 64


#: Kinds of faults: a limit of time, so that a clock has decided; anything else.
CLOCK = "time"
EXCEPTION = "exception"


@dataclass(frozen=True, slots=True)
class Form:
    """The key of an answer's class; `fault`: why it is compared as text without being read, of
    which `kind`."""

    key: str
    fault: str | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Grade:
    """Whether an answer is right; nobody knows, for the reason in `fault`, of which `kind`."""

    correct: bool | None
    fault: str | None = None
    kind: str = ""


# Nothing but digits, letters and the marks of plain numbers; no name of a function.
_PLAIN = re.compile(r"[-+]?\\?\$?[0-9][0-9,.]*(?: ?(?:\\?%|[A-Za-z]{2,}(?: [A-Za-z]{2,})*))?\.?")
_PLAIN_WORDS = re.compile(r"[A-Za-z]{2,}(?: [A-Za-z]{2,})*\.?")
_WHOLE = re.compile(r"-?[0-9]{1,300}")
_PERCENT = re.compile(r"%|percent|pct", re.IGNORECASE)


@lru_cache(maxsize=65536)
def _plain(answer: str) -> str | None:
    """The key of an answer that is read in no time, without sympy; None for all others."""
    number = number_key(answer) if len(answer) <= MAXIMUM_LENGTH else None
    if number is not None or len(answer) > MAXIMUM_PLAIN:
        return number
    from tts_runtime.answers.choice import read_choice
    from tts_runtime.answers.clean import clean
    from tts_runtime.answers.structure import read_words

    choice = read_choice(answer)
    if choice is not None:
        return choice.letter
    if not _PLAIN.fullmatch(answer) and not _PLAIN_WORDS.fullmatch(answer):
        return None
    cleaned = clean(answer)
    return number_key(cleaned) or read_words(cleaned)


def _too_long(answer: str) -> Form | None:
    """The form of an answer that is text, or a whole number, for its length alone."""
    if len(answer) <= MAXIMUM_LENGTH:
        return None
    from tts_runtime.answers.forms import canonical

    # Nothing but white space and digits is looked at.
    joined = " ".join(answer.split())
    return Form(canonical(joined)) if len(joined) > MAXIMUM_LENGTH else None


_Read = TypeVar("_Read")


class _Kept:
    """Results by what was asked; who asks while it is worked out waits for the same."""

    def __init__(self) -> None:
        # Not the futures of those that are known: one is larger than ten results.
        self._results: dict[tuple[str, ...], Any] = {}
        self._lock = Lock()

    def ask(
        self, read: Callable[[Future[Any]], _Read], task: str, *texts: str
    ) -> _Read | Future[Any]:
        """What `read` makes of a worker's reply to a task if it is there, else its future."""
        name = (task, *texts)
        with self._lock:
            if name in self._results:
                result: _Read | Future[Any] = self._results[name]
                return result
            if len(self._results) >= MAXIMUM_KEPT:
                del self._results[next(iter(self._results))]
            future = self._results[name] = pool().submit(task, *texts)

        def arrived(done: Future[Any]) -> None:
            with self._lock:
                if self._results.get(name) is done:
                    self._results[name] = read(done)

        future.add_done_callback(arrived)
        return read(future) if future.done() else future


_kept = _Kept()


def form(answer: str) -> Form:
    """The form of an answer; waits for it where a process works it out."""
    waiting = form_later(answer)
    return waiting if isinstance(waiting, Form) else form_of(answer, waiting)


def form_later(answer: str) -> Form | Future[Any]:
    """The form of an answer if it is known, or what to wait for before `form_of`."""
    plain = _plain(answer)
    if plain is not None:
        return Form(plain)
    long = _too_long(answer)
    if long is not None:
        return long
    return _kept.ask(partial(form_of, answer), "form", answer)


def form_of(answer: str, future: Future[Any]) -> Form:
    """The form of an answer from what `form_later` gave; waits if it is not there yet."""
    error = future.exception()
    if error is not None:
        return Form(" ".join(answer.split()), _said(error), _kind(error))
    return Form(future.result()[0])


def grade_answer(answer: str | None, gold: str) -> Grade:
    """The grade of an answer; waits for it where a process works it out."""
    waiting = grade_later(answer, gold)
    return waiting if isinstance(waiting, Grade) else grade_of(waiting)


def grade_later(answer: str | None, gold: str) -> Grade | Future[Any]:
    """The grade of an answer if it is known, or what to wait for before `grade_of`."""
    if answer is None:
        return Grade(False)
    plain, other = _plain(answer), _plain(gold)
    if plain is not None and other is not None:
        decided = _compared(answer, plain, gold, other)
        if decided is not None:
            return Grade(decided)
    if max(len(answer), len(gold)) > MAXIMUM_LENGTH:
        return Grade(form(answer).key == form(gold).key)
    return _kept.ask(grade_of, "grade", answer, gold)


def grade_of(future: Future[Any]) -> Grade:
    """The grade from what `grade_later` gave; waits if it is not there yet."""
    error = future.exception()
    if error is not None:
        return Grade(None, _said(error), _kind(error))
    return Grade(bool(future.result()))


def _compared(answer: str, plain: str, gold: str, other: str) -> bool | None:
    """Whether two plain answers are equal, where nothing but their forms can matter."""
    if plain == other and number_key(answer) and number_key(gold):
        return True
    whole = all(map(_WHOLE.fullmatch, (plain, other)))
    if whole and all(map(number_key, (answer, gold))):
        return False
    from tts_runtime.answers.choice import read_choice
    from tts_runtime.answers.clean import unit_of
    from tts_runtime.answers.units import contradict

    choices = read_choice(answer), read_choice(gold)
    if choices[0] is not None and choices[1] is not None:
        return choices[0].letter == choices[1].letter
    if all(map(_PLAIN_WORDS.fullmatch, (answer, gold))):
        return plain == other
    if not whole or _PERCENT.search(answer + gold):
        return None
    return plain == other and not contradict(unit_of(answer), unit_of(gold))


def find(
    text: str, markers: Sequence[str], finish: str, thinking_end: str | None
) -> tuple[str | None, str | None]:
    """The answer as written in a text (`extract_answer`), and why it could not be looked for."""
    try:
        return extract_answer(text, markers, finish, thinking_end), None
    except Exception as error:  # noqa: BLE001  (whatever it is, there is no answer)
        return None, _said(error)


def warm_up(golds: Iterable[str | None]) -> None:
    """Starts what grading answers like these needs: its second belongs to no run.

    Nothing if all of them are plain, as almost all answers will then be.
    """
    if any(gold is not None and _plain(gold) is None for gold in golds):
        pool().submit("load")


def _said(error: BaseException) -> str:
    return str(error) if isinstance(error, WorkerLostError) else f"{type(error).__name__}: {error}"


def _kind(error: BaseException) -> str:
    return CLOCK if isinstance(error, WorkerLostError) and error.clock else EXCEPTION


async def settled(future: Future[Any]) -> None:
    """Waits until a future of this module is done, without cancelling it for others."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualLoop):
        future.exception()  # nothing outside wakes such a loop, in which work takes no time
        return
    done: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        if not done.done():
            done.set_result(None)

    def finished(_: Future[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(wake)

    future.add_done_callback(finished)
    await done
