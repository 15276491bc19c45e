"""Reports entering and leaving participants to the rest of the system: to the SFU and to KV `participants`.

A departure is reported in the background, with a few retries. One that could not be delivered is counted; the
SFU then removes the participant when the client's consent (RFC 7675) expires.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1 import media_pb2
from nexus.types.v1.error_pb2 import ErrorCode
from nexus_bus import BusError
from nexus_rooms import Sfu
from nexus_rpc import RpcError
from nexus_runtime import Background

from nexus_signaling.core.seat import Seat
from nexus_signaling.metrics import Metrics
from nexus_signaling.participant_directory import ParticipantDirectory

log = structlog.get_logger()

_PAUSES_SECONDS: Final = (0.2, 1.0, 3.0)

Sleep = Callable[[float], Awaitable[None]]


class Departures:
    def __init__(
        self,
        sfu: Sfu,
        participants: ParticipantDirectory,
        background: Background,
        metrics: Metrics,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._sfu = sfu
        self._participants = participants
        self._background = background
        self._metrics = metrics
        self._sleep = sleep

    async def enter(self, seat: Seat, joined_at_ms: int) -> None:
        try:
            await self._participants.enter(seat, joined_at_ms)
        except BusError as error:
            log.warning("participant_not_recorded", room=seat.room, error=type(error).__name__)

    def leave(self, seat: Seat, reason: media_pb2.DisconnectReason.ValueType) -> None:
        """Notifies the SFU, which still has the participant."""
        self._background.start("leave", self._leave(seat, reason))

    def gone(self, seat: Seat) -> None:
        """Removes the participant's record. The SFU already knows or is being notified."""
        self._background.start("forget-participant", self._forget(seat))

    async def _leave(self, seat: Seat, reason: media_pb2.DisconnectReason.ValueType) -> None:
        request = sfu_pb2.LeaveRequest(room=seat.room_key, participant_id=seat.participant_id, reason=reason)
        for pause in (*_PAUSES_SECONDS, None):
            try:
                await self._sfu.leave(seat.address, request)
                return
            except RpcError as refused:
                if refused.code != ErrorCode.SFU_UNREACHABLE:
                    return  # the SFU has neither room nor participant
            if pause is not None:
                await self._sleep(pause)
        self._metrics.leaves_failed.inc()
        log.warning("leave_not_delivered", room=seat.room, participant=seat.participant_id, node=seat.node_id)

    async def _forget(self, seat: Seat) -> None:
        try:
            await self._participants.leave(seat)
        except BusError as error:
            log.warning("participant_not_forgotten", room=seat.room, error=type(error).__name__)
