"""HTTP connections whose clients must send the head of a request, and read, within a while."""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from typing import Final

from uvicorn.protocols.http.h11_impl import H11Protocol

#: Seconds that a connection may take to send a request's first line and headers.
_SLOWEST_HEAD: Final = 30.0
#: Seconds in which a client must read something of what waits for it.
_SLOWEST_READER: Final = 60.0


class TimeoutProtocol(H11Protocol):
    """uvicorn's connection, closed if it sends no request, or one too slowly, or does not read.

    uvicorn waits for ever: its own timeout begins after a first response, and ends with the next
    byte; a reply that is not read is kept, also once the connection is closed. Bodies, and what
    streams still have to write, have limits of their own (`app`).
    """

    _late: TimerHandle | None = None
    _unread: TimerHandle | None = None

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
        self._is_read()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """More waits for the client than it has read."""
        super().pause_writing()
        self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The client has read most of it."""
        self._is_read()
        super().resume_writing()

    def _watch(self, left: int) -> None:
        self._unread = self.loop.call_later(_SLOWEST_READER, self._look, left)

    def _look(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._watch(left)
        else:
            self.transport.abort()

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

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
