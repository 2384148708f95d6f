"""`http:URL#MODEL`: a reward model behind an endpoint, as vLLM serves them.

Generative families are read by requests for one token, with the log-probabilities of the two
verdicts; token classifiers by `/pooling`, token by token, or already reduced to their steps;
sequence classifiers by `/classify`. The server's prefix cache serves what was read before.
"""

from __future__ import annotations

import asyncio
import logging
from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import exp
from typing import Any, Final, Literal, TypeVar

from tts_lang.diagnostics import did_you_mean
from tts_runtime.engines.base import (
    CandidateError,
    EngineError,
    Fault,
    ScorerEngine,
    ScoreReply,
    ScoreRequest,
)
from tts_runtime.engines.http.address import find_key, parse_address
from tts_runtime.engines.http.client import HttpClient, Refused
from tts_runtime.engines.http.fields import ABOUT_WINDOW, Fields
from tts_runtime.engines.http.retry import Clock, Spoilt
from tts_runtime.engines.in_flight import InFlight
from tts_runtime.engines.openai.options import PoolingOptions
from tts_runtime.engines.openai.probe import ServedModel, find_model
from tts_runtime.engines.openai.replies import excerpt, number, read
from tts_runtime.engines.paths import KnownScores, Path
from tts_runtime.engines.prm.families import TABLE, HeadKind
from tts_runtime.engines.prm.recognise import open_family
from tts_runtime.engines.worker import at_once

_LOGGER = logging.getLogger(__name__)

Reply = TypeVar("Reply")

#: vLLM's endpoint for each head that it can run.
_PLACES: Final[Mapping[HeadKind, Literal["completions", "pooling", "classify"]]] = {
    HeadKind.VERDICT: "completions",
    HeadKind.TOKEN_CLASSES: "pooling",
    HeadKind.SEQUENCE: "classify",
}
_FAMILIES: Final = (*TABLE, "auto")
#: Number of likeliest tokens to search for the verdicts.
_TOP: Final = 20
#: More than any score, but representable.
_LARGEST: Final = 1e300
#: By how much probabilities may miss their range, and their sum 1, in single precision.
_ROUNDING: Final = 1e-6


class HttpScorer(ScorerEngine):
    """A reward model of a known family, on a server.

    Args:
        name: `http://HOST:PORT#MODEL`.
        options: Family, tokenizer, limits.
        clock: Passes the time between attempts.

    Raises:
        EngineError: The server cannot be reached, or serves no model of this family.
    """

    exact = False

    def __init__(
        self, name: str, options: PoolingOptions | None = None, clock: Clock | None = None
    ) -> None:
        options = options or PoolingOptions()
        address = parse_address(f"http:{name}", name)
        self._client = HttpClient(
            address, find_key(options.key_env, options.key_header), options, clock
        )
        self._fields = Fields(address.base, options.omit, options.extra)

        async def opening() -> ServedModel:
            client = self._client.to_open()
            try:
                return await find_model(client, options.context)
            finally:
                await client.close()

        if options.family not in _FAMILIES:
            hint = did_you_mean(options.family, _FAMILIES) or f"one of {', '.join(_FAMILIES)}"
            raise EngineError(f"`http:{name}`: no family `{options.family}`; {hint}")
        served = at_once(opening())
        files = options.tokenizer or served.root or served.model
        context = options.context or served.window
        opened = open_family(
            options.family,
            files,
            context,
            options.revision,
            layout=options.layout,
            positions=served.window,
            weights=False,
        )
        self._reading = opened.reading
        self._head = self._reading.head
        if self._head not in _PLACES:
            raise EngineError(
                f"`{served.model}`: servers do not run the value head of family "
                f"{opened.outline.name}: bind `{opened.outline.name}:MODEL` without a server"
            )
        self._outline = opened.outline
        if self._head is HeadKind.VERDICT:
            # The verdict itself takes a place in the window.
            self._outline = replace(opened.outline, context=opened.outline.context - 1)
        self.family = opened.outline.name
        self.steps = self._outline.steps
        self.low, self.high = self._reading.low, self._reading.high
        self._model = served.model
        self._known = KnownScores()
        self._in_flight: InFlight[ScoreReply] = InFlight()
        self.chosen = f"{opened.chosen}, /{_PLACES[self._head]} of {address.root}"
        _LOGGER.info("scorer `%s`: %s", served.model, self.chosen)

    def score(self, request: ScoreRequest) -> Future[ScoreReply]:
        """Sends one path; cancelling it closes its connection."""
        return self._in_flight.start(self._score(request))

    async def close(self) -> None:
        """Cancels what is in flight and closes the connections."""
        await self._in_flight.cancel()
        await self._client.close()

    async def _score(self, request: ScoreRequest) -> ScoreReply:
        path = self._outline.path(request)
        if path is None:
            return ScoreReply(())
        if self._head is HeadKind.VERDICT:
            keys = self._known.keys(path)
            known = self._known.leading(keys)
            new = path.places[len(known) :]
            replies = await asyncio.gather(*(self._verdict(path.ids[: place + 1]) for place in new))
            scores = [*known, *(score for score, _ in replies)]
            self._known.add(keys, scores)
            return path.reply(scores, sum(read for _, read in replies))
        if self._head is HeadKind.SEQUENCE:
            row, tokens = await self._classified(path.ids)
            # vLLM ignores switches that it does not know: it may send probabilities all the same.
            applied = _in_range(row) and abs(sum(row) - 1) <= _ROUNDING
            return path.reply([self._number(row, applied=applied)], tokens)
        rows, tokens = await self._pooled(path.ids)
        return path.reply(self._places(rows, path, len(request.steps)), tokens)

    async def _asked(
        self, url: str, body: Mapping[str, Any], parsed: Callable[[Any], Reply]
    ) -> Reply:
        """Sends a request and parses its reply; retries malformed ones."""

        async def attempt(fitted: dict[str, Any]) -> Reply:
            return parsed(await self._client.post(url, fitted))

        try:
            return await self._client.retried(
                partial(self._fields.adapted, body, attempt, keep=("logprobs",))
            )
        except Refused as error:
            if error.status == 413 or (
                error.status in (400, 422) and ABOUT_WINDOW.search(error.words.reason)
            ):
                raise CandidateError(Fault.TOO_LONG, str(error)) from error
            if error.status not in (404, 405):
                raise
            place = _PLACES[self._head]
            raise EngineError(
                f"{error}: family {self.family} is read through /{place}: start the server with "
                + ("`vllm serve MODEL`" if place == "completions" else "`--runner pooling`")
            ) from error

    # ------------------------------------------------------------------ verdicts

    async def _verdict(self, ids: Sequence[int]) -> tuple[float, int]:
        """P(good) against P(bad) for the token after these, and the number of tokens read."""
        good, bad = self._reading.signs
        body = {
            "model": self._model,
            "prompt": list(ids),
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": _TOP,
            "logprob_token_ids": [good, bad],
            "return_tokens_as_token_ids": True,
        }
        url = f"{self._client.address.base}/completions"
        score, tokens = await self._asked(url, body, partial(self._compared, good, bad))
        return score, tokens or len(ids)

    def _compared(self, good: int, bad: int, reply: Any) -> tuple[float, int]:
        chunk = read(reply)
        found = dict(chunk.tokens[0].top) if chunk.tokens else {}
        if good not in found or bad not in found:
            raise EngineError(
                f"server {self._client.address.base} does not return the log-probabilities of the "
                f"verdicts (ids {good} and {bad}): family {self.family} needs vLLM with "
                "`logprob_token_ids`"
            )
        tokens = chunk.usage.prefilled if chunk.usage is not None else 0
        return _logistic(found[good] - found[bad]), tokens

    # ------------------------------------------------------------------ classifiers

    async def _pooled(self, ids: Sequence[int]) -> tuple[list[list[float]], int]:
        """Probabilities of the classes, for every token or for every step."""
        body = {"model": self._model, "input": list(ids), "use_activation": True}

        def parsed(reply: Any) -> tuple[list[list[float]], int]:
            rows = _entry(reply).get("data")
            if not isinstance(rows, list) or not rows:
                raise Spoilt(f"the reply has no scores; it is {excerpt(reply)}")
            found = [_row(row if isinstance(row, list) else [row]) for row in rows]
            return found, _read(reply, ids)

        return await self._asked(f"{self._client.address.root}/pooling", body, parsed)

    async def _classified(self, ids: Sequence[int]) -> tuple[list[float], int]:
        """The raw numbers of the labels."""
        body = {"model": self._model, "input": list(ids), "use_activation": False}
        return await self._asked(
            f"{self._client.address.root}/classify",
            body,
            lambda reply: (_row(_entry(reply).get("probs")), _read(reply, ids)),
        )

    def _places(self, rows: Sequence[Sequence[float]], path: Path, steps: int) -> tuple[float, ...]:
        """The scores at the places: servers return every token's, or only those of the steps."""
        applied = all(map(_in_range, rows))
        if len(rows) == len(path.ids):
            return tuple(self._number(rows[place], applied=applied) for place in path.places)
        if len(rows) == steps:
            new = rows[steps - len(path.places) :]
            return tuple(self._number(row, applied=applied) for row in new)
        raise EngineError(
            f"server {self._client.address.root} returns {len(rows)} scores for a path of "
            f"{len(path.ids)} tokens and {steps} steps: is it a model of family {self.family}?"
        )

    def _number(self, row: Sequence[float], *, applied: bool) -> float:
        """One label: the number. Two: the probability of the second.

        `applied`: they are probabilities, not what these are computed from.
        """
        if len(row) == 1:
            if self.high is not None and not _in_range(row):
                raise EngineError(
                    f"server {self._client.address.root} returns {row[0]:g}, but scores of family "
                    f"{self.family} are probabilities"
                )
            return row[0]
        if len(row) != 2:
            raise EngineError(
                f"server {self._client.address.root} returns {len(row)} numbers per place, but "
                f"family {self.family} has 1 or 2"
            )
        return row[1] if applied else _logistic(row[1] - row[0])


def _logistic(difference: float) -> float:
    return 1 / (1 + exp(min(-difference, 700.0)))


def _in_range(row: Sequence[float]) -> bool:
    """Whether numbers can be probabilities."""
    return all(-_ROUNDING <= each <= 1 + _ROUNDING for each in row)


def _entry(reply: Any) -> Mapping[str, Any]:
    """The one entry of a reply."""
    data = reply.get("data") if isinstance(reply, dict) else None
    if not isinstance(data, list) or len(data) != 1 or not isinstance(data[0], dict):
        raise Spoilt(
            f"the reply has an unknown form (no `data` with one entry; it is {excerpt(reply)})"
        )
    return data[0]


def _row(numbers: object) -> list[float]:
    """Numbers at a place.

    Raises:
        Spoilt: They are malformed.
    """
    if not isinstance(numbers, list) or not all(
        isinstance(each, int | float) and not isinstance(each, bool) and abs(each) < _LARGEST
        for each in numbers
    ):
        raise Spoilt(f"the reply has scores that are not numbers: {excerpt(numbers)}")
    return [float(each) for each in numbers]


def _read(reply: Any, ids: Sequence[int]) -> int:
    """Tokens that the server read for a reply."""
    usage = reply.get("usage")
    found = number(usage.get("prompt_tokens")) if isinstance(usage, dict) else None
    return len(ids) if found is None or found > 2 * len(ids) else found
