"""Several servers of one model as one policy: problems keep to a server, failures move them."""

from __future__ import annotations

import logging
import re
import time
from asyncio import Future
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from tts_runtime.engines.base import (
    CandidateError,
    EngineError,
    GenerateRequest,
    Generation,
    Load,
    PolicyEngine,
)
from tts_runtime.engines.http.client import Refused
from tts_runtime.engines.in_flight import InFlight
from tts_runtime.engines.openai.options import ServerOptions
from tts_runtime.engines.openai.policy import OpenAIPolicy

_LOGGER = logging.getLogger(__name__)

#: A server that failed gets no request for this many seconds, while others answer.
_REST: Final = 30.0
#: Seconds that an unreachable server is waited for while there are others.
_PATIENCE: Final = 5.0
#: Conversations whose server is remembered.
_KNOWN: Final = 1 << 16

_NEXT: Final = re.compile(r",(?=https?://)")


def addresses(argument: str) -> list[str]:
    """The servers of `URL,URL#MODEL`, each as `URL#MODEL`."""
    urls, hash_, model = argument.partition("#")
    return [url + hash_ + model for url in _NEXT.split(urls)]


def open_servers(argument: str, options: ServerOptions) -> PolicyEngine:
    """The policy behind one address or several.

    Raises:
        EngineError: No server answers, or they serve different models.
    """
    names = addresses(argument)
    if len(names) == 1:
        return OpenAIPolicy(argument, options)
    short = options.model_copy(update={"patience": min(options.patience, _PATIENCE)})
    members: list[OpenAIPolicy] = []
    failed: list[EngineError] = []
    for name in names:
        try:
            members.append(OpenAIPolicy(name, short))
        except EngineError as error:
            failed.append(error)
    if not members:
        raise failed[0]
    for reason in failed:
        _LOGGER.warning("left out: %s", reason)
    return Replicas(members, options.patience)


class Replicas(PolicyEngine):
    """Policies that answer alike, as one.

    A new conversation goes to the one with the fewest requests, and stays there, since its server
    has its prefix cached. When a server fails, its requests go to the others, and it rests a while.

    Args:
        members: The policies, one at least.
        patience: Seconds to try again while none of them answers.

    Raises:
        EngineError: They have different models, windows or tokenizers.
    """

    exact = False

    def __init__(
        self,
        members: Sequence[PolicyEngine],
        patience: float = 0.0,
    ) -> None:
        first = members[0]
        for other in members[1:]:
            alike = (
                other.binding == first.binding
                and other.tokenizer.fingerprint == first.tokenizer.fingerprint
            )
            if not alike:
                raise EngineError(
                    f"servers of one policy must serve the same model with the same window: "
                    f"`{first.binding.name}` ({first.binding.context} tokens) and "
                    f"`{other.binding.name}` ({other.binding.context} tokens)"
                )
        self.binding = first.binding
        self.tokenizer = first.tokenizer
        self.card = first.card
        self.exact = all(member.exact for member in members)
        self.same_bits = all(member.same_bits for member in members)
        self.spares_logprobs = any(member.spares_logprobs for member in members)
        self.lacks = {name: why for member in members for name, why in member.lacks.items()}
        self._members = list(members)
        self._patience = patience
        self._busy = [0] * len(members)
        self._rests_until = [0.0] * len(members)
        self._places: OrderedDict[tuple[int, ...], int] = OrderedDict()
        self._in_flight: InFlight[Generation] = InFlight()

    @property
    def cancelled_tokens(self) -> int:
        """Of all members."""
        return sum(member.cancelled_tokens for member in self._members)

    @property
    def load(self) -> Load | None:
        """Of all members together, if all know."""
        loads = [member.load for member in self._members]
        known = [load for load in loads if load is not None]
        if len(known) < len(loads):
            return None
        slots = sum(load.slots for load in known) if all(load.slots for load in known) else 0
        running = sum(load.running for load in known)
        return Load(running, slots, sum(load.waiting for load in known))

    def generate(self, request: GenerateRequest) -> Future[Generation]:
        """Asks the conversation's server, and others if it fails."""
        return self._in_flight.start(self._generate(request))

    async def close(self) -> None:
        """Cancels what is in flight, and closes the members."""
        await self._in_flight.cancel()
        for member in self._members:
            await member.close()

    async def _generate(self, request: GenerateRequest) -> Generation:
        ends = time.monotonic() + self._patience
        tried: set[int] = set()
        while True:
            place = self._place(request.prompt, tried)
            self._busy[place] += 1
            try:
                return await self._members[place].generate(request)
            except (CandidateError, Refused):
                raise  # another server would say the same
            except EngineError as error:
                self._rest(place, error)
                tried.add(place)
                if len(tried) == len(self._members):
                    if time.monotonic() >= ends:
                        raise
                    tried.clear()
            finally:
                self._busy[place] -= 1

    def _place(self, prompt: tuple[int, ...], tried: set[int]) -> int:
        """The server of a conversation."""
        now = time.monotonic()
        known = self._places.get(prompt)
        if known is not None and known not in tried and self._rests_until[known] <= now:
            self._places.move_to_end(prompt)
            return known
        left = [place for place in range(len(self._members)) if place not in tried]
        awake = [place for place in left if self._rests_until[place] <= now] or left
        place = min(awake, key=self._busy.__getitem__)
        self._places[prompt] = place
        if len(self._places) > _KNOWN:
            self._places.popitem(last=False)
        return place

    def _rest(self, place: int, error: EngineError) -> None:
        now = time.monotonic()
        if self._rests_until[place] <= now:
            _LOGGER.warning("%s; its requests go to the other servers for a while", error)
        self._rests_until[place] = now + _REST
