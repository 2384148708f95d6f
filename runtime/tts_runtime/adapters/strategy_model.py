"""A strategy that answers texts, for a harness that has its own event loop and its own problems."""

from __future__ import annotations

from asyncio import AbstractEventLoop, Lock, get_running_loop
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from hashlib import sha256
from typing import Any, Final

from tts_lang.arguments import plan_from
from tts_lang.cli.parser import UsageError
from tts_runtime.cli.options import engine_names
from tts_runtime.problems import Problem
from tts_runtime.runs.defaults import completed
from tts_runtime.runs.response import Response
from tts_runtime.runs.session import Session
from tts_runtime.runs.settings import Settings
from tts_runtime.serve.errors import ApiError
from tts_runtime.serve.requests import conversation

#: Settings of a harness beside the strategy's parameters.
OPTIONS: Final = ("policy", "scorer", "seed", "strict")


class StrategyModel:
    """A strategy on engines of its own, which open with the first answer of an event loop.

    Args:
        strategy: A shipped name, a file, `FILE:STRATEGY`, a plan's file.
        options: Values of its parameters, and of `OPTIONS`: `policy` and `scorer` as for `tts-run`
            (`vllm:Qwen/Qwen3-8B`, `prm=auto:MODEL`; several with spaces between them); `seed` (0);
            `strict` (false).

    Raises:
        DiagnosticError, PlanError: The strategy has a mistake, or no such parameter.
        UnnamedError: An engine must be named.
        ValueError: An option cannot be read.
    """

    def __init__(self, strategy: str, options: Mapping[str, Any]) -> None:
        own = {name: value for name, value in options.items() if name not in OPTIONS}
        [self.plan] = plan_from([strategy], {name: str(value) for name, value in own.items()})
        try:
            policies = engine_names("policy", _words(options.get("policy")), default="policy")
            scorers = engine_names("scorer", _words(options.get("scorer")))
            policies.check_used({"policy", *self.plan.policies})
            scorers.check_used({scorer.name for scorer in self.plan.scorers})
        except UsageError as error:
            raise ValueError(str(error)) from None
        seed = str(options.get("seed", 0))
        if not seed.isdecimal():
            raise ValueError(f"seed: expected a whole number, found {seed!r}")
        self._seed = int(seed)
        engines = completed([self.plan], policies.engines, scorers.engines, True)
        self._settings = Settings(*engines, strict=_truth("strict", options.get("strict") or False))
        self._repeats: Counter[str] = Counter()
        self._loop: AbstractEventLoop | None = None
        self._turn = Lock()
        self._stale = False
        self._stack = AsyncExitStack()
        self._session: Session | None = None

    async def answer(
        self, text: str, *, name: str | None = None, repeat: int | None = None
    ) -> Response:
        """The answer to a text.

        Args:
            text: The problem.
            name: Its id, where its random streams begin; absent: a digest of the text.
            repeat: Which time it is asked, from 0: added to the seed; absent: counted, from 0
                in each event loop.

        Raises:
            AnswerError: The strategy failed.
            BindError, EngineError: Engines do not fit, or cannot be opened.
        """
        session = await self._opened()
        name = name or name_of(text)
        if repeat is None:
            repeat = self._repeats[name]
            self._repeats[name] += 1
        return await session.answer(self.plan, Problem(name, text), seed=self._seed + repeat)

    async def _opened(self) -> Session:
        """The session of this event loop; a harness may have one loop per evaluation."""
        loop = get_running_loop()
        if self._loop is not loop and (self._loop is None or not self._loop.is_running()):
            self._loop, self._turn, self._stale = loop, Lock(), self._session is not None
            self._repeats.clear()  # an evaluation gives what it gives in a process of its own
        async with self._turn:  # no engine opens before the earlier ones are closed
            if self._stale:
                self._stale = False
                with suppress(RuntimeError):  # a connection of the loop that is closed
                    await self.close()
            if self._session is None:
                session = Session(settings=self._settings)
                self._session = await self._stack.enter_async_context(session)
            return self._session

    async def close(self) -> None:
        """Closes the engines; the next answer opens them again."""
        self._session = None
        await self._stack.aclose()


def _truth(name: str, value: object) -> bool:
    """A setting that is on or off; harnesses pass some as texts."""
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    word = str(value).lower()
    if word not in words:
        raise ValueError(f"{name}: expected true or false, found {value!r}")
    return words[word]


def name_of(text: str) -> str:
    """The id of a problem that has no other."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def text_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text of a chat, as `tts-serve --join-messages` has it.

    Raises:
        ValueError: It has something that no strategy reads: an image, a tool's reply.
    """
    try:
        return conversation(messages, joined=True)
    except ApiError as error:
        raise ValueError(str(error)) from None


def _words(value: object) -> list[str]:
    if value is None:
        return []
    return [str(each) for each in value] if isinstance(value, list | tuple) else str(value).split()
