"""Checks that the transcripts in proto/vectors/session are the messages that the services send and accept.

Each test performs one session with signaling and the SFU and compares every message with the transcript.
After a deliberate change of the protocol, `NEXUS_WRITE_VECTORS=1` writes the transcripts; see their README.
"""

from collections.abc import AsyncIterator
from functools import partial

import pytest
from nexus_sfu.core import commands as cmd
from nexus_sfu.core.model import LayerLimit, Quality, Reason
from nexus_sfu.engine_port import LayerDemandChanged, SlotPaused, SpeakersChanged
from session_vectors import (
    ROOM,
    VECTORS,
    Client,
    Deployment,
    Json,
    Transcript,
    join_request,
    offer,
    publications,
)


@pytest.fixture
async def deployment() -> AsyncIterator[Deployment]:
    async with Deployment() as running:
        yield running


class Scene:
    def __init__(self, deployment: Deployment, client: Client, transcript: Transcript) -> None:
        self.deployment = deployment
        self.client = client
        self.transcript = transcript

    async def join(self, *sources: str, identity: str = "ada", **grants: bool) -> None:
        request = join_request(identity, *sources, **grants)
        action = {"join": {"room": ROOM, "bindExisting": True}}
        await self.transcript.app(action, "join", request)

    @property
    def own_id(self) -> str:
        return str(self.client.joined["participant"]["id"])

    async def publish(self, *wanted: Json) -> Json:
        request = {"sdp": offer("chromium_join"), "publications": list(wanted)}
        return await self.transcript.app({"publish": list(wanted)}, "offer", request)


async def scene(deployment: Deployment, name: str, description: str) -> Scene:
    client = await deployment.connect()
    return Scene(deployment, client, Transcript(name, description, client))


async def test_join_alone(deployment: Deployment) -> None:
    one = await scene(deployment, "join_alone", "The first participant joins, and pings.")
    await one.join()
    await one.transcript.app({"elapseMs": 10_000}, "ping", {"sentAtMs": "1"})
    one.transcript.finish()


async def test_join_into_a_call(deployment: Deployment) -> None:
    bob = await deployment.join("bob", "microphone", "camera")
    number = bob.own_track("microphone")["number"]
    track = deployment.engine_track(number)
    await deployment.settle(SpeakersChanged(deployment.engine_room, ((track, -30.0),)))
    one = await scene(
        deployment,
        "join_into_a_call",
        "A participant joins with a microphone and a camera. Another one is there and speaks; its camera is"
        " bound at once.",
    )
    await one.join("microphone", "camera")
    one.transcript.finish()


async def test_others_come_and_go(deployment: Deployment) -> None:
    one = await scene(
        deployment, "others_come_and_go", "Others join, are updated, publish, mute, unpublish and leave."
    )
    await one.join()
    bob = await deployment.join("bob", "microphone")
    await one.transcript.room("bob joins with a microphone")
    await bob.request("updateParticipant", {"name": "Bob", "attributes": {"hand": "up"}})
    await one.transcript.room("bob changes its name and an attribute")
    await bob.request(
        "offer", {"sdp": offer("chromium_join"), "publications": publications("microphone", "camera")}
    )
    await one.transcript.room("bob publishes a camera")
    microphone = bob.own_track("microphone")["id"]
    await bob.request("setMuted", {"trackId": microphone, "muted": True})
    await one.transcript.room("bob mutes its microphone")
    await bob.request("unpublish", {"trackIds": [microphone]})
    await one.transcript.room("bob unpublishes its microphone")
    await bob.request("leave", {})
    await one.transcript.room("bob leaves")
    one.transcript.finish()


async def test_speakers_and_quality(deployment: Deployment) -> None:
    one = await scene(
        deployment, "speakers_and_quality", "Active speakers and the connection quality of others change."
    )
    await one.join()
    bob = await deployment.join("bob", "microphone")
    await one.transcript.room("bob joins with a microphone")
    track = deployment.engine_track(bob.own_track("microphone")["number"])
    room = deployment.engine_room
    await one.transcript.room(
        "bob speaks", lambda: deployment.engine.emit(SpeakersChanged(room, ((track, -30.0),)))
    )
    await one.transcript.room("bob is silent", lambda: deployment.engine.emit(SpeakersChanged(room, ())))
    bob_id = bob.joined["participant"]["id"]
    await one.transcript.room(
        "bob's connection becomes poor",
        lambda: deployment.handle(cmd.QualityChanged(bob_id, Quality.POOR, 42.0)),
    )
    one.transcript.finish()


async def test_publish_mute_unpublish(deployment: Deployment) -> None:
    one = await scene(
        deployment,
        "publish_mute_unpublish",
        "The client publishes by a re-offer, mutes one track, and unpublishes the other by a re-offer.",
    )
    await one.join()
    both = publications("microphone", "camera")
    answer = await one.publish(*both)
    muted = {"trackId": answer["tracks"][0]["id"], "muted": True}
    await one.transcript.app({"mute": muted}, "setMuted", muted)
    await one.publish({**both[0], "muted": True})
    one.transcript.finish()


async def test_attach_and_detach(deployment: Deployment) -> None:
    one = await scene(
        deployment,
        "attach_and_detach",
        "The application attaches and detaches a video track. Attaching more tracks than there are slots"
        " leads to a re-offer with more slots.",
    )
    await one.join()
    others = [await deployment.join(f"participant-{number}", "camera") for number in range(5)]
    await one.transcript.room("five participants join with a camera")
    tracks = [other.own_track("camera")["id"] for other in others]
    await one.transcript.app({"attach": tracks[:1]}, "updateSlots", {"bindTrackIds": tracks[:1]})
    await one.transcript.app({"detach": tracks[:1]}, "updateSlots", {"unbindTrackIds": tracks[:1]})
    await one.transcript.app({"attach": tracks}, "updateSlots", {"bindTrackIds": tracks})
    await one.transcript.app({}, "offer", {"sdp": offer("chromium_more_slots")})
    one.transcript.finish()


async def test_views_and_subscriptions(deployment: Deployment) -> None:
    bob = await deployment.join("bob", "microphone", "camera")
    one = await scene(
        deployment,
        "views_and_subscriptions",
        "The application reports how it shows a video track, hides it, and unsubscribes from an audio track.",
    )
    await one.join()
    camera, microphone = bob.own_track("camera")["id"], bob.own_track("microphone")["id"]
    view = {"trackId": camera, "width": 640, "height": 368, "priority": 7, "maxSpatial": 1}
    await one.transcript.app({"view": view}, "updateView", {"views": [view]})
    hidden = {"trackId": camera, "hidden": True}
    await one.transcript.app({"view": hidden}, "updateView", {"views": [hidden]})
    subscription = {"trackIds": [microphone], "subscribed": False}
    await one.transcript.app({"subscribe": subscription}, "updateSubscriptions", subscription)
    one.transcript.finish()


async def test_pauses_and_layer_demand(deployment: Deployment) -> None:
    bob = await deployment.join("bob", "camera")
    one = await scene(
        deployment,
        "pauses_and_layer_demand",
        "The server pauses and resumes a track for want of bandwidth, and reports the layer demand of the"
        " own track of the client.",
    )
    await one.join("camera")
    engine = deployment.engine
    slot = deployment.engine_slot(bob.own_track("camera")["number"])
    own = deployment.engine_track(one.client.own_track("camera")["number"])
    await one.transcript.room(
        "the bandwidth is too low for bob's camera", lambda: engine.emit(SlotPaused(slot, True))
    )
    await one.transcript.room("the bandwidth suffices again", lambda: engine.emit(SlotPaused(slot, False)))
    await one.transcript.room(
        "subscribers can use the lowest layer of the client's camera",
        lambda: engine.emit(LayerDemandChanged(own, LayerLimit(0, 2))),
    )
    await one.transcript.room(
        "no subscriber watches the client's camera", lambda: engine.emit(LayerDemandChanged(own, None))
    )
    one.transcript.finish()


async def test_snapshot_after_loss(deployment: Deployment) -> None:
    bob = await deployment.join("bob", "microphone", "camera")
    await deployment.join("carol", "microphone")
    one = await scene(
        deployment,
        "snapshot_after_loss",
        "Signaling loses its broker and with it some events. A snapshot with the whole state follows: one"
        " participant has left, another one was renamed and has muted a track, a video is paused, and the"
        " room is being recorded.",
    )
    await one.join()
    carol = next(p for p in one.client.joined["participants"] if p["identity"] == "carol")
    bob_id, microphone = bob.joined["participant"]["id"], bob.own_track("microphone")["id"]
    slot = deployment.engine_slot(bob.own_track("camera")["number"])
    deployment.signaling_bus.set_connected(False)
    deployment.handle(cmd.Leave(carol["id"]))
    deployment.handle(cmd.UpdateParticipant(bob_id, name="Bob"))
    deployment.handle(cmd.SetMuted(bob_id, microphone, True))
    deployment.handle(cmd.UpdateRoom(recording=True))
    await deployment.settle(SlotPaused(slot, True))
    await one.transcript.room(
        "signaling reaches its broker again", lambda: deployment.signaling_bus.set_connected(True)
    )
    one.transcript.finish()


async def test_recording_and_transcribing(deployment: Deployment) -> None:
    await deployment.join("bob")
    deployment.handle(cmd.UpdateRoom(recording=True))
    one = await scene(
        deployment,
        "recording_and_transcribing",
        "The client joins a room that is being recorded. The recording is paused, the transcription starts,"
        " the recording is resumed, and both stop.",
    )
    await one.join()
    for happens, change in (
        ("the recording is paused", cmd.UpdateRoom(recording=False)),
        ("the transcription starts", cmd.UpdateRoom(transcribing=True)),
        ("the recording is resumed", cmd.UpdateRoom(recording=True)),
        ("recording and transcription stop", cmd.UpdateRoom(recording=False, transcribing=False)),
    ):
        await one.transcript.room(happens, partial(deployment.handle, change))
    one.transcript.finish()


async def test_refused_requests(deployment: Deployment) -> None:
    await deployment.join("bob", "camera")
    one = await scene(
        deployment,
        "refused_requests",
        "Requests that the server refuses: a track that does not exist, a missing grant, the removal of"
        " another participant without the admin grant. The session goes on.",
    )
    await one.join(subscribe=False)
    muted = {"trackId": "TR_unknown", "muted": True}
    await one.transcript.app({"mute": muted}, "setMuted", muted)
    camera = {"trackIds": [one.client.joined["participants"][0]["tracks"][0]["id"]], "subscribed": True}
    await one.transcript.app({"subscribe": camera}, "updateSubscriptions", camera)
    other = {"participantId": one.client.joined["participants"][0]["id"]}
    await one.transcript.app({"remove": other}, "removeParticipant", other)
    update = {"name": "Ada", "attributes": {"hand": "up"}}
    await one.transcript.app({"update": update}, "updateParticipant", update)
    one.transcript.finish()


async def test_refused_join(deployment: Deployment) -> None:
    one = await scene(
        deployment, "refused_join", "The token is for another room: a fatal error ends the session."
    )
    request = {**join_request("ada"), "room": "another"}
    await one.transcript.app({"join": {"room": "another", "bindExisting": True}}, "join", request)
    one.transcript.finish()


async def test_removed(deployment: Deployment) -> None:
    admin = await deployment.join("root", admin=True)
    one = await scene(deployment, "removed", "An admin removes the client.")
    await one.join()
    await admin.request("removeParticipant", {"participantId": one.own_id})
    await one.transcript.room("an admin removes the client")
    one.transcript.finish()


async def test_replaced(deployment: Deployment) -> None:
    one = await scene(deployment, "replaced", "The same identity joins again, which ends the older session.")
    await one.join()
    await deployment.join("ada")
    await one.transcript.room("the same identity joins again")
    one.transcript.finish()


async def test_room_closed(deployment: Deployment) -> None:
    one = await scene(deployment, "room_closed", "The room is closed for all participants.")
    await one.join()
    await one.transcript.room("the room is closed", lambda: deployment.close_room(Reason.ROOM_CLOSED))
    one.transcript.finish()


async def test_leave(deployment: Deployment) -> None:
    one = await scene(deployment, "leave", "The client leaves.")
    await one.join()
    await one.transcript.app({"leave": {}}, "leave", {})
    one.transcript.finish()


def test_every_transcript_has_a_test() -> None:
    names = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in VECTORS.glob("*.json")} == names - {"every_transcript_has_a_test"}
