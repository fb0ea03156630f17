"""The driver's end of the live channel."""

from __future__ import annotations

import asyncio
import hmac
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TypeAlias

from hptune.live._protocol import (
    HANDSHAKE_SECONDS,
    LINE_BYTES,
    Address,
    Place,
    Value,
    decode,
    encode,
    new_challenge,
    proof,
    report_of,
)

__all__ = ["LiveServer", "Take"]

Take: TypeAlias = Callable[[str, Sequence[Value]], bool]

_log = logging.getLogger(__name__)

_MOST_STRANGERS = 128  # connections without a proof; the oldest goes when another comes
_MESSAGES_A_SECOND = 20  # twice what a reporter sends; a connection with more waits
_CLOSING_SECONDS = 5.0


class LiveServer:
    """Takes reports from many executors in one thread, and answers each with whether its run should stop.

    A connection proves that it knows the token before anything is taken from it, within 5 seconds. Whoever is
    silent, speaks something else or too long a line loses only its own connection.

    Parameters
    ----------
    take : callable
        ``take(key, values)`` gets what a run reported, in the server's thread, and says whether the run should
        stop. It must not block. The same values may come twice, where an answer was lost.
    place : Place, optional
        Where to listen; this host only, where it is not given.

    Attributes
    ----------
    address : Address
        For the executors' `reporter_to`.

    Raises
    ------
    OSError
        It cannot listen there.

    Examples
    --------
    >>> from hptune.live import reporter_to
    >>> with LiveServer(lambda key, values: values[-1].value < 0.5) as server:
    ...     reporter = reporter_to(server.address)
    ...     reporter.report("7", 1, 0.8), reporter.report("7", 2, 0.3, hurry=True)
    (False, True)
    """

    def __init__(self, take: Take, place: Place | None = None) -> None:
        place = place or Place()
        self._take = take
        self._strangers: deque[asyncio.StreamWriter] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        try:
            self._server = self._loop.run_until_complete(
                asyncio.start_server(self._serve, place.bind, place.port, limit=LINE_BYTES)
            )
        except OSError:
            self._loop.close()
            raise
        self.address = Address(place.host, self._server.sockets[0].getsockname()[1])
        self._thread = threading.Thread(target=self._loop.run_forever, name="hptune-live", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End all connections; a second call does nothing."""
        if not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(_CLOSING_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSING_SECONDS)
        self._loop.close()

    def __enter__(self) -> LiveServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _end(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            if await self._is_known(reader, writer):
                await self._converse(reader, writer)
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
            _log.debug("a connection of the live channel ended: %s", error)
        except asyncio.CancelledError:
            pass  # the server ends
        finally:
            writer.transport.abort()
            if task is not None:
                self._tasks.discard(task)

    async def _is_known(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the other end knows the token."""
        if len(self._strangers) >= _MOST_STRANGERS:
            self._strangers.popleft().transport.abort()
        self._strangers.append(writer)
        try:
            challenge = new_challenge()
            writer.write(encode({"challenge": challenge}))
            told = decode(await asyncio.wait_for(reader.readline(), HANDSHAKE_SECONDS))
        finally:
            if writer in self._strangers:
                self._strangers.remove(writer)
        expected = proof(self.address.token, "client", challenge)
        if not hmac.compare_digest(expected.encode(), str(told.get("answer")).encode()):
            _log.warning("a connection to the live channel did not know its token")
            return False
        writer.write(encode({"answer": proof(self.address.token, "server", str(told.get("challenge")))}))
        return True

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        begun: deque[float] = deque(maxlen=_MESSAGES_A_SECOND)
        while line := await reader.readline():
            if len(begun) == _MESSAGES_A_SECOND:
                await asyncio.sleep(max(0.0, begun[0] + 1 - time.monotonic()))
            begun.append(time.monotonic())
            key, values = report_of(decode(line))
            writer.write(encode({"stop": self._stops(key, values)}))
            await writer.drain()

    def _stops(self, key: str, values: Sequence[Value]) -> bool:
        try:
            return bool(self._take(key, values))
        except Exception:
            _log.exception("what was reported on the live channel could not be taken")
            return False
