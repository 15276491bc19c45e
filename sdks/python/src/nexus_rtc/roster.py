"""Who is in the room: applies events and snapshots to the last known state and says what changed.

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
    """The others, by participant id."""

    def __init__(self) -> None:
        self.revision = 0
        self._people: dict[str, Participant] = {}

    @property
    def participants(self) -> dict[str, Participant]:
        return dict(self._people)

    def track(self, track_id: str) -> Track | None:
        for person in self._people.values():
            if track_id in person.tracks:
                return person.tracks[track_id]
        return None

    def track_by_number(self, number: int) -> Track | None:
        """Whose packet is it?"""
        for person in self._people.values():
            for track in person.tracks.values():
                if track.number == number:
                    return track
        return None

    def replace(self, participants: Iterable[media_pb2.Participant], revision: int) -> list[events.Event]:
        """The whole state, from a join's answer or a snapshot; what differs from before comes out as
        events."""
        now = {one.id: Participant.from_wire(one) for one in participants}
        before, self._people, self.revision = self._people, now, revision
        changes: list[events.Event] = []
        for person in before.values():
            if person.id not in now:
                changes += [events.TrackUnpublished(person, track) for track in person.tracks.values()]
                changes.append(events.ParticipantLeft(person))
        for person in now.values():
            changes += _difference(before.get(person.id), person)
        return changes

    def apply(self, event: RoomEvent) -> list[events.Event]:
        """One event about others. Those without state (speakers, targeted ones) are not for the roster."""
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
        return []

    def rate(self, participant_id: str, quality: ConnectionQuality) -> None:
        person = self._people.get(participant_id)
        if person is not None:
            self._people[participant_id] = replace(person, connection_quality=quality)

    def _put(self, person: Participant) -> list[events.Event]:
        before = self._people.get(person.id)
        self._people[person.id] = person
        return _difference(before, person)

    def _remove(self, participant_id: str) -> list[events.Event]:
        person = self._people.pop(participant_id, None)
        if person is None:
            return []
        gone = [events.TrackUnpublished(person, track) for track in person.tracks.values()]
        return [*gone, events.ParticipantLeft(person)]

    def _publish(self, track: Track) -> list[events.Event]:
        person = self._people.get(track.participant_id)
        return [] if person is None else self._put(replace(person, tracks={**person.tracks, track.id: track}))

    def _unpublish(self, participant_id: str, track_id: str) -> list[events.Event]:
        person = self._people.get(participant_id)
        if person is None or track_id not in person.tracks:
            return []
        left = {track.id: track for track in person.tracks.values() if track.id != track_id}
        return self._put(replace(person, tracks=left))

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
    # Quality has events of its own, and is not repeated with every change of a profile.
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
