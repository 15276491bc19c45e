"""The session core: requests and answers, events and revisions, pings and the end. No I/O, a manual
clock."""

import pytest
from nexus.events.v1 import room_pb2 as room
from nexus.signaling.v1 import session_pb2 as wire
from nexus.types.v1 import media_pb2 as media
from nexus.types.v1.error_pb2 import Error, ErrorCode
from nexus_rtc import events
from nexus_rtc.errors import NexusError, PermissionDenied, TokenRejected
from nexus_rtc.session import Output, Reply, Send, Session

ME = media.Participant(id="PA_me", identity="me")


def ada(*tracks: media.Track, name: str = "") -> media.Participant:
    return media.Participant(id="PA_ada", identity="ada", name=name, tracks=tracks)


def camera(number: int = 5, muted: bool = False) -> media.Track:
    return media.Track(
        id=f"TR_{number}",
        number=number,
        participant_id="PA_ada",
        kind=media.TRACK_KIND_VIDEO,
        source=media.TRACK_SOURCE_CAMERA,
        muted=muted,
    )


def slots(revision: int, track_id: str = "") -> media.SlotTable:
    slot = media.Slot(mid="1", kind=media.TRACK_KIND_VIDEO, track_id=track_id)
    return media.SlotTable(revision=revision, slots=[slot])


def joined_session(*others: media.Participant, ping_ms: int = 0) -> Session:
    session = Session()
    session.request(wire.ClientMessage(join=wire.JoinRequest()))
    answer = wire.JoinResponse(
        participant=ME, participants=others, revision=10, slots=slots(1), ping_interval_ms=ping_ms
    )
    session.receive(wire.ServerMessage(request_id=1, join=answer), 100.0)
    return session


def event(revision: int, **kind: object) -> wire.ServerMessage:
    return wire.ServerMessage(event=room.RoomEvent(revision=revision, **kind))  # type: ignore[arg-type]


def names(outputs: list[Output]) -> list[str]:
    return [type(output).__name__ for output in outputs]


def test_requests_are_numbered_from_one() -> None:
    session = Session()
    numbers = [session.request(wire.ClientMessage()).message.request_id for _ in range(3)]
    assert numbers == [1, 2, 3]


def test_a_join_lists_the_participants() -> None:
    session = Session()
    session.request(wire.ClientMessage(join=wire.JoinRequest()))
    answer = wire.JoinResponse(
        room=media.Room(name="lobby"), participant=ME, participants=[ada(camera())], slots=slots(1)
    )
    outputs = session.receive(wire.ServerMessage(request_id=1, join=answer), 0.0)
    assert names(outputs) == ["Reply", "SlotsChanged", "ParticipantJoined", "TrackPublished"]
    assert session.joined
    assert session.room_name == "lobby"
    assert session.local_participant is not None
    assert session.local_participant.identity == "me"
    track = session.roster.track_by_number(5)
    assert track is not None
    assert (track.source, track.kind) == ("camera", "video")


def test_an_error_is_the_answer_to_its_request_and_typed_by_cause() -> None:
    session = joined_session()
    sent = session.request(wire.ClientMessage(set_muted=wire.SetMutedRequest()))
    error = Error(code=ErrorCode.PERMISSION_DENIED, message="no", details={"grant": "publish"})
    outputs = session.receive(wire.ServerMessage(request_id=sent.message.request_id, error=error), 0.0)
    assert isinstance(outputs[0], Reply)
    assert isinstance(outputs[0].error, PermissionDenied)
    assert outputs[0].error.details == {"grant": "publish"}
    assert session.ended is None


def test_a_fatal_error_ends_the_session_and_every_waiting_request() -> None:
    session = Session()
    session.request(wire.ClientMessage(join=wire.JoinRequest()))
    other = session.request(wire.ClientMessage(ping=wire.PingRequest()))
    error = Error(code=ErrorCode.TOKEN_EXPIRED, message="it expired", fatal=True)
    outputs = session.receive(wire.ServerMessage(request_id=1, error=error), 0.0)
    replies = [output for output in outputs if isinstance(output, Reply)]
    assert [reply.request_id for reply in replies] == [1, other.message.request_id]
    assert all(isinstance(reply.error, TokenRejected) for reply in replies)
    assert outputs[-1] == events.SessionEnded("TOKEN_EXPIRED", "it expired", False)


def test_a_code_of_a_newer_server_is_kept_by_its_number() -> None:
    session = joined_session()
    sent = session.request(wire.ClientMessage(set_muted=wire.SetMutedRequest()))
    message = wire.ServerMessage(request_id=sent.message.request_id)
    message.error.ParseFromString(b"\x08\xe7\x07")  # code 999
    reply = session.receive(message, 0.0)[0]
    assert isinstance(reply, Reply)
    assert isinstance(reply.error, NexusError)
    assert reply.error.code == "ERROR_999"


def test_participants_and_tracks_come_and_go() -> None:
    session = joined_session()
    steps = [
        event(11, participant_joined=room.ParticipantJoined(participant=ada())),
        event(12, track_published=room.TrackPublished(track=camera())),
        event(13, track_muted=room.TrackMuted(track_id="TR_5", participant_id="PA_ada", muted=True)),
        event(
            14, participant_updated=room.ParticipantUpdated(participant=ada(camera(muted=True), name="Ada"))
        ),
        event(15, track_unpublished=room.TrackUnpublished(track_id="TR_5", participant_id="PA_ada")),
        event(16, participant_left=room.ParticipantLeft(participant_id="PA_ada")),
    ]
    said = [name for step in steps for name in names(session.receive(step, 0.0))]
    assert said == [
        "ParticipantJoined",
        "TrackPublished",
        "TrackMuted",
        "ParticipantUpdated",
        "TrackUnpublished",
        "ParticipantLeft",
    ]
    assert session.roster.participants == {}


def test_an_update_replaces_the_description_of_a_track() -> None:
    session = joined_session(ada(camera()))
    small = camera()
    small.width, small.height = 640, 480
    for rid, width, height in (("q", 320, 240), ("h", 640, 480)):
        small.layers.add(rid=rid, width=width, height=height)
    small.layers.add(rid="f", inactive=True)
    updated = event(11, track_updated=room.TrackUpdated(track=small))
    assert names(session.receive(updated, 0.0)) == ["TrackUpdated"]
    (participant,) = session.roster.participants.values()
    track = participant.tracks["TR_5"]
    assert (track.width, track.height, [layer.rid for layer in track.layers]) == (640, 480, ["q", "h"])
    unknown = camera(6)
    assert names(session.receive(event(12, track_updated=room.TrackUpdated(track=unknown)), 0.0)) == []


def test_leaving_ends_the_tracks_of_the_participant() -> None:
    session = joined_session(ada(camera(5), camera(6)))
    left = event(11, participant_left=room.ParticipantLeft(participant_id="PA_ada"))
    assert names(session.receive(left, 0.0)) == ["TrackUnpublished", "TrackUnpublished", "ParticipantLeft"]


@pytest.mark.parametrize("revision", [1, 9, 10])
def test_an_event_that_the_state_already_shows_changes_nothing(revision: int) -> None:
    session = joined_session()
    old = event(revision, participant_joined=room.ParticipantJoined(participant=ada()))
    assert session.receive(old, 0.0) == []
    assert session.roster.participants == {}


def test_events_about_the_local_participant_only_move_the_revision() -> None:
    session = joined_session()
    own = event(11, participant_joined=room.ParticipantJoined(participant=ME))
    assert session.receive(own, 0.0) == []
    assert session.roster.participants == {}
    assert session.roster.revision == 11


def test_a_snapshot_is_reported_as_its_differences() -> None:
    session = joined_session(ada(camera(5)))
    bob = media.Participant(id="PA_bob", identity="bob")
    snapshot = wire.RoomSnapshot(participants=[ME, ada(camera(6)), bob], revision=40, slots=slots(3, "TR_6"))
    said = names(session.receive(wire.ServerMessage(snapshot=snapshot), 0.0))
    assert said == ["TrackUnpublished", "TrackPublished", "ParticipantJoined", "SlotsChanged"]
    assert session.roster.revision == 40
    assert session.slots[0].track_id == "TR_6"


def test_an_older_slot_table_is_ignored() -> None:
    session = joined_session()
    session.receive(event(0, slots_changed=room.SlotsChanged(slots=slots(5, "TR_new"))), 0.0)
    assert session.receive(event(0, slots_changed=room.SlotsChanged(slots=slots(4, "TR_old"))), 0.0) == []
    assert session.slots[0].track_id == "TR_new"


def speaking(revision: int, *participant_ids: str) -> room.ActiveSpeakers:
    heard = [room.Speaker(participant_id=one, track_id="TR_1", level_dbov=-20) for one in participant_ids]
    return room.ActiveSpeakers(speakers=heard, revision=revision)


def test_active_speakers_are_known_from_the_join_on_and_corrected_by_a_snapshot() -> None:
    session = Session()
    session.request(wire.ClientMessage(join=wire.JoinRequest()))
    answer = wire.JoinResponse(
        participant=ME, participants=[ada()], revision=10, active_speakers=speaking(7, "PA_ada", "PA_me")
    )
    outputs = session.receive(wire.ServerMessage(request_id=1, join=answer), 0.0)
    assert names(outputs) == ["Reply", "ParticipantJoined", "ActiveSpeakers"]
    assert [one.participant_id for one in session.speakers] == ["PA_ada", "PA_me"]
    # Older than the answer, though it came later.
    assert session.receive(event(0, active_speakers=speaking(6, "PA_me")), 0.0) == []
    assert session.receive(event(0, active_speakers=speaking(7)), 0.0) == []
    assert [one.participant_id for one in session.speakers] == ["PA_ada", "PA_me"]
    assert names(session.receive(event(0, active_speakers=speaking(8, "PA_me")), 0.0)) == ["ActiveSpeakers"]
    snapshot = wire.RoomSnapshot(
        participants=[ME, ada()], revision=12, active_speakers=speaking(11, "PA_ada")
    )
    assert names(session.receive(wire.ServerMessage(snapshot=snapshot), 0.0)) == ["ActiveSpeakers"]
    assert [one.participant_id for one in session.speakers] == ["PA_ada"]
    assert session.receive(event(0, active_speakers=speaking(9, "PA_me")), 0.0) == []
    assert session.receive(event(0, active_speakers=speaking(12)), 0.0) == [events.ActiveSpeakers(())]
    assert list(session.speakers) == []


def test_a_list_of_speakers_without_revision_is_accepted() -> None:
    session = joined_session(ada())
    assert list(session.speakers) == []
    for ids in (("PA_ada",), (), ("PA_me",)):
        session.receive(event(0, active_speakers=speaking(0, *ids)), 0.0)
        assert tuple(one.participant_id for one in session.speakers) == ids
    snapshot = wire.RoomSnapshot(participants=[ME, ada()], revision=12)
    assert session.receive(wire.ServerMessage(snapshot=snapshot), 0.0) == []
    assert [one.participant_id for one in session.speakers] == ["PA_me"]


def test_an_undecodable_track_is_paused_with_its_reason() -> None:
    session = joined_session(ada(camera()))
    told = room.TrackPaused(track_id="TR_5", reason=room.PAUSE_REASON_UNSUPPORTED_CODEC)
    assert session.receive(event(11, track_paused=told), 0.0) == [
        events.TrackPaused("TR_5", "unsupported_codec")
    ]
    assert session.paused == {"TR_5": "unsupported_codec"}
    # It has no slot, and none is lost.
    session.receive(event(0, slots_changed=room.SlotsChanged(slots=slots(9))), 0.0)
    assert session.paused == {"TR_5": "unsupported_codec"}
    session.receive(event(12, track_resumed=room.TrackResumed(track_id="TR_5")), 0.0)
    assert session.paused == {}
    session.receive(event(13, track_paused=told), 0.0)
    gone = room.TrackUnpublished(track_id="TR_5", participant_id="PA_ada")
    session.receive(event(14, track_unpublished=gone), 0.0)
    assert session.paused == {}


def test_a_snapshot_corrects_pauses() -> None:
    session = joined_session(ada(camera(), camera(6)))

    def snapshot(**fields: object) -> list[Output]:
        participants = [ME, ada(camera(), camera(6))]
        told = wire.RoomSnapshot(participants=participants, revision=20, slots=slots(9, "TR_6"), **fields)  # type: ignore[arg-type]
        return [o for o in session.receive(wire.ServerMessage(snapshot=told), 0.0) if "Slots" not in str(o)]

    codec = room.TrackPaused(track_id="TR_5", reason=room.PAUSE_REASON_UNSUPPORTED_CODEC)
    bandwidth = room.TrackPaused(track_id="TR_6", reason=room.PAUSE_REASON_BANDWIDTH)
    assert snapshot(paused_tracks=[codec, bandwidth]) == [
        events.TrackPaused("TR_5", "unsupported_codec"),
        events.TrackPaused("TR_6", "bandwidth"),
    ]
    assert session.paused == {"TR_5": "unsupported_codec", "TR_6": "bandwidth"}
    assert snapshot(paused_tracks=[codec]) == [events.TrackResumed("TR_6")]
    assert snapshot() == [events.TrackResumed("TR_5")]


def test_speakers_reoffer_and_media() -> None:
    session = joined_session()
    speaker = room.Speaker(participant_id="PA_ada", track_id="TR_1", level_dbov=-20)
    heard = session.receive(event(0, active_speakers=room.ActiveSpeakers(speakers=[speaker])), 0.0)
    assert heard == [events.ActiveSpeakers((events.Speaker("PA_ada", "TR_1", -20.0),))]
    wanted = session.receive(event(0, reoffer_needed=room.ReofferNeeded(pairs=8, audio_slots=3)), 0.0)
    assert wanted == [events.ReofferNeeded(8, 3)]
    up = room.MediaConnected(participant_id="PA_me", srtp_profile="AEAD_AES_128_GCM")
    assert session.receive(event(0, media_connected=up), 0.0) == [events.MediaConnected("AEAD_AES_128_GCM")]
    other = room.MediaConnected(participant_id="PA_ada", srtp_profile="x")
    assert session.receive(event(0, media_connected=other), 0.0) == []


def test_pings_go_out_in_time_and_measure() -> None:
    session = joined_session(ping_ms=5000)
    assert session.next_deadline() == 105.0
    assert session.handle_timeout(104.9) == []
    (ping,) = session.handle_timeout(105.0)
    assert isinstance(ping, Send)
    assert ping.message.ping.sent_at_ms == 105_000
    pong = wire.PingResponse(sent_at_ms=105_000)
    session.receive(wire.ServerMessage(request_id=ping.message.request_id, ping=pong), 105.042)
    assert session.round_trip_ms == pytest.approx(42)
    assert session.next_deadline() == 110.0


def test_a_silent_server_is_lost() -> None:
    session = joined_session(ping_ms=1000)
    outputs: list[Output] = []
    while (deadline := session.next_deadline()) is not None:
        outputs += session.handle_timeout(deadline)
    assert isinstance(outputs[-1], events.SessionEnded)
    assert outputs[-1].reason == "SIGNALING_LOST"
    assert 3 <= names(outputs).count("Send") <= 4


def test_a_disconnect_has_a_reason_and_is_the_last_event() -> None:
    session = joined_session()
    bye = wire.Disconnected(reason=media.DISCONNECT_REASON_REPLACED, message="elsewhere", can_rejoin=False)
    assert session.receive(wire.ServerMessage(disconnected=bye), 0.0) == [
        events.SessionEnded("REPLACED", "elsewhere", False)
    ]
    assert session.transport_closed("closed") == []
    assert session.left() == []
    assert session.receive(event(99, participant_joined=room.ParticipantJoined(participant=ada())), 0.0) == []
    assert not session.joined


def test_a_closed_socket_fails_open_requests() -> None:
    session = joined_session()
    session.request(wire.ClientMessage(set_muted=wire.SetMutedRequest()))
    reply, end = session.transport_closed("gone")
    assert isinstance(reply, Reply)
    assert isinstance(reply.error, NexusError)
    assert isinstance(end, events.SessionEnded)


def test_an_unknown_event_of_a_newer_server_is_ignored() -> None:
    assert joined_session().receive(wire.ServerMessage(event=room.RoomEvent(revision=11)), 0.0) == []


def test_pauses_and_quality_are_reported() -> None:
    session = joined_session(ada(camera()))
    paused = room.TrackPaused(track_id="TR_5", reason=room.PAUSE_REASON_BANDWIDTH)
    assert session.receive(event(11, track_paused=paused), 101.0) == [events.TrackPaused("TR_5")]
    resumed = room.TrackResumed(track_id="TR_5")
    assert session.receive(event(12, track_resumed=resumed), 101.0) == [events.TrackResumed("TR_5")]
    for participant_id in ("PA_ada", "PA_me"):
        changed = room.ConnectionQualityChanged(
            participant_id=participant_id, quality=media.CONNECTION_QUALITY_POOR, score=40.0
        )
        told = session.receive(event(0, connection_quality=changed), 101.0)
        assert told == [events.ConnectionQualityChanged(participant_id, "poor", 40.0)]
    assert session.local_participant is not None
    assert session.local_participant.connection_quality == "poor"
    assert session.roster.participants["PA_ada"].connection_quality == "poor"
    # A new name is one event, not one of quality as well.
    updated = room.ParticipantUpdated(participant=ada(camera(), name="Ada"))
    assert names(session.receive(event(13, participant_updated=updated), 102.0)) == ["ParticipantUpdated"]


def test_layers_are_known() -> None:
    track = camera()
    track.layers.add(rid="q", width=320, height=180, max_bitrate_bps=150_000)
    session = joined_session(ada(track))
    (layer,) = session.roster.participants["PA_ada"].tracks["TR_5"].layers
    assert (layer.rid, layer.width, layer.max_bitrate_bps) == ("q", 320, 150_000)
