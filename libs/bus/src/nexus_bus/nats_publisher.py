"""Durable publishes on JetStream, with many in flight.

nats-py's own `publish_async` has no timeout: a lost answer would occupy its place for ever. Here one task
fails the messages whose answer is late.
"""

import asyncio
import itertools
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import APIError

from nexus_bus.bus import (
    MAX_IN_FLIGHT,
    MAX_IN_FLIGHT_BYTES,
    BusError,
    NoResponder,
    NotConnected,
    RequestTimeout,
    SequenceMismatch,
)
from nexus_bus.nats_errors import WRONG_LAST_SEQUENCE, translated

PUBLISH_TIMEOUT_SECONDS = 5.0
NO_RESPONDERS = "503"


@dataclass(frozen=True, slots=True)
class _Sent:
    subject: str
    size: int
    late_at: float
    answer: asyncio.Future[int]


class NatsPublisher:
    """The unanswered durable publishes of one connection."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._numbers = itertools.count(1)
        self._sent: dict[str, _Sent] = {}  # by the last token of the reply subject, oldest first
        self._bytes = 0
        self._inbox = ""
        self._subscribing = asyncio.Lock()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._sweeper: asyncio.Task[None] | None = None

    async def send(self, subject: str, payload: bytes, headers: Mapping[str, str]) -> asyncio.Future[int]:
        await self._room(len(payload))
        try:
            if not self._inbox:
                await self._subscribe()
            if not self._client.is_connected:
                # Otherwise the message would wait in the send buffer, and be stored after its timeout.
                raise NotConnected(subject)
            loop = asyncio.get_running_loop()
            number = str(next(self._numbers))
            sent = _Sent(subject, len(payload), loop.time() + PUBLISH_TIMEOUT_SECONDS, loop.create_future())
            self._sent[number] = sent
            self._bytes += sent.size
            try:
                with translated(subject):
                    await self._client.publish(
                        subject, payload, reply=f"{self._inbox}.{number}", headers=dict(headers) or None
                    )
            except BaseException:
                self._answered(number)
                raise
        finally:
            self._wake_next()
        return sent.answer

    async def _room(self, size: int) -> None:
        """Waits, in the order of the calls, until the message may be sent."""
        first = True
        while (first and self._waiting) or self._full(size):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if first:
                self._waiting.append(turn)
            else:
                self._waiting.appendleft(turn)
            first = False
            try:
                await turn
            except asyncio.CancelledError:
                if turn in self._waiting:
                    self._waiting.remove(turn)
                else:
                    self._wake_next()
                raise

    def _full(self, size: int) -> bool:
        if not self._sent:
            return False
        return len(self._sent) >= MAX_IN_FLIGHT or self._bytes + size > MAX_IN_FLIGHT_BYTES

    def _wake_next(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def _subscribe(self) -> None:
        async with self._subscribing:
            if self._inbox:
                return
            inbox = self._client.new_inbox()
            with translated("answers"):
                await self._client.subscribe(
                    f"{inbox}.*", cb=self._receive, pending_msgs_limit=2 * MAX_IN_FLIGHT
                )
            self._inbox = inbox
            self._sweeper = asyncio.create_task(self._sweep(), name="nats-publish-timeouts")

    async def _receive(self, message: Msg) -> None:
        sent = self._answered(message.subject.rsplit(".", 1)[-1])
        if sent is None or sent.answer.done():
            return
        try:
            sent.answer.set_result(_sequence(sent.subject, message))
        except BusError as error:
            sent.answer.set_exception(error)

    def _answered(self, number: str) -> _Sent | None:
        sent = self._sent.pop(number, None)
        if sent is not None:
            self._bytes -= sent.size
            self._wake_next()
        return sent

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(PUBLISH_TIMEOUT_SECONDS / 10)
            while self._sent:
                number, sent = next(iter(self._sent.items()))
                if sent.late_at > loop.time():
                    break
                self._fail(number, RequestTimeout(sent.subject))

    def _fail(self, number: str, error: BusError) -> None:
        sent = self._answered(number)
        if sent is not None and not sent.answer.done():
            sent.answer.set_exception(error)

    async def close(self) -> None:
        """Fails what is unanswered."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        for number, sent in list(self._sent.items()):
            self._fail(number, RequestTimeout(sent.subject))


def _sequence(subject: str, message: Msg) -> int:
    """The sequence in a stream's answer. Raises BusError."""
    if not message.data and (message.headers or {}).get("Status") == NO_RESPONDERS:
        raise NoResponder(subject)
    answer = json.loads(message.data)
    if "error" not in answer:
        return int(answer["seq"])
    if answer["error"].get("err_code") in WRONG_LAST_SEQUENCE:
        raise SequenceMismatch(subject)
    with translated(subject):
        APIError.from_error(answer["error"])
    raise BusError(subject)
