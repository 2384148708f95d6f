"""HTTP connections whose clients must send the head of a request within a while."""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

#: Seconds that a connection may take to send a request's first line and headers.
_SLOWEST_HEAD: Final = 30.0


class HeadTimeoutProtocol(H11Protocol):
    """uvicorn's connection, closed if it opens and sends no request, or one too slowly.

    uvicorn waits for ever: its own timeout begins after a first response, and ends with the next
    byte. Bodies have a limit of their own (`app`).
    """

    _late: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """The time for a first request begins."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """The time for another request begins with its first byte."""
        if self._late is None and self._idle:
            self._wait()
        super().data_received(data)
        if not self._idle:
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop()
        super().connection_lost(exc)

    @property
    def _idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self._late = self.loop.call_later(_SLOWEST_HEAD, self.transport.close)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
