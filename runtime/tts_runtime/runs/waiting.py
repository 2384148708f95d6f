"""Asynchronous work for a caller that waits for it: its event loop, and Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")
#: Called with the context in which to load models.
Work: TypeAlias = Callable[[AbstractContextManager[None]], Coroutine[Any, Any, T]]


def waited_for(work: Work[T]) -> T:
    """The result of `work`, in an event loop of its own.

    Where one is running already (a notebook's cell), the new one is in another thread.

    Raises:
        KeyboardInterrupt: After Ctrl-C; `work` was cancelled, and has ended.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        handled = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        return asyncio.run(work(_stopped_at_once() if handled else nullcontext()))
    return _in_a_thread(work(nullcontext()))


def _in_a_thread(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, from an event loop in another thread; Ctrl-C cancels it there."""
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = Future()

    async def main() -> T:
        task = asyncio.current_task()
        assert task is not None
        started.set_result((asyncio.get_running_loop(), task))
        return await work

    with ThreadPoolExecutor(1, "tts-run") as threads:
        result = threads.submit(asyncio.run, main())
        try:
            return result.result()
        except KeyboardInterrupt:
            loop, task = started.result()
            loop.call_soon_threadsafe(task.cancel)
            with suppress(BaseException):
                result.result()
            raise


@contextmanager
def _stopped_at_once() -> Iterator[None]:
    """Ctrl-C while a model loads stops that, where asyncio's handler would wait for the loop."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
