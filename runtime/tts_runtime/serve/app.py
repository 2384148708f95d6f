"""The HTTP interface: routes, bodies under limits, streams, clients that leave."""

from __future__ import annotations

import asyncio
import json
import logging
from asyncio import FIRST_COMPLETED
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing, suppress
from time import monotonic
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from opentelemetry import context, propagate
from opentelemetry.trace import get_current_span
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from tts_runtime.serve import replies, requests
from tts_runtime.serve.errors import ApiError
from tts_runtime.serve.keys import ApiKey, Keys
from tts_runtime.serve.replies import Interface
from tts_runtime.serve.requests import AnswerRequest
from tts_runtime.serve.service import AnswerService, ServedReply
from tts_runtime.serve.watch import Watch

_LOGGER = logging.getLogger(__name__)

_LONGEST_BODY: Final = 4 << 20
#: Seconds that a body may take to arrive, and that an event may wait for its reader.
_SLOWEST_BODY: Final = 30.0
_SLOWEST_READER: Final = 60.0
#: Seconds between two lines of progress, and between comments while nothing happens.
_PROGRESS: Final = 0.5
#: Seconds in which a request is refused, if it is; then its stream begins.
_AT_ONCE: Final = 0.05
_SILENCE: Final = 10.0
_ROUTES: Final = "`chat/completions`, `completions`, `responses` and `models`"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def make_app(service: AnswerService, keys: Keys, *, joined: bool = False) -> FastAPI:
    """The application.

    Args:
        service: Answers requests.
        keys: Who may ask.
        joined: Conversations of several messages become one text.
    """
    # A redirect would name whatever host the client claims to have asked.
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)

    async def answered(
        request: Request,
        read: Callable[[dict[str, Any]], AnswerRequest],
        interface: type[Interface],
    ) -> Response:
        key = keys.of(request.headers.get("authorization"))
        parsed = read(requests.parsed(await _body(request)))
        return _Answer(service, key, interface(parsed))

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        return await answered(
            request, lambda body: requests.chat(body, joined=joined), replies.Chat
        )

    @app.post("/v1/completions")
    async def completions(request: Request) -> Response:
        return await answered(request, requests.completion, replies.Completions)

    @app.post("/v1/responses")
    async def responses(request: Request) -> Response:
        def read(body: dict[str, Any]) -> AnswerRequest:
            return requests.responses(body, joined=joined)

        return await answered(request, read, replies.Responses)

    @app.get("/v1/models")
    async def models(request: Request) -> Response:
        keys.of(request.headers.get("authorization"))
        listed = [replies.model_card(served) for served in service.catalogue.listed()]
        return JSONResponse({"object": "list", "data": listed})

    @app.get("/v1/models/{name:path}")
    async def model(name: str, request: Request) -> Response:
        keys.of(request.headers.get("authorization"))
        return JSONResponse(replies.model_card(service.catalogue.find(name, {})))

    @app.api_route("/health", methods=["GET", "HEAD"])
    async def health() -> Response:
        return JSONResponse({"status": "ok"})

    @app.api_route("/ready", methods=["GET", "HEAD"])
    async def ready() -> Response:
        if service.admission.open:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "ending"}, 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    app.add_middleware(_Quiet)

    @app.exception_handler(ApiError)
    async def refused(_: Request, error: ApiError) -> Response:
        return _refusal(error)

    @app.exception_handler(HTTPException)
    async def no_such_route(request: Request, error: HTTPException) -> Response:
        if error.status_code != 404:
            return _refusal(ApiError(error.status_code, str(error.detail), "invalid_request"))
        below = request.url.path.startswith("/v1/")
        hint = f"below `v1` there are {_ROUTES}" if below else "a base URL ends in `v1`"
        return _refusal(ApiError(404, f"there is nothing at this path: {hint}", "not_found"))

    return app


def _refusal(error: ApiError) -> JSONResponse:
    return JSONResponse(error.body(), error.status, error.headers)


async def _body(request: Request) -> bytes:
    """A request's body, not too long and not too slow.

    Raises:
        ApiError: It is either.
    """
    content = bytearray()
    try:
        async with asyncio.timeout(_SLOWEST_BODY):
            async for piece in request.stream():
                content += piece
                if len(content) > _LONGEST_BODY:
                    message = f"the body is longer than {_LONGEST_BODY >> 20} MiB"
                    raise ApiError(413, message, "body_too_long", headers={"Connection": "close"})
    except TimeoutError:
        message = f"the body did not arrive within {_SLOWEST_BODY:.0f} s"
        raise ApiError(408, message, "body_too_slow", headers={"Connection": "close"}) from None
    return bytes(content)


class _GoneError(OSError):
    """Nothing can be sent to a client any more."""


class _Quiet:
    """Clients that leave, in the middle of a request or of a reply, are no errors of the server."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Passes a request on."""

        async def sent(message: Message) -> None:
            try:
                await send(message)
            except Exception as error:
                raise _GoneError("the connection is lost") from error

        # A client's trace continues in the spans of its request; newer versions of FastAPI have
        # made one already.
        current = get_current_span().get_span_context().is_valid
        token = None if current else context.attach(propagate.extract(_text_headers(scope)))
        try:
            with suppress(_GoneError, ClientDisconnect):
                await self._app(scope, receive, sent)
        finally:
            if token is not None:
                context.detach(token)


def _text_headers(scope: Message) -> dict[str, str]:
    return {
        name.decode("latin-1"): value.decode("latin-1") for name, value in scope.get("headers", ())
    }


class _Answer(Response):
    """An answer in the making. A client that leaves, or does not read, ends it."""

    def __init__(self, service: AnswerService, key: ApiKey, interface: Interface) -> None:
        super().__init__()
        self._service = service
        self._key = key
        self._interface = interface
        self._watch = Watch()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answers, unless the client leaves first."""
        answering = (
            self._stream(scope, receive, send)
            if self._request.stream
            else self._once(scope, receive, send)
        )
        work = asyncio.ensure_future(answering)
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)
        error = None if work.cancelled() else work.exception()
        if error is not None and not isinstance(error, OSError | TimeoutError):
            raise error  # the others: the connection is lost, or unread

    @property
    def _request(self) -> AnswerRequest:
        return self._interface.request

    async def _reply(self) -> ServedReply:
        return await self._service.answer(self._request, self._key, self._watch)

    async def _once(self, scope: Message, receive: Receive, send: Send) -> None:
        response: Response
        try:
            response = JSONResponse(self._interface.whole(await self._reply()))
        except ApiError as error:
            response = _refusal(error)
        await response(scope, receive, send)

    async def _stream(self, scope: Message, receive: Receive, send: Send) -> None:
        """Events; one that is refused before it begins is an error like any other."""
        work = asyncio.ensure_future(self._reply())
        try:
            await asyncio.wait((work,), timeout=_AT_ONCE)
            refused = work.exception() if work.done() and not work.cancelled() else None
            if isinstance(refused, ApiError):
                await _refusal(refused)(scope, receive, send)
                return
            headers = [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-cache"),
                (b"x-accel-buffering", b"no"),
            ]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            async with aclosing(self._events(work)) as events:
                async for text in events:
                    part = {"type": "http.response.body", "body": text.encode(), "more_body": True}
                    async with asyncio.timeout(_SLOWEST_READER):
                        await send(part)
            await send({"type": "http.response.body", "body": b""})
        finally:
            work.cancel()
            with suppress(BaseException):
                await asyncio.gather(work, return_exceptions=True)

    async def _events(self, work: asyncio.Future[ServedReply]) -> AsyncGenerator[str, None]:
        for text in self._interface.opening():
            yield text
        watch, interface = self._watch, self._interface
        seen, sent_at = 0, monotonic()
        while not work.done():
            waited = (work, watch.news())
            await asyncio.wait(waited, timeout=_PROGRESS, return_when=FIRST_COMPLETED)
            now = monotonic()
            if work.done():
                break
            if (answer := watch.take_news()) is not None:
                for text in interface.drawn(*interface.grown(*answer.shown)):
                    sent_at = now
                    yield text
            # Once the answer is being drawn, nothing else is worth a line.
            elif watch.changes != seen and watch.answer is None:
                seen, sent_at = watch.changes, now
                for text in interface.progress(watch.said()):
                    yield text
            elif now - sent_at >= _SILENCE:
                sent_at = now
                yield replies.COMMENT
        try:
            reply = work.result()
            interface.check(reply)
        except ApiError as error:
            yield f"data: {json.dumps(error.body())}\n\n"
            return
        for text in interface.closing(reply):
            yield text


async def _disconnected(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
