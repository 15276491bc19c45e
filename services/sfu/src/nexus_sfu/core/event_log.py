"""Creates the room's events in order. Each change of state takes the next revision, so that a reader detects
a missed event by the gap.

Events about a hidden participant are `internal`: for services, never for clients. An event with a target goes
only to that client, hidden or not.
"""

from typing import Any

from nexus.events.v1 import room_pb2
from nexus.types.v1 import media_pb2

from nexus_sfu.core.effects import Emit
from nexus_sfu.core.model import Participant, Reason, RoomKey, Track
from nexus_sfu.core.watching import demand_message
from nexus_sfu.core.wire import participant_message, slot_table_message, track_message


class EventLog:
    """Creates events as effects. `revision` is that of the last event that carries state."""

    def __init__(self, key: RoomKey, room_id: str) -> None:
        self.revision = 0
        # Time of the command that is being handled.
        self.epoch_ms = 0
        self._key = key
        self._room_id = room_id

    def joined(self, participant: Participant) -> Emit:
        event = room_pb2.ParticipantJoined(participant=participant_message(participant))
        return self._event(internal=participant.grants.hidden, participant_joined=event)

    def left(self, participant: Participant, reason: Reason, detail: str) -> Emit:
        event = room_pb2.ParticipantLeft(
            participant_id=participant.id,
            identity=participant.identity,
            reason=_reason(reason),
            detail=detail,
        )
        return self._event(internal=participant.grants.hidden, participant_left=event)

    def updated(self, participant: Participant) -> Emit:
        event = room_pb2.ParticipantUpdated(participant=participant_message(participant))
        return self._event(internal=participant.grants.hidden, participant_updated=event)

    def connected(self, participant: Participant, srtp_profile: str) -> Emit:
        event = room_pb2.MediaConnected(participant_id=participant.id, srtp_profile=srtp_profile)
        return self._event(internal=participant.grants.hidden, media_connected=event)

    def published(self, track: Track) -> Emit:
        return self._event(track_published=room_pb2.TrackPublished(track=track_message(track)))

    def unpublished(self, track: Track) -> Emit:
        event = room_pb2.TrackUnpublished(track_id=track.id, participant_id=track.participant_id)
        return self._event(track_unpublished=event)

    def muted(self, track: Track) -> Emit:
        event = room_pb2.TrackMuted(track_id=track.id, participant_id=track.participant_id, muted=track.muted)
        return self._event(track_muted=event)

    def redescribed(self, track: Track) -> Emit:
        return self._event(track_updated=room_pb2.TrackUpdated(track=track_message(track)))

    def slots_changed(self, participant: Participant) -> Emit:
        event = room_pb2.SlotsChanged(slots=slot_table_message(participant))
        return self._event(target=participant.id, slots_changed=event)

    def reoffer_needed(self, participant: Participant, pairs: int) -> Emit:
        lone = sum(1 for slot in participant.slots.values() if slot.pair < 0)
        event = room_pb2.ReofferNeeded(pairs=pairs, audio_slots=lone)
        return self._event(target=participant.id, reoffer_needed=event)

    def layer_demand_changed(self, track: Track) -> Emit:
        event = room_pb2.LayerDemandChanged(demands=[demand_message(track)])
        return self._event(target=track.participant_id, layer_demand_changed=event)

    def paused(self, participant: Participant, track_id: str, reason: room_pb2.PauseReason.ValueType) -> Emit:
        event = room_pb2.TrackPaused(track_id=track_id, reason=reason)
        return self._event(target=participant.id, track_paused=event)

    def resumed(self, participant: Participant, track_id: str) -> Emit:
        event = room_pb2.TrackResumed(track_id=track_id)
        return self._event(target=participant.id, track_resumed=event)

    def quality(self, participant: Participant, score: float) -> Emit:
        """The quality of a connection is not part of the room's state, so the event has no revision."""
        event = room_pb2.ConnectionQualityChanged(
            participant_id=participant.id,
            quality=media_pb2.ConnectionQuality.ValueType(participant.quality),
            score=score,
        )
        return self._event(state=False, internal=participant.grants.hidden, connection_quality=event)

    def room_updated(self, room: media_pb2.Room) -> Emit:
        return self._event(room_updated=room_pb2.RoomUpdated(room=room))

    def closed(self, reason: Reason) -> Emit:
        return self._event(room_closed=room_pb2.RoomClosed(reason=_reason(reason)))

    def speakers(self, speakers: room_pb2.ActiveSpeakers) -> Emit:
        """The active speakers are not part of the room's state; their list has its own revision."""
        return self._event(state=False, active_speakers=speakers)

    def _event(self, *, state: bool = True, target: str = "", internal: bool = False, **content: Any) -> Emit:
        """`content` is the field of `RoomEvent` that is set."""
        self.revision += state
        return Emit(
            room_pb2.RoomEvent(
                app=self._key.app,
                room=self._key.room,
                room_id=self._room_id,
                revision=self.revision if state else 0,
                at_ms=self.epoch_ms,
                target_participant_id=target,
                internal=internal,
                **content,
            )
        )


def _reason(reason: Reason) -> media_pb2.DisconnectReason.ValueType:
    return media_pb2.DisconnectReason.ValueType(reason)
