"""Random commands to a room, whose effects run on the strict memory engine: invariants after every
command."""

import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule
from nexus.events.v1 import room_pb2
from nexus_rpc import RpcError
from nexus_runtime import Now
from nexus_sfu.core import commands as cmd
from nexus_sfu.core import effects as fx
from nexus_sfu.core.limits import Limits
from nexus_sfu.core.model import (
    Codec,
    Format,
    Grants,
    IceCredentials,
    Kind,
    MediaOffer,
    PublicationOffer,
    RoomKey,
    SlotOffer,
    Source,
    TransportOffer,
)
from nexus_sfu.core.room import RoomState
from nexus_sfu.media import Media
from nexus_sfu.memory_engine import MemoryEngine

TRANSPORT = TransportOffer(IceCredentials("abcd", "x" * 22), (("sha-256", "AA"),), (), (), True)

VIDEO_FORMATS = (
    Format(Codec.VP8),
    Format(Codec.H264, 0x42, 1),
    Format(Codec.H264, 0x64, 1),
    Format(Codec.AV1),
)

publications = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(Source), st.integers(0, 2), st.sampled_from(VIDEO_FORMATS)),
    unique_by=lambda p: p[0],
    max_size=3,
)
sections = st.lists(
    st.tuples(
        st.integers(10, 19),
        st.sampled_from(Kind),
        st.frozensets(st.sampled_from(VIDEO_FORMATS), min_size=1),
    ),
    unique_by=lambda s: s[0],
    max_size=7,
)


@st.composite
def media_offers(draw: st.DrawFn) -> MediaOffer:
    """Also unusual offers: an audio section becomes video, SSRCs and codecs change, slots disappear."""
    return MediaOffer(
        TRANSPORT,
        tuple(
            PublicationOffer(
                str(mid),
                source,
                Format(Codec.OPUS) if source.kind is Kind.AUDIO else video,
                ssrcs=(ssrc,) * bool(ssrc),
            )
            for mid, source, ssrc, video in draw(publications)
        ),
        tuple(
            SlotOffer(str(mid), kind, video if kind is Kind.VIDEO else frozenset((Format(Codec.OPUS),)))
            for mid, kind, video in draw(sections)
        ),
    )


class RoomMachine(RuleBasedStateMachine):
    participants = Bundle("participants")

    def __init__(self) -> None:
        super().__init__()
        limits = Limits(participants_per_room=5, pairs=4)
        self.room = RoomState(RoomKey("app", "room"), "RM", Now(0, 0), limits, random.Random(0))
        self.engine = MemoryEngine()
        self.media = Media(self.engine)
        self.numbers: dict[str, int] = {}
        self.revision = 0
        self.slot_revisions: dict[str, int] = {}
        # By participant: the present tracks that were reported to it as undecodable.
        self.reported_undecodable: dict[str, set[str]] = {}
        # Whether the room is recorded and transcribed, by the last event.
        self.reported_room = (False, False)

    def do(self, command: cmd.Command) -> str:
        try:
            outcome = self.room.handle(command, Now(0, 0))
        except RpcError:
            return ""
        self.media.carry_out(outcome.effects)
        for effect in outcome.effects:
            if isinstance(effect, fx.Emit) and effect.event.revision:
                self.revision += 1
                assert effect.event.revision == self.revision
                self.note_pauses(effect.event)
                self.note_room(effect.event)
        return outcome.participant_id

    def note_pauses(self, event: room_pb2.RoomEvent) -> None:
        reported = self.reported_undecodable.setdefault(event.target_participant_id, set())
        if event.track_paused.reason == room_pb2.PAUSE_REASON_UNSUPPORTED_CODEC:
            assert event.track_paused.track_id not in reported
            reported.add(event.track_paused.track_id)
        elif event.HasField("track_resumed"):
            reported.remove(event.track_resumed.track_id)

    def note_room(self, event: room_pb2.RoomEvent) -> None:
        if event.HasField("room_updated"):
            updated = event.room_updated.room
            assert self.reported_room != (updated.recording, updated.transcribing)
            self.reported_room = (updated.recording, updated.transcribing)

    def tracks(self) -> list[str]:
        return list(self.room.tracks)

    @rule(target=participants, name=st.sampled_from("abcdefg"), media=media_offers(), bind=st.booleans())
    def join(self, name: str, media: MediaOffer, bind: bool) -> object:
        joined = self.do(cmd.Join(name, Grants(publish=True, subscribe=True), media, bind_existing=bind))
        return joined or multiple()

    @rule(participant_id=participants, media=media_offers())
    def offer(self, participant_id: str, media: MediaOffer) -> None:
        self.do(cmd.Offer(participant_id, media))

    @rule(participant_id=consumes(participants))
    def leave(self, participant_id: str) -> None:
        self.do(cmd.Leave(participant_id))

    @rule(participant_id=participants, data=st.data())
    def slots(self, participant_id: str, data: st.DataObject) -> None:
        some = st.lists(st.sampled_from([*self.tracks(), "TR_unknown"]), max_size=5)
        self.do(cmd.UpdateSlots(participant_id, tuple(data.draw(some)), tuple(data.draw(some))))

    @rule(participant_id=participants, data=st.data(), subscribed=st.booleans())
    def subscribe(self, participant_id: str, data: st.DataObject, subscribed: bool) -> None:
        some = st.lists(st.sampled_from([*self.tracks(), "TR_unknown"]), max_size=3)
        self.do(cmd.UpdateSubscriptions(participant_id, tuple(data.draw(some)), subscribed))

    @rule(participant_id=participants, data=st.data())
    def unpublish(self, participant_id: str, data: st.DataObject) -> None:
        some = st.lists(st.sampled_from([*self.tracks(), "TR_unknown"]), max_size=2)
        self.do(cmd.Unpublish(participant_id, tuple(data.draw(some))))

    @rule(levels=st.booleans())
    def speak(self, levels: bool) -> None:
        self.do(cmd.Speakers(tuple((track, -30.0) for track in self.tracks() if levels)))

    @rule(recording=st.none() | st.booleans(), transcribing=st.none() | st.booleans())
    def update_room(self, recording: bool | None, transcribing: bool | None) -> None:
        self.do(cmd.UpdateRoom(recording, transcribing))

    @invariant()
    def the_last_event_has_the_state_of_the_room(self) -> None:
        assert self.reported_room == (self.room.recording, self.room.transcribing)

    @invariant()
    def slots_hold_what_they_may(self) -> None:
        for participant_id in self.room.participants.values():
            shown = [slot.track_id for slot in participant_id.slots.values() if slot.track_id is not None]
            assert len(shown) == len(set(shown))
            for slot in participant_id.slots.values():
                if slot.track_id is not None:
                    track = self.room.tracks[slot.track_id]
                    assert slot.kind is track.kind is Kind.VIDEO
                    assert track.participant_id != participant_id.id
                    assert slot.track_id in participant_id.requested_tracks
                    assert track.format in slot.formats
            free = [s for s in participant_id.slots.values() if s.kind is Kind.VIDEO and s.track_id is None]
            waiting = [self.room.tracks[i].format for i in participant_id.requested_tracks if i not in shown]
            assert not any(wanted in slot.formats for slot in free for wanted in waiting)
            assert participant_id.requested_tracks.keys() <= self.room.tracks.keys()
            assert participant_id.unsubscribed <= self.room.tracks.keys()

    @invariant()
    def undecodable_requests_are_reported(self) -> None:
        for participant_id in self.room.participants.values():
            reported = self.reported_undecodable.get(participant_id.id, set()) & self.room.tracks.keys()
            assert reported == participant_id.undecodable
            video = [slot for slot in participant_id.slots.values() if slot.kind is Kind.VIDEO]
            for track_id in participant_id.requested_tracks if video else ():
                sent = self.room.tracks[track_id].format
                assert (track_id in reported) is all(sent not in slot.formats for slot in video)

    @invariant()
    def a_pair_is_one_audio_and_one_video_slot_at_most(self) -> None:
        for participant_id in self.room.participants.values():
            paired = [(s.pair, s.kind) for s in participant_id.slots.values() if s.pair >= 0]
            assert len(paired) == len(set(paired))

    @invariant()
    def numbers_are_never_given_twice(self) -> None:
        for track in self.room.tracks.values():
            assert self.numbers.setdefault(track.id, track.number) == track.number
        assert len(set(self.numbers.values())) == len(self.numbers)

    @invariant()
    def slot_revisions_only_grow(self) -> None:
        for participant_id in self.room.participants.values():
            assert participant_id.slot_revision >= self.slot_revisions.get(participant_id.id, 0)
            self.slot_revisions[participant_id.id] = participant_id.slot_revision

    @invariant()
    def the_engine_agrees(self) -> None:
        assert len(self.engine.transports) == len(self.room.participants)
        numbers = sorted(track.number for track in self.engine.tracks.values())
        assert numbers == sorted(track.number for track in self.room.tracks.values())
        bound = {
            self.media.slot_of(slot): self.media.track_of(state.track)
            for slot, state in self.engine.slots.items()
        }
        reported = {
            (participant_id.id, slot.mid): slot.track_id
            for participant_id in self.room.participants.values()
            for slot in participant_id.slots.values()
        }
        assert bound == reported

    def teardown(self) -> None:
        self.do(cmd.Close())
        assert not self.engine.transports
        assert not self.engine.tracks
        assert not self.engine.slots
        self.engine.close()


RoomMachine.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestRoom = RoomMachine.TestCase
