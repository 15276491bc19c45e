"""WatchStats: the engine's stats as messages, with the service's ids.

The engine answers a request by an event, which is matched to the waiting caller by the request's number.
"""

import asyncio

from nexus.sfu.v1 import sfu_pb2
from nexus_runtime import Clock

from nexus_sfu import engine_port as port
from nexus_sfu.core.model import RoomKey
from nexus_sfu.media import Media

STATS_TIMEOUT_SECONDS = 5.0
# Maximum number of pending requests; each watcher has one at a time.
MAX_WAITING = 1_024


class StatsLost(Exception):
    """The engine did not answer, or too many requests are pending."""


class StatsRequests:
    def __init__(self, engine: port.EnginePort) -> None:
        self._engine = engine
        self._waiting: dict[int, asyncio.Future[port.StatsReady]] = {}

    def received(self, stats: port.StatsReady) -> None:
        waiter = self._waiting.get(stats.request)
        if waiter is not None and not waiter.done():
            waiter.set_result(stats)

    async def request(self, room: int | None, *, details: bool = True) -> port.StatsReady:
        """Raises StatsLost."""
        if len(self._waiting) >= MAX_WAITING:
            raise StatsLost
        number = self._engine.request_stats(room, details)
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiter
        try:
            return await asyncio.wait_for(waiter, STATS_TIMEOUT_SECONDS)
        except TimeoutError:
            raise StatsLost from None
        finally:
            del self._waiting[number]


class Stats:
    def __init__(self, requests: StatsRequests, media: Media, clock: Clock) -> None:
        self._requests = requests
        self._media = media
        self._clock = clock

    async def node(self, *, details: bool) -> port.StatsReady:
        """Raises StatsLost."""
        return await self._requests.request(None, details=details)

    async def message(self, key: RoomKey | None) -> sfu_pb2.WatchStatsResponse | None:
        """The stats of a room, or of the node without `key`; None if the room is gone. Raises StatsLost."""
        room = None if key is None else self._media.room_of(key)
        if key is not None and room is None:
            return None
        return self._message(await self._requests.request(room))

    def _message(self, stats: port.StatsReady) -> sfu_pb2.WatchStatsResponse:
        transports = (self._transport(t) for t in stats.transports)
        tracks = (self._track(t) for t in stats.tracks)
        slots = (self._slot(s) for s in stats.slots)
        return sfu_pb2.WatchStatsResponse(
            at_ms=self._clock.epoch_ms(),
            engine=_engine(stats.engine),
            transports=[t for t in transports if t is not None],
            tracks=[t for t in tracks if t is not None],
            slots=[s for s in slots if s is not None],
        )

    def _transport(self, t: port.TransportStats) -> sfu_pb2.TransportStats | None:
        seat = self._media.seat_of_transport(t.transport)
        if seat is None:
            return None
        return sfu_pb2.TransportStats(
            participant_id=seat[1],
            state=t.state,
            srtp_profile=t.srtp_profile,
            packets_in=t.packets_in,
            bytes_in=t.bytes_in,
            packets_out=t.packets_out,
            bytes_out=t.bytes_out,
            rtt_ms=t.rtt_ms,
            estimate_bps=t.estimate_bps,
            target_bps=t.target_bps,
            acknowledged_bps=t.acknowledged_bps,
            loss=t.loss,
            pacer_queue_packets=t.pacer_queue_packets,
            pacer_queue_bytes=t.pacer_queue_bytes,
            pacer_drops=t.pacer_drops,
            probe_clusters=t.probe_clusters,
            probe_packets=t.probe_packets,
            slots_paused=t.slots_paused,
            data_messages_in=t.data_messages_in,
            data_bytes_in=t.data_bytes_in,
            data_messages_out=t.data_messages_out,
            data_bytes_out=t.data_bytes_out,
            data_messages_dropped=t.data_messages_dropped,
        )

    def _track(self, t: port.TrackStats) -> sfu_pb2.TrackStats | None:
        track_id = self._media.track_of(t.track)
        if track_id is None:
            return None
        return sfu_pb2.TrackStats(
            track_id=track_id,
            packets=t.packets,
            bytes=t.bytes,
            packets_lost=t.packets_lost,
            nacks_sent=t.nacks_sent,
            plis_sent=t.plis_sent,
            keyframes=t.keyframes,
            jitter_ms=t.jitter_ms,
            layers=[
                sfu_pb2.LayerBitrate(spatial=spatial, temporal=temporal, bitrate_bps=bps)
                for spatial, rates in enumerate(t.layer_bitrates)
                for temporal, bps in enumerate(rates)
                if bps > 0
            ],
            red_recovered=t.red_recovered,
            keyframe_replays=t.keyframe_replays,
        )

    def _slot(self, s: port.SlotStats) -> sfu_pb2.SlotStats | None:
        place = self._media.slot_of(s.slot)
        if place is None:
            return None
        return sfu_pb2.SlotStats(
            participant_id=place[0],
            mid=place[1],
            track_id=self._media.track_of(s.track) or "",
            packets=s.packets,
            bytes=s.bytes,
            nacks_received=s.nacks_received,
            retransmissions=s.retransmissions,
            plis_received=s.plis_received,
            fraction_lost=s.fraction_lost,
            target=_position(s.target),
            layer=_position(s.layer),
            layer_switches=s.layer_switches,
            layer_packets_left_out=s.layer_packets_left_out,
        )


def _position(layer: tuple[int, int] | None) -> sfu_pb2.LayerPosition | None:
    return None if layer is None else sfu_pb2.LayerPosition(spatial=layer[0], temporal=layer[1])


def _engine(stats: port.EngineStats) -> sfu_pb2.EngineStats:
    return sfu_pb2.EngineStats(
        datagrams_in=stats.datagrams_in,
        bytes_in=stats.bytes_in,
        datagrams_out=stats.datagrams_out,
        bytes_out=stats.bytes_out,
        gso_runs=stats.gso_runs,
        gso_segments=stats.gso_segments,
        drops=dict(stats.drops),
        cpu_seconds=stats.cpu_seconds,
        transports=stats.transports,
        events_dropped=stats.events_dropped,
    )
