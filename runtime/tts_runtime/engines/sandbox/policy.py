"""A policy that runs programs: it replies with what the program in its conversation prints.

`exec:python` is bound where a strategy uses a tool as a policy, as chain_of_code does.
"""

from __future__ import annotations

import logging
from asyncio import Future
from dataclasses import replace
from math import nan
from typing import Final

from tts_lang.explain.models import Model
from tts_runtime.binding import Binding
from tts_runtime.engines.base import (
    Ability,
    EngineError,
    Finish,
    GenerateRequest,
    Generation,
    Load,
    PolicyEngine,
)
from tts_runtime.engines.in_flight import InFlight
from tts_runtime.engines.sandbox.box import Sandbox, SandboxOptions
from tts_runtime.engines.sandbox.programs import program_in, reply_of
from tts_runtime.engines.stopping import StopCriteria, fitted
from tts_runtime.tokens import TEXT, to_bytes, to_text

_LOGGER = logging.getLogger(__name__)

#: No piece of text has this id.
_END: Final = -1
_WINDOW: Final = 1 << 20


class ExecPolicy(PolicyEngine):
    """Runs the Python program of each request in a sandbox; draws nothing.

    A program that ends without an error ends its reply, whose last line is then its answer. The
    reply of a failing program continues with the error, and counts as cut.

    Raises:
        EngineError: No sandbox works here.
    """

    exact = False  # programs may look at clocks, and limits depend on the machine
    card = Model(0)
    last_line = True
    lacks = dict.fromkeys(set(Ability) - {Ability.STREAMING}, "runs programs, and draws no tokens")

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.binding = Binding(name="exec:python", context=_WINDOW)
        self.tokenizer = TEXT
        self._sandbox = Sandbox(options)
        self._in_flight: InFlight[Generation] = InFlight()
        _LOGGER.info("policy `exec:python`: %s", self._sandbox.description)

    @property
    def load(self) -> Load:
        """Running and waiting programs."""
        return self._in_flight.load(self._sandbox.slots)

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """Runs a program as soon as there is a slot; cancelling ends it."""
        return self._in_flight.start(self._generate(request))

    async def close(self) -> None:
        """Ends running programs."""
        await self._in_flight.cancel()
        await self._sandbox.close()

    async def _generate(self, request: GenerateRequest) -> Generation:
        request = fitted(request, self.binding)
        if request.prefix:
            raise EngineError(
                "`exec:python` cannot continue a reply: a program starts from its beginning"
            )
        outcome = await self._sandbox.run(program_in(to_text(to_bytes(TEXT, request.prompt))))
        delimiter = self.binding.step_delimiter.encode()
        criteria = StopCriteria(request, TEXT, frozenset({_END}), delimiter)
        unknown = [nan] * len(request.statistics)
        for token in TEXT.encode(reply_of(outcome)):
            if criteria.push(token, nan, unknown) is not None:
                break
        else:
            if outcome.finished:
                criteria.push(_END, nan, unknown)
            else:
                criteria.finish = Finish.LENGTH
        return replace(criteria.result(prefilled=0), drawn=0)
