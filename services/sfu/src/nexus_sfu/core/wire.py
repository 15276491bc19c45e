"""Converts the room's types to messages of `nexus.types.v1` and `nexus.events.v1`."""

from collections.abc import Iterable

from nexus.events.v1 import room_pb2
from nexus.types.v1 import media_pb2

from nexus_sfu.core.model import Participant, Slot, Track


def track_message(track: Track, *, with_mid: bool = False) -> media_pb2.Track:
    """A track as a message. Only the publisher receives the mid, which is meaningless in other
    descriptions."""
    return media_pb2.Track(
        id=track.id,
        number=track.number,
        participant_id=track.participant_id,
        kind=media_pb2.TrackKind.ValueType(track.kind),
        source=media_pb2.TrackSource.ValueType(track.source),
        name=track.name,
        codec=media_pb2.Codec.ValueType(track.codec),
        muted=track.muted,
        width=track.width,
        height=track.height,
        mid=track.mid if with_mid else "",
        layers=[
            media_pb2.VideoLayer(
                rid=layer.rid,
                spatial=layer.spatial,
                width=layer.width,
                height=layer.height,
                max_bitrate_bps=layer.max_bitrate_bps,
                inactive=layer.inactive,
            )
            for layer in track.layers
        ],
        scalability_mode=track.scalability_mode,
    )


def participant_message(participant: Participant, *, with_mids: bool = False) -> media_pb2.Participant:
    return media_pb2.Participant(
        id=participant.id,
        identity=participant.identity,
        name=participant.name,
        metadata=participant.metadata,
        attributes=participant.attributes,
        joined_at_ms=participant.joined_at_ms,
        tracks=[track_message(track, with_mid=with_mids) for track in participant.tracks.values()],
        connection_quality=media_pb2.ConnectionQuality.ValueType(participant.quality),
    )


def slot_table_message(participant: Participant) -> media_pb2.SlotTable:
    return media_pb2.SlotTable(
        revision=participant.slot_revision,
        slots=[slot_message(slot) for slot in participant.slots.values()],
    )


def slot_message(slot: Slot) -> media_pb2.Slot:
    return media_pb2.Slot(
        mid=slot.mid,
        kind=media_pb2.TrackKind.ValueType(slot.kind),
        pair=slot.pair,
        ssrc=slot.ssrc,
        track_id=slot.track_id or "",
    )


def speakers_message(speakers: Iterable[tuple[Track, float]], revision: int) -> room_pb2.ActiveSpeakers:
    """The speakers, loudest first, with their level in dBov."""
    return room_pb2.ActiveSpeakers(
        speakers=[
            room_pb2.Speaker(participant_id=track.participant_id, track_id=track.id, level_dbov=level)
            for track, level in speakers
        ],
        revision=revision,
    )
