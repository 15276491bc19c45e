"""The data channels of a session, on aiortc: one for each kind of delivery, opened in band (RFC 8832), which
needs no negotiation.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiortc import RTCDataChannel, RTCPeerConnection

from nexus_rtc.errors import ConnectionFailed

PROTOCOL: Final = "nexus.data.v1"
# Bytes buffered in aiortc above which a sender waits, until they fall below the lower mark.
HIGH_WATER_BYTES: Final = 1024 * 1024
LOW_WATER_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a message is delivered."""

    reliable: bool = True
    ordered: bool = True


class DataLink:
    def __init__(self, connection: RTCPeerConnection, on_data: Callable[[bytes, Delivery], None]) -> None:
        self._connection: Any = connection
        self._on_data = on_data
        self._channels: dict[Delivery, RTCDataChannel] = {}
        # Messages are sent in the order of the calls, even when calls wait.
        self._turns: dict[Delivery, asyncio.Lock] = {}
        self._changed = asyncio.Condition()
        self._reported: set[asyncio.Task[None]] = set()
        self._closed = False
        self._connection.on("datachannel", self._adopt)

    def open(self) -> None:
        """Opens the default channel. Call it before the first offer, so that the offer has a section for data
        (RFC 8841)."""
        self._channel(Delivery())

    async def send(self, delivery: Delivery, messages: Sequence[bytes]) -> None:
        """Sends messages in order. Returns when the send buffer has space. Raises ConnectionFailed."""
        async with self._turns.setdefault(delivery, asyncio.Lock()):
            for message in messages:
                await self._send(self._channel(delivery), message)

    async def _send(self, channel: RTCDataChannel, message: bytes) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or _has_room(channel))
        if self._closed or channel.readyState != "open":
            raise ConnectionFailed("CLOSED", "the data channel is closed")
        channel.send(message)

    def close(self) -> None:
        self._closed = True
        self._deliver()

    def _channel(self, delivery: Delivery) -> RTCDataChannel:
        channel = self._channels.get(delivery)
        if channel is None:
            channel = self._connection.createDataChannel(
                "nexus",
                ordered=delivery.ordered,
                maxRetransmits=None if delivery.reliable else 0,
                protocol=PROTOCOL,
            )
            self._adopt(channel)
        return channel

    def _adopt(self, channel: RTCDataChannel) -> None:
        if channel.protocol != PROTOCOL:
            return
        reliable = channel.maxRetransmits is None and channel.maxPacketLifeTime is None
        delivery = Delivery(reliable, channel.ordered)
        self._channels.setdefault(delivery, channel)
        channel.bufferedAmountLowThreshold = LOW_WATER_BYTES

        def heard(message: bytes | str) -> None:
            if isinstance(message, bytes):
                self._on_data(message, delivery)

        def ended() -> None:
            # The server closes the channel of a slow reader; the next message opens a new one.
            if self._channels.get(delivery) is channel:
                del self._channels[delivery]
            self._deliver()

        channel.on("message", heard)
        channel.on("open", self._deliver)
        channel.on("bufferedamountlow", self._deliver)
        channel.on("close", ended)

    def _deliver(self) -> None:
        task = asyncio.get_running_loop().create_task(self._notify())
        self._reported.add(task)
        task.add_done_callback(self._reported.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _has_room(channel: RTCDataChannel) -> bool:
    """Whether a channel has space, or will never have any."""
    waiting = channel.readyState == "connecting" or channel.bufferedAmount > HIGH_WATER_BYTES
    return channel.readyState in ("closing", "closed") or not waiting
