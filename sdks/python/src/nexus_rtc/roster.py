"""The participants and the state of the room: applies events and snapshots, and says what changed.

No I/O and no clock. Events older than the state (they were overtaken by a snapshot or an answer) change
nothing.
"""

from collections.abc import Iterable
from dataclasses import replace

from nexus.events.v1.room_pb2 import RoomEvent
from nexus.types.v1 import media_pb2

from nexus_rtc import events
from nexus_rtc.model import ConnectionQuality, Participant, Track


class Roster:
    """The remote participants, by id, and whether the room is recorded or transcribed."""

    def __init__(self) -> None:
        self.revision = 0
        self.recording = False
        self.transcribing = False
        self._participants: dict[str, Participant] = {}

    @property
    def participants(self) -> dict[str, Participant]:
        return dict(self._participants)

    def track(self, track_id: str) -> Track | None:
        for participant in self._participants.values():
            if track_id in participant.tracks:
                return participant.tracks[track_id]
        return None

    def track_by_number(self, number: int) -> Track | None:
        """The track with this number in the CSRC of its packets."""
        for participant in self._participants.values():
            for track in participant.tracks.values():
                if track.number == number:
                    return track
        return None

    def replace(
        self, room: media_pb2.Room, participants: Iterable[media_pb2.Participant], revision: int
    ) -> list[events.Event]:
        """Replaces the state by that of a join's answer or a snapshot. Returns the differences as events."""
        now = {one.id: Participant.from_wire(one) for one in participants}
        before, self._participants, self.revision = self._participants, now, revision
        changes = self._set_activity(room)
        for participant in before.values():
            if participant.id not in now:
                changes += [
                    events.TrackUnpublished(participant, track) for track in participant.tracks.values()
                ]
                changes.append(events.ParticipantLeft(participant))
        for participant in now.values():
            changes += _difference(before.get(participant.id), participant)
        return changes

    def apply(self, event: RoomEvent) -> list[events.Event]:
        """Applies one event about remote participants. Events without state are ignored."""
        if event.revision:
            if event.revision <= self.revision:
                return []
            self.revision = event.revision
        match event.WhichOneof("event"):
            case "participant_joined":
                return self._put(Participant.from_wire(event.participant_joined.participant))
            case "participant_updated":
                return self._put(Participant.from_wire(event.participant_updated.participant))
            case "participant_left":
                return self._remove(event.participant_left.participant_id)
            case "track_published":
                return self._publish(Track.from_wire(event.track_published.track))
            case "track_unpublished":
                return self._unpublish(
                    event.track_unpublished.participant_id, event.track_unpublished.track_id
                )
            case "track_muted":
                return self._mute(event.track_muted.track_id, event.track_muted.muted)
            case "track_updated":
                return self._redescribe(Track.from_wire(event.track_updated.track))
            case "room_updated":
                return self._set_activity(event.room_updated.room)
        return []

    def _set_activity(self, room: media_pb2.Room) -> list[events.Event]:
        changes: list[events.Event] = []
        if room.recording is not self.recording:
            self.recording = room.recording
            changes.append(events.RecordingChanged(room.recording))
        if room.transcribing is not self.transcribing:
            self.transcribing = room.transcribing
            changes.append(events.TranscribingChanged(room.transcribing))
        return changes

    def rate(self, participant_id: str, quality: ConnectionQuality) -> None:
        participant = self._participants.get(participant_id)
        if participant is not None:
            self._participants[participant_id] = replace(participant, connection_quality=quality)

    def _put(self, participant: Participant) -> list[events.Event]:
        before = self._participants.get(participant.id)
        self._participants[participant.id] = participant
        return _difference(before, participant)

    def _remove(self, participant_id: str) -> list[events.Event]:
        participant = self._participants.pop(participant_id, None)
        if participant is None:
            return []
        gone = [events.TrackUnpublished(participant, track) for track in participant.tracks.values()]
        return [*gone, events.ParticipantLeft(participant)]

    def _publish(self, track: Track) -> list[events.Event]:
        participant = self._participants.get(track.participant_id)
        return (
            []
            if participant is None
            else self._put(replace(participant, tracks={**participant.tracks, track.id: track}))
        )

    def _unpublish(self, participant_id: str, track_id: str) -> list[events.Event]:
        participant = self._participants.get(participant_id)
        if participant is None or track_id not in participant.tracks:
            return []
        left = {track.id: track for track in participant.tracks.values() if track.id != track_id}
        return self._put(replace(participant, tracks=left))

    def _redescribe(self, track: Track) -> list[events.Event]:
        return [] if self.track(track.id) is None else self._publish(track)

    def _mute(self, track_id: str, muted: bool) -> list[events.Event]:
        track = self.track(track_id)
        return [] if track is None else self._publish(replace(track, muted=muted))


def _difference(before: Participant | None, now: Participant) -> list[events.Event]:
    if before is None:
        published: list[events.Event] = [events.TrackPublished(now, track) for track in now.tracks.values()]
        return [events.ParticipantJoined(now), *published]
    changes: list[events.Event] = []
    # Connection quality has its own event.
    if replace(before, tracks={}, connection_quality="unknown") != replace(
        now, tracks={}, connection_quality="unknown"
    ):
        changes.append(events.ParticipantUpdated(now))
    for track in before.tracks.values():
        if track.id not in now.tracks:
            changes.append(events.TrackUnpublished(now, track))
    for track in now.tracks.values():
        known = before.tracks.get(track.id)
        if known is None:
            changes.append(events.TrackPublished(now, track))
            continue
        if known.muted != track.muted:
            changes.append(events.TrackMuted(now, track))
        if replace(known, muted=track.muted) != track:
            changes.append(events.TrackUpdated(now, track))
    return changes
