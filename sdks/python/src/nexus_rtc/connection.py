"""Runs a session on a WebSocket: matches answers to requests, sends pings, passes events to a listener."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from nexus.signaling.v1 import session_pb2 as wire

from nexus_rtc import events
from nexus_rtc.edge.socket import Socket
from nexus_rtc.errors import ConnectionFailed, NexusError
from nexus_rtc.session import Output, Reply, Send, Session, TelemetryStored

REQUEST_SECONDS: Final = 15.0


class Connection:
    """Runs a `Session`. `on_event` is called for every event, in order, on the event loop."""

    def __init__(self, socket: Socket, on_event: Callable[[events.Event], None]) -> None:
        self.session = Session()
        self._socket = socket
        self._on_event = on_event
        self.on_stored: Callable[[TelemetryStored], None] = lambda stored: None
        self._answers: dict[int, asyncio.Future[wire.ServerMessage]] = {}
        self._wake = asyncio.Event()
        self._reader = asyncio.create_task(self._read(), name="signaling reader")
        self._timer = asyncio.create_task(self._keep_alive(), name="signaling pings")

    async def request(self, message: wire.ClientMessage) -> wire.ServerMessage:
        """Returns the server's answer. Raises the server's error, or ConnectionFailed."""
        if self.session.ended is not None:
            raise NexusError(self.session.ended.reason, "the session is over")
        sending = self.session.request(message)
        request_id = sending.message.request_id
        answer: asyncio.Future[wire.ServerMessage] = asyncio.get_running_loop().create_future()
        self._answers[request_id] = answer
        try:
            await self._socket.send(sending.message)
            async with asyncio.timeout(REQUEST_SECONDS):
                return await answer
        except TimeoutError:
            raise ConnectionFailed("REQUEST_TIMEOUT", f"no answer within {REQUEST_SECONDS:g} s") from None
        finally:
            self._answers.pop(request_id, None)
            self.session.forget(request_id)

    async def tell(self, message: wire.ClientMessage) -> None:
        """Sends a message that has no reply. Raises ConnectionFailed."""
        await self._socket.send(message)

    async def leave(self) -> None:
        """Leaves the room if it was joined, and closes the WebSocket."""
        if self.session.joined:
            with contextlib.suppress(NexusError):
                await self.request(wire.ClientMessage(leave=wire.LeaveRequest()))
        await self._act(self.session.left())
        await self.close()

    async def close(self) -> None:
        for task in (self._reader, self._timer):
            task.cancel()
        await asyncio.gather(self._reader, self._timer, return_exceptions=True)
        await self._socket.close()

    async def _read(self) -> None:
        why = "the server closed the WebSocket"
        try:
            async for message in self._socket.messages():
                await self._act(self.session.receive(message, time.monotonic()))
                self._wake.set()
        except ValueError as error:
            why = str(error)
        if self._socket.close_code is not None:
            why = f"{why} (code {self._socket.close_code})"
        await self._act(self.session.transport_closed(why))
        self._wake.set()

    async def _keep_alive(self) -> None:
        while self.session.ended is None:
            self._wake.clear()
            deadline = self.session.next_deadline()
            wait = None if deadline is None else max(0.0, deadline - time.monotonic())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            await self._act(self.session.handle_timeout(time.monotonic()))

    async def _act(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Send(message):
                    with contextlib.suppress(ConnectionFailed):  # the reader reports it
                        await self._socket.send(message)
                case Reply():
                    self._settle(output)
                case TelemetryStored():
                    self.on_stored(output)
                case event:
                    self._on_event(event)

    def _settle(self, reply: Reply) -> None:
        answer = self._answers.get(reply.request_id)
        if answer is None or answer.done():
            return
        if reply.error is not None:
            answer.set_exception(reply.error)
        elif reply.message is not None:
            answer.set_result(reply.message)
