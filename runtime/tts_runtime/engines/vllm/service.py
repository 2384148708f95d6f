"""A vLLM engine with an event loop and a thread of its own.

Engines outlive event loops (a run, a test) and must not wait for them, so vLLM's client has its own
loop. A request is a coroutine there and a future here; cancelling the future cancels the coroutine,
which aborts the request in vLLM.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from tts_runtime.engines.base import EngineError

Reply = TypeVar("Reply")

#: Seconds that vLLM's processes get to end by themselves.
_PATIENCE = 20.0
#: Waits for the end of its input: then nobody holds the other end any more.
_WAITS = """
import os, signal, sys
sys.stdin.read()
for number in sys.argv[1:]:
    try:
        os.kill(int(number), signal.SIGTERM)
    except ProcessLookupError:
        pass
"""


class Service:
    """Runs one vLLM engine.

    Args:
        name: For messages.
        start: Creates vLLM's client; called in the service's thread, inside its loop.
        end: Ends the client's processes, which have that many seconds to end by themselves.

    Raises:
        EngineError: What `start` raised.
    """

    def __init__(
        self, name: str, start: Callable[[], Any], end: Callable[[Any, float], None]
    ) -> None:
        self._name = name
        self._end = end
        self._open: set[Future[Any]] = set()
        self._tasks: set[Any] = set()
        self._closed = False
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: AbstractEventLoop = asyncio.new_event_loop()
        self._ended: asyncio.Event
        self.client: Any = None
        self._thread = threading.Thread(
            target=self._run, args=(start,), name=f"vllm {name}", daemon=True
        )
        self._thread.start()
        try:
            self._ready.wait()
        except BaseException:  # Ctrl-C while vLLM loads: its processes go too
            self._loop.call_soon_threadsafe(self._stop)
            self._thread.join(30)
            raise
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def submit(
        self, work: Callable[..., Coroutine[Any, Any, Reply]], *arguments: Any
    ) -> Future[Reply]:
        """Runs an asynchronous function in the service's loop."""
        if self._closed:
            raise EngineError(f"{self._name} is closed")

        async def followed() -> Reply:
            task = asyncio.current_task()
            self._tasks.add(task)
            try:
                return await work(*arguments)
            finally:
                self._tasks.discard(task)

        future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(followed(), self._loop))
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        return future

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def soon(self, work: Callable[[], None]) -> None:
        """Calls a function in the service's thread; not at all if the service ends before."""
        if not self._closed:
            self._loop.call_soon_threadsafe(work)

    async def close(self) -> None:
        """Cancels what is in flight and ends vLLM's processes."""
        for future in list(self._open):
            future.cancel()
        if not self._closed:
            self._closed = True
            self._loop.call_soon_threadsafe(self._stop)
            await asyncio.to_thread(self._thread.join)

    def _run(self, start: Callable[[], Any]) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve(start))
        finally:
            self._loop.close()

    async def _serve(self, start: Callable[[], Any]) -> None:
        self._ended = asyncio.Event()
        children = _children()
        try:
            self.client = start()
            watchdog = _Watchdog(_children() - children)
        except BaseException as error:  # noqa: BLE001  (raised where the service was asked for)
            self._failure = error
            return
        finally:
            self._ready.set()
        await self._ended.wait()
        await _cancelled(self._tasks)  # while vLLM can still abort them
        # vLLM's own tasks go before its processes: they would report their end as a failure.
        await _cancelled(asyncio.all_tasks() - {asyncio.current_task()})
        self._end(self.client, _PATIENCE)
        watchdog.dismiss()

    def _stop(self) -> None:
        self._ended.set()


async def _cancelled(tasks: Iterable[Any]) -> None:
    chosen = list(tasks)
    for task in chosen:
        task.cancel()
    await asyncio.gather(*chosen, return_exceptions=True)


def _children() -> set[int]:
    """Processes that this one has started."""
    import psutil  # comes with vLLM

    return {process.pid for process in psutil.Process().children()}


class _Watchdog:
    """Ends vLLM's processes when this one dies unexpectedly: they would keep the device.

    A small process that outlives this one just long enough.

    Args:
        processes: Numbers of those to end.
    """

    def __init__(self, processes: Iterable[int]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WAITS, *map(str, processes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process to handle
        )

    def dismiss(self) -> None:
        """Ends it: what it watched has ended."""
        self._process.kill()
        self._process.communicate()
