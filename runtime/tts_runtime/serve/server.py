"""A server as a process: engines open, the socket, the end."""

from __future__ import annotations

import asyncio
import errno
import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_address
from math import ceil
from pathlib import Path
from socket import gaierror, socket
from types import FrameType
from typing import Final

import uvicorn

from tts_lang.printable import printable
from tts_runtime.runs.defaults import unknown_to_bundled
from tts_runtime.runs.limits import CostLimits
from tts_runtime.runs.session import Session
from tts_runtime.runs.settings import Settings
from tts_runtime.serve.admission import Admission
from tts_runtime.serve.app import make_app
from tts_runtime.serve.catalogue import Catalogue, SetupError
from tts_runtime.serve.keys import Keys
from tts_runtime.serve.protocol import TimeoutProtocol
from tts_runtime.serve.service import AnswerService
from tts_runtime.serve.trace import TraceWriter

_LOGGER = logging.getLogger(__name__)
#: Seconds between two looks at what still runs.
_TICK: Final = 0.1
#: Seconds in which replies of requests that had to end are sent.
_LAST_WORDS: Final = 2


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The options of `tts-serve`.

    Args:
        strategies: As `tts-run` takes them, with `settings` of their parameters.
        engines: Policies and scorers by the names that strategies give them.
        limits: No plan that may cost more is served.
        keys: Who may ask.
        host, port: Where to listen; port 0: any free one.
        running: Candidates of all requests that run, at most; `waiting`: requests that wait.
        seconds: No request takes longer; `drain`: nor does the end of the server.
        seed: Of requests without one; `None`: a fresh one each.
        joined: Conversations of several messages become one text.
        strict: A fault of one candidate fails its request.
        trace: Where answers are written.
    """

    strategies: Sequence[str]
    settings: Mapping[str, str]
    engines: tuple[Mapping[str, str], Mapping[str, str]]
    limits: CostLimits
    keys: Keys
    host: str
    port: int
    running: int
    waiting: int
    seconds: float
    drain: int
    seed: int | None
    joined: bool
    strict: bool
    trace: Path | None
    quiet: bool
    verbose: bool
    command: Sequence[str]


class _Server(uvicorn.Server):
    """Says where it listens; admits nobody once it is told to end."""

    def __init__(
        self, config: uvicorn.Config, service: AnswerService, options: ServeOptions
    ) -> None:
        super().__init__(config)
        self._service = service
        self._options = options

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Listens."""
        await super().startup(sockets)
        if self.should_exit or self._options.quiet:
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        if self._options.keys.open and not ip_address(host).is_loopback:
            line = f"warning: whoever reaches {host} may ask: --key-file names keys"
            print(printable(line), file=sys.stderr)
        host = f"[{host}]" if ":" in host else host
        names = ", ".join(served.name for served in self._service.catalogue.listed())
        policies, _ = self._options.engines
        if note := unknown_to_bundled(policies, [""]):  # nobody knows yet what will be asked
            print(f"note: {note}", file=sys.stderr)
        print(printable(f"serving {names} at http://{host}:{port}/v1"), file=sys.stderr, flush=True)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """SIGTERM or Ctrl-C: what runs may end; a second signal ends it at once."""
        # uvicorn's own handler would raise the signal again after the end.
        self._service.admission.open = False
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Ends. While requests run, whoever asks is still told that the server takes no more."""
        loop = asyncio.get_running_loop()
        last = loop.time() + self._options.drain
        admission = self._service.admission
        while (admission.running or admission.waiting) and not self.force_exit:
            if loop.time() >= last:
                self._service.hurry()
                break
            await asyncio.sleep(_TICK)
        # uvicorn closes its sockets first, then waits for what is still being sent.
        self.config.timeout_graceful_shutdown = max(_LAST_WORDS, ceil(last - loop.time()))
        await super().shutdown(sockets)


async def serve(options: ServeOptions) -> None:
    """Serves until SIGTERM or Ctrl-C.

    Raises:
        DiagnosticError, PlanError: A strategy has a mistake, or may cost too much.
        SetupError: Strategies do not go together, or nobody can listen there.
        UnnamedError, BindError, EngineError: Engines are missing, or do not fit.
        RunDirectoryError: The trace cannot be written.
    """
    catalogue = Catalogue(options.strategies, options.settings, options.limits)
    settings = Settings(
        *options.engines, strict=options.strict, models=options.limits.assumed.models
    )
    admission = Admission(options.running, options.waiting)
    with ExitStack() as stack:
        trace = None
        if options.trace is not None:
            trace = stack.enter_context(TraceWriter(options.trace, settings, options.command))
        async with Session(settings=settings) as session:
            service = AnswerService(
                session,
                catalogue,
                admission,
                seed=options.seed,
                seconds=options.seconds,
                record=None if trace is None else trace.write,
            )
            service.prepare()
            config = uvicorn.Config(
                make_app(service, options.keys, joined=options.joined),
                host=options.host,
                port=options.port,
                lifespan="off",  # the application has none, and a second signal would print its end
                log_config=None,
                log_level="info" if options.verbose else "warning",
                access_log=options.verbose,
                timeout_graceful_shutdown=options.drain,
                server_header=False,
                http=TimeoutProtocol,
                h11_max_incomplete_event_size=64 << 10,
            )
            try:
                await _Server(config, service, options).serve()
            except SystemExit as error:
                why = _unheard(error.__context__, options.host)
                message = f"nobody can listen on {options.host}:{options.port}: {why}"
                raise SetupError(message) from error


def _unheard(error: BaseException | None, host: str) -> str:
    """Why a socket cannot listen, by the error that uvicorn ended with."""
    number = error.errno if isinstance(error, OSError) else 0
    # asyncio gives no number from Python 3.13 on.
    if isinstance(error, gaierror) or number in (errno.EADDRNOTAVAIL, None):
        return f"{host} is not an address of this machine (--host)"
    if number == errno.EACCES:
        return "ports below 1024 need special rights (--port)"
    return "is the port taken?"
