"""The service over a real gRPC channel, with the memory engine."""

import re
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from nexus.events.v1 import room_pb2
from nexus.sfu.v1 import sfu_pb2
from nexus.types.v1 import error_pb2, media_pb2
from nexus_sfu.core.model import Kind, Setup
from nexus_sfu.engine_port import CommandRejected, SpeakersChanged, TransportConnected
from nexus_testkit import wait_until

Running = Any
WireError = Callable[[grpc.aio.AioRpcError], error_pb2.Error]
OfferReader = Callable[[str], str]


async def test_join_answers_with_everything(running: Running, read_offer: OfferReader) -> None:
    joined = await running.join("alice", read_offer("chromium_join"), name="Alice")
    assert joined.node_id == "sfu-test"
    assert joined.room.id == "RM_1"
    assert joined.room.name == "lobby"
    assert re.fullmatch(r"PA_[A-Za-z0-9]{14}", joined.participant.id)
    assert joined.participant.name == "Alice"
    microphone, camera = joined.participant.tracks
    assert (microphone.mid, microphone.codec, microphone.number) == ("0", media_pb2.CODEC_OPUS, 1)
    assert (camera.mid, camera.codec, camera.width) == ("1", media_pb2.CODEC_VP8, 1280)
    assert list(joined.participants) == []
    assert [slot.pair for slot in joined.slots.slots] == [0, 0, 1, 1, 2, 2, 3, 3, -1, -1, -1]
    assert len({slot.ssrc for slot in joined.slots.slots}) == 11
    for slot in joined.slots.slots:
        assert f"a=ssrc:{slot.ssrc} cname:" in joined.sdp
    assert joined.revision == 1


async def test_a_second_participant_has_the_first_in_a_slot_at_once(
    running: Running, read_offer: OfferReader
) -> None:
    alice = await running.join("alice", read_offer("chromium_join"))
    bob = await running.join("bob", read_offer("firefox_join"), bind_existing=True)
    assert [p.id for p in bob.participants] == [alice.participant.id]
    assert [t.mid for t in bob.participants[0].tracks] == ["", ""]
    camera = alice.participant.tracks[1]
    assert [slot.track_id for slot in bob.slots.slots if slot.track_id] == [camera.id]
    bound = [slot for slot in running.engine.slots.values() if slot.track is not None]
    assert [running.engine.tracks[slot.track].number for slot in bound] == [camera.number]
    joins = running.of_kind("participant_joined")
    assert [e.participant_joined.participant.identity for e in joins] == ["alice", "bob"]


async def test_reoffers_of_a_browser(running: Running, read_offer: OfferReader) -> None:
    """Recorded offers: more slots, camera off, a stopped and a recycled section, an ICE restart."""
    joined = await running.join("alice", read_offer("chromium_join"))
    publications = [
        media_pb2.Publication(mid="0", source=media_pb2.TRACK_SOURCE_MICROPHONE),
        media_pb2.Publication(mid="1", source=media_pb2.TRACK_SOURCE_CAMERA, width=1280, height=720),
    ]

    async def offer(name: str) -> sfu_pb2.OfferResponse:
        sdp = read_offer(name)
        known = [p for p in publications if f"a=mid:{p.mid}\r" in sdp]
        response: sfu_pb2.OfferResponse = await running.stub.Offer(
            sfu_pb2.OfferRequest(
                room=running.room, participant_id=joined.participant.id, sdp=sdp, publications=known
            )
        )
        return response

    more = await offer("chromium_more_slots")
    assert [slot.mid for slot in more.slots.slots] == [str(mid) for mid in range(2, 17)]
    assert more.slots.slots[-1].pair == more.slots.slots[-2].pair == 5
    before = {slot.mid: slot.ssrc for slot in joined.slots.slots}
    assert before.items() <= {slot.mid: slot.ssrc for slot in more.slots.slots}.items()
    assert [t.id for t in more.tracks] == [t.id for t in joined.participant.tracks]

    assert list(more.unused_sections) == []
    off = await offer("chromium_camera_off")
    assert [section.mid for section in off.unused_sections] == ["1"]
    assert [t.source for t in off.tracks] == [media_pb2.TRACK_SOURCE_MICROPHONE]
    stopped = await offer("chromium_stopped")
    assert list(stopped.tracks) == []
    publications.append(media_pb2.Publication(mid="17", source=media_pb2.TRACK_SOURCE_MICROPHONE))
    recycled = await offer("chromium_recycled")
    assert [(t.mid, t.number) for t in recycled.tracks] == [("17", 3)]

    restarted = await offer("chromium_ice_restart")
    # Recycling the first section of the bundle is an ICE restart in Chromium too: new credentials (RFC 8839).
    answers = (joined, stopped, recycled, restarted)
    ufrags = [set(re.findall("a=ice-ufrag:(.*)\r", answer.sdp)) for answer in answers]
    assert ufrags == [{"ufrag2x0"}, {"ufrag2x0"}, {"ufrag2x1"}, {"ufrag2x2"}]
    versions = [int(re.findall(r"o=- \d+ (\d+)", a.sdp)[0]) for a in (joined, more, off, stopped, recycled)]
    assert versions == [1, 2, 3, 4, 5]
    kinds = [e.WhichOneof("event") for e in running.events]
    assert kinds == ["participant_joined", "track_unpublished", "track_unpublished", "track_published"]
    assert {t.number for t in running.engine.tracks.values()} == {3}


async def test_errors_are_typed(running: Running, read_offer: OfferReader, wire_error: WireError) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as bad_sdp:
        await running.join("alice", read_offer("chromium_join").replace("a=fingerprint:", "a=finger:"))
    assert bad_sdp.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert wire_error(bad_sdp.value).code == error_pb2.INVALID_SDP
    assert "fingerprint" in wire_error(bad_sdp.value).message
    with pytest.raises(grpc.aio.AioRpcError) as no_room:
        await running.stub.GetRoom(sfu_pb2.GetRoomRequest(room=running.room))
    assert no_room.value.code() is grpc.StatusCode.NOT_FOUND
    assert wire_error(no_room.value).code == error_pb2.ROOM_NOT_FOUND
    assert running.service.sfu.node.rooms == {}


async def test_a_refusal_of_the_engine_leaves_nothing_behind(
    running: Running, read_offer: OfferReader, wire_error: WireError
) -> None:
    running.engine.refuse_transport = True
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await running.join("alice", read_offer("chromium_join"))
    assert wire_error(refused.value).code == error_pb2.INVALID_SDP
    assert not running.engine.transports
    assert not running.service.sfu.node.participant_count
    running.engine.refuse_transport = False
    await running.join("alice", read_offer("chromium_join"))
    assert len(running.engine.transports) == 1


async def test_media_events_reach_the_room(running: Running, read_offer: OfferReader) -> None:
    joined = await running.join("alice", read_offer("chromium_join"))
    (transport,) = running.engine.transports
    (room,) = running.engine.rooms
    microphone = next(i for i, t in running.engine.tracks.items() if t.kind is Kind.AUDIO)
    running.engine.emit(
        TransportConnected(transport, "AEAD_AES_128_GCM", "127.0.0.1:5000"),
        SpeakersChanged(room, ((microphone, -30.5),)),
        SpeakersChanged(room, ()),
    )
    await wait_until(lambda: len(running.of_kind("active_speakers")) == 2)
    (connected,) = running.of_kind("media_connected")
    assert connected.media_connected.srtp_profile == "AEAD_AES_128_GCM"
    loud, silent = running.of_kind("active_speakers")
    assert loud.revision == 0
    (speaker,) = loud.active_speakers.speakers
    assert (speaker.participant_id, speaker.track_id, speaker.level_dbov) == (
        joined.participant.id,
        joined.participant.tracks[0].id,
        -30.5,
    )
    assert list(silent.active_speakers.speakers) == []
    running.engine.lose(transport, "consent_lost")
    await wait_until(lambda: running.of_kind("participant_left"))
    (left,) = running.of_kind("participant_left")
    assert left.participant_left.reason == media_pb2.DISCONNECT_REASON_MEDIA_FAILED
    assert left.participant_left.detail.startswith("ICE consent was lost")
    assert not running.engine.transports


async def test_a_join_and_a_snapshot_contain_the_active_speakers(
    running: Running, read_offer: OfferReader
) -> None:
    alice = await running.join("alice", read_offer("chromium_join"))
    assert alice.active_speakers == room_pb2.ActiveSpeakers()
    (room,) = running.engine.rooms
    microphone = next(i for i, t in running.engine.tracks.items() if t.kind is Kind.AUDIO)
    running.engine.emit(SpeakersChanged(room, ((microphone, -30.5),)))
    await wait_until(lambda: running.of_kind("active_speakers"))
    (reported,) = running.of_kind("active_speakers")
    assert [speaker.participant_id for speaker in reported.active_speakers.speakers] == [alice.participant.id]
    bob = await running.join("bob", read_offer("firefox_join"))
    assert bob.active_speakers == reported.active_speakers
    request = sfu_pb2.GetRoomRequest(room=running.room, participant_id=bob.participant.id)
    assert (await running.stub.GetRoom(request)).active_speakers == reported.active_speakers
    running.engine.emit(SpeakersChanged(room, ()))
    await wait_until(lambda: len(running.of_kind("active_speakers")) == 2)
    assert (await running.stub.GetRoom(request)).active_speakers == room_pb2.ActiveSpeakers(revision=2)


async def test_a_track_that_the_engine_rejects_is_unpublished(
    running: Running, read_offer: OfferReader
) -> None:
    joined = await running.join("alice", read_offer("chromium_join"))
    camera = next(i for i, t in running.engine.tracks.items() if t.kind is Kind.VIDEO)
    running.engine.emit(CommandRejected("add_track", camera, "ssrc_in_use"))
    await wait_until(lambda: running.of_kind("track_unpublished"))
    (ended,) = running.of_kind("track_unpublished")
    assert ended.track_unpublished.track_id == joined.participant.tracks[1].id
    assert [t.kind for t in running.engine.tracks.values()] == [Kind.AUDIO]


async def test_unused_sections_are_reported(running: Running, read_offer: OfferReader) -> None:
    """A microphone and a camera without a publication, and slots without the grant to subscribe."""
    listener = media_pb2.Grants(create=True, publish=True)
    joined = await running.join("alice", read_offer("chromium_join"), publish=False, grants=listener)
    reasons = {section.mid: section.reason for section in joined.unused_sections}
    assert {mid for mid, reason in reasons.items() if "no publication names" in reason} == {"0", "1"}
    assert {mid for mid, reason in reasons.items() if "subscribing" in reason} == set(map(str, range(2, 13)))
    everything = await running.join("bob", read_offer("chromium_join"))
    assert list(everything.unused_sections) == []


async def test_a_join_with_a_silent_publication_is_refused(
    running: Running, read_offer: OfferReader, wire_error: WireError
) -> None:
    parts = read_offer("chromium_join").split("m=")
    parts[2] = parts[2].replace("a=sendonly", "a=inactive")
    with pytest.raises(grpc.aio.AioRpcError) as silent:
        await running.join("alice", "m=".join(parts))
    assert wire_error(silent.value).code == error_pb2.INVALID_SDP
    assert "sends nothing" in wire_error(silent.value).message


async def test_the_dtls_roles_do_not_change(
    running: Running, read_offer: OfferReader, wire_error: WireError
) -> None:
    sdp = read_offer("chromium_join")
    passive = sdp.replace("a=setup:actpass", "a=setup:passive")
    joined = await running.join("alice", passive, publish=False)
    assert set(re.findall("a=setup:(.*)\r", joined.sdp)) == {"active"}
    (transport,) = running.engine.transports.values()
    assert transport.offer.setup is Setup.PASSIVE

    async def offer(text: str) -> sfu_pb2.OfferResponse:
        request = sfu_pb2.OfferRequest(room=running.room, participant_id=joined.participant.id, sdp=text)
        response: sfu_pb2.OfferResponse = await running.stub.Offer(request)
        return response

    # RFC 8842 section 5.2: later offers may contain actpass; the answer keeps the roles.
    for again in (sdp, passive):
        assert set(re.findall("a=setup:(.*)\r", (await offer(again)).sdp)) == {"active"}
    with pytest.raises(grpc.aio.AioRpcError) as changed:
        await offer(sdp.replace("a=setup:actpass", "a=setup:active"))
    assert wire_error(changed.value).code == error_pb2.INVALID_SDP
    assert "DTLS roles" in wire_error(changed.value).message


async def test_empty_rooms_are_closed(running: Running, read_offer: OfferReader) -> None:
    joined = await running.join("alice", read_offer("chromium_join"))
    leave = sfu_pb2.LeaveRequest(room=running.room, participant_id=joined.participant.id)
    await running.stub.Leave(leave)
    running.service.sfu.close_expired()
    assert [e.WhichOneof("event") for e in running.events] == [
        "participant_joined",
        "participant_left",
        "room_closed",
    ]
    assert [e.revision for e in running.events] == [1, 2, 3]
    assert not running.engine.rooms
    await running.stub.Leave(leave)  # idempotent: the room is already closed


async def test_slots_mute_profile_and_snapshot(running: Running, read_offer: OfferReader) -> None:
    alice = await running.join("alice", read_offer("chromium_join"))
    bob = await running.join("bob", read_offer("chromium_join"), publish=False)
    microphone, camera = (track.id for track in alice.participant.tracks)
    me = {"room": running.room, "participant_id": bob.participant.id}
    bound = await running.stub.UpdateSlots(sfu_pb2.UpdateSlotsRequest(**me, bind_track_ids=[camera]))
    assert [s.track_id for s in bound.slots.slots if s.track_id] == [camera]
    assert bound.slots.revision == bob.slots.revision + 1
    subscription = sfu_pb2.UpdateSubscriptionsRequest(**me, track_ids=[microphone, camera])
    unsubscribed = await running.stub.UpdateSubscriptions(subscription)
    assert not any(s.track_id for s in unsubscribed.slots.slots)
    assert [len(t.unsubscribed) for t in running.engine.transports.values()] == [0, 1]
    await running.stub.SetMuted(sfu_pb2.SetMutedRequest(room=running.room, track_id=camera, muted=True))
    await running.stub.UpdateParticipant(
        sfu_pb2.UpdateParticipantRequest(**me, name="Bob", attributes={"hand": "up"})
    )
    snapshot = await running.stub.GetRoom(sfu_pb2.GetRoomRequest(**me))
    assert [p.name for p in snapshot.participants] == ["", "Bob"]
    assert [t.muted for t in snapshot.participants[0].tracks] == [False, True]
    assert snapshot.slots == unsubscribed.slots
    assert snapshot.revision == running.events[-1].revision == 4
    await running.stub.Unpublish(
        sfu_pb2.UnpublishRequest(
            room=running.room, participant_id=alice.participant.id, track_ids=[camera, "TR_unknown"]
        )
    )
    assert len(running.engine.tracks) == 1
    await running.stub.CloseRoom(sfu_pb2.CloseRoomRequest(room=running.room))
    assert not running.engine.rooms
    assert not running.engine.transports
    assert len(running.of_kind("participant_left")) == 2


async def test_the_state_of_the_room_is_in_its_snapshot_and_in_later_joins(
    running: Running, read_offer: OfferReader, wire_error: WireError
) -> None:
    nowhere = sfu_pb2.RoomKey(app="devkey", room="nowhere")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await running.stub.UpdateRoom(sfu_pb2.UpdateRoomRequest(room=nowhere, recording=True))
    assert wire_error(refused.value).code == error_pb2.ROOM_NOT_FOUND
    first = await running.join("alice", read_offer("chromium_join"))
    assert not first.room.recording
    updated = await running.stub.UpdateRoom(sfu_pb2.UpdateRoomRequest(room=running.room, recording=True))
    (event,) = running.of_kind("room_updated")
    assert event.room_updated.room == updated.room
    assert (updated.room.recording, updated.room.transcribing) == (True, False)
    await running.stub.UpdateRoom(sfu_pb2.UpdateRoomRequest(room=running.room, recording=True))
    assert len(running.of_kind("room_updated")) == 1
    snapshot = await running.stub.GetRoom(sfu_pb2.GetRoomRequest(room=running.room))
    assert snapshot.room == updated.room
    assert (await running.join("bob", read_offer("chromium_join"))).room == updated.room


async def test_draining(running: Running, read_offer: OfferReader, wire_error: WireError) -> None:
    await running.join("alice", read_offer("chromium_join"))
    await running.stub.SetDraining(sfu_pb2.SetDrainingRequest(draining=True))
    await running.join("bob", read_offer("chromium_join"))
    elsewhere = sfu_pb2.RoomKey(app="devkey", room="new")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await running.join("carol", read_offer("chromium_join"), room=elsewhere)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert wire_error(refused.value).code == error_pb2.NODE_DRAINING
    await running.stub.SetDraining(sfu_pb2.SetDrainingRequest(draining=True, refuse_joins=True))
    with pytest.raises(grpc.aio.AioRpcError):
        await running.join("carol", read_offer("chromium_join"))
    await running.stub.SetDraining(sfu_pb2.SetDrainingRequest())
    await running.join("carol", read_offer("chromium_join"), room=elsewhere)


async def test_stats_have_the_services_ids(running: Running, read_offer: OfferReader) -> None:
    joined = await running.join("alice", read_offer("chromium_join"))
    watch = running.stub.WatchStats(sfu_pb2.WatchStatsRequest(room=running.room, interval_ms=200))
    first = await watch.read()
    second = await watch.read()
    watch.cancel()
    assert second.at_ms >= first.at_ms
    assert [t.participant_id for t in first.transports] == [joined.participant.id]
    assert {t.track_id for t in first.tracks} == {t.id for t in joined.participant.tracks}
    assert [s.mid for s in first.slots] == [s.mid for s in joined.slots.slots]
    assert first.engine.transports == 1
    elsewhere = sfu_pb2.RoomKey(app="devkey", room="nowhere")
    with pytest.raises(grpc.aio.AioRpcError) as nowhere:
        await running.stub.WatchStats(sfu_pb2.WatchStatsRequest(room=elsewhere)).read()
    assert nowhere.value.code() is grpc.StatusCode.NOT_FOUND


async def test_the_standard_health_service_answers(running: Running) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.service.grpc.port}") as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        answer = await check(health_pb2.HealthCheckRequest(service="nexus.sfu.v1.SfuService"))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
