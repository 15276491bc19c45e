"""Replays the transcripts of proto/vectors/session against this SDK; their README says how.

`NEXUS_WRITE_VECTORS=1` writes the expected events and states, after the services' test has written the
messages.
"""

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.protobuf import json_format
from nexus.signaling.v1 import session_pb2 as wire
from nexus_rtc import Track, events
from nexus_rtc.connection import Connection
from nexus_rtc.edge.peer import Peer
from nexus_rtc.publishing import LocalTrack
from nexus_rtc.recordings import Recordings
from nexus_rtc.room import Room
from nexus_rtc.room_telemetry import Telemetry
from nexus_rtc.session import Output, Reply, Send, Session, TelemetryStored

VECTORS = Path(__file__).parents[3] / "proto" / "vectors" / "session"
WRITE = bool(os.environ.get("NEXUS_WRITE_VECTORS"))
# Members of a request that depend on the client.
CLIENTS_OWN = ("sdp", "token", "client", "sentAtMs")

# Events that this SDK does not report: aiortc sends one encoding, so a layer demand changes nothing.
UNREPORTED = "layer-demand "

Json = Any


def described(event: events.Event) -> tuple[str, str]:
    """An event as a transcript has it, and the participant or track that it is about."""
    match event:
        case events.ParticipantJoined(participant):
            return f"participant-joined {participant.id}", participant.id
        case events.ParticipantLeft(participant):
            return f"participant-left {participant.id}", participant.id
        case events.ParticipantUpdated(participant):
            return f"participant-updated {participant.id}", participant.id
        case events.TrackPublished(_, track):
            return f"track-published {track.id}", track.id
        case events.TrackUnpublished(_, track):
            return f"track-unpublished {track.id}", track.id
        case events.TrackMuted(_, track):
            return f"track-{'muted' if track.muted else 'unmuted'} {track.id}", track.id
        case events.TrackUpdated(_, track):
            return f"track-updated {track.id}", track.id
        case events.TrackPaused(track_id, reason):
            return f"track-paused {track_id} {reason.replace('_', '-')}", track_id
        case events.TrackResumed(track_id):
            return f"track-resumed {track_id}", track_id
        case events.ConnectionQualityChanged(participant_id, quality):
            return f"connection-quality {participant_id} {quality}", participant_id
        case events.ActiveSpeakers(speakers):
            return " ".join(["active-speakers", *(one.participant_id for one in speakers)]), ""
        case events.RecordingChanged(recording):
            return f"recording-changed {str(recording).lower()}", ""
        case events.TranscribingChanged(transcribing):
            return f"transcribing-changed {str(transcribing).lower()}", ""
        case events.SessionEnded(reason):
            return f"ended {reason}", ""
        case _:
            return "", ""


def layer_demands(message: wire.ServerMessage) -> list[str]:
    demands = message.event.layer_demand_changed.demands
    return [f"{UNREPORTED}{one.track_id} {one.max_spatial if one.watched else 'none'}" for one in demands]


def track_state(track: Track) -> Json:
    source = track.source.replace("_", "-")
    return {"kind": track.kind, "source": source, "codec": track.codec, "muted": track.muted}


class _NoTelemetry:
    """Telemetry that measures nothing."""

    def failed(self, error: BaseException) -> None:
        pass

    async def close(self, error: BaseException | None = None) -> None:
        pass

    def published(self, track_id: str, since: float) -> None:
        pass


class Replay:
    """A room with a session, without WebSocket and media."""

    def __init__(self, steps: list[Json]) -> None:
        self.steps = steps
        self.session = Session()
        self.now = 0.0
        peer = SimpleNamespace(data=None, on_data=None, slots=[], set_muted=lambda *_: None)
        recordings = Recordings("http://unused", "")
        self.room = Room(cast(Peer, peer), recordings, cast(Telemetry, _NoTelemetry()), attach_all=False)
        self.room.connect(cast(Connection, self))
        self._sent: list[wire.ClientMessage] = []
        self._answers: dict[int, asyncio.Future[wire.ServerMessage]] = {}
        self._tasks: list[asyncio.Task[Any]] = []
        self._state: Json = {}

    async def request(self, message: wire.ClientMessage) -> wire.ServerMessage:
        """`Connection.request`"""
        sending = self.session.request(message)
        self._sent.append(sending.message)
        answer: asyncio.Future[wire.ServerMessage] = asyncio.get_running_loop().create_future()
        self._answers[sending.message.request_id] = answer
        return await answer

    async def run(self) -> None:
        for step in self.steps:
            if "client" in step:
                await self.client(step)
            elif "server" in step:
                await self.server(step)
        assert self._sent == []
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def client(self, step: Json) -> None:
        """The application acts; the SDK must send this request."""
        action: Json = step.get("app", {})
        if "elapseMs" in action:
            self.now += action["elapseMs"] / 1000
            self._sent += [cast(Send, output).message for output in self.session.handle_timeout(self.now)]
        else:
            self._tasks.append(asyncio.create_task(self._act(action, step["client"])))
            await asyncio.sleep(0)
        (sent,) = self._sent
        self._sent = []
        assert without_own(json_format.MessageToDict(sent)) == without_own(step["client"])

    async def _act(self, action: Json, expected: Json) -> None:
        match action:
            case {"attach": ids}:
                await self.room.attach(*self._tracks(ids))
            case {"detach": ids}:
                await self.room.detach(*self._tracks(ids))
            case {"view": view}:
                (track,) = self._tracks([view["trackId"]])
                await self.room.view(track, **snake({k: v for k, v in view.items() if k != "trackId"}))
            case {"subscribe": {"trackIds": ids, "subscribed": subscribed}}:
                await self.room.set_subscribed(subscribed, *self._tracks(ids))
            case {"mute": {"trackId": track_id, "muted": muted}} if own := self._own_track(track_id):
                local = SimpleNamespace(mid=own.mid, transceiver=object(), muted=False)
                await self.room.set_muted(cast(LocalTrack, local), muted)
            case {"update": update}:
                await self.room.update(**update)
            case _:  # with a description, or without a method in this SDK
                request = {kind: body for kind, body in expected.items() if kind != "requestId"}
                await self.room.request(json_format.ParseDict(request, wire.ClientMessage()))

    async def server(self, step: Json) -> None:
        """The server sends this message; the SDK must report these events and have this state."""
        message = json_format.ParseDict(step["server"], wire.ServerMessage())
        joining = message.WhichOneof("body") == "join"
        lines = self._handle(self.session.receive(message, self.now))
        await asyncio.sleep(0)
        if WRITE:
            # The answer of a join has no events: an SDK may report what is there already or not.
            for key in ("events", "state"):
                step.pop(key, None)
            if (events_of_step := lines + layer_demands(message)) and not joining:
                step["events"] = events_of_step
            if self.state() != self._state:
                step["state"] = self.state()
        self._state = step.get("state", self._state)
        if not joining:
            expected = [line for line in step.get("events", []) if not line.startswith(UNREPORTED)]
            assert sorted(lines) == sorted(expected)
        assert self.state() == self._state

    def _handle(self, outputs: Iterable[Output]) -> list[str]:
        lines: list[str] = []
        for output in outputs:
            match output:
                case Send(message):
                    self._sent.append(message)
                case Reply(request_id, reply, error):
                    answer = self._answers.pop(request_id, None)
                    if error is not None:
                        if self.session.ended is None:
                            lines.append(f"refused {error.code}")
                        if answer is not None:
                            answer.set_exception(error)
                    elif answer is not None and reply is not None:
                        answer.set_result(reply)
                case TelemetryStored():
                    pass
                case event:
                    self.room.on_event(event)
                    line, subject = described(event)
                    # Events about the local participant are left to the SDK.
                    if line and not self._is_own(subject):
                        lines.append(line)
        return lines

    def _is_own(self, subject: str) -> bool:
        own = self.session.local_participant
        return own is not None and (subject == own.id or subject in own.tracks)

    def _own_track(self, track_id: str) -> Track | None:
        own = self.session.local_participant
        return own.tracks.get(track_id) if own else None

    def _tracks(self, ids: Iterable[str]) -> list[Track]:
        found = [self.session.roster.track(track_id) for track_id in ids]
        return [track for track in found if track is not None]

    def state(self) -> Json:
        return {
            "participants": {
                participant.id: {
                    "identity": participant.identity,
                    "name": participant.name,
                    "attributes": dict(participant.attributes),
                    "tracks": {track.id: track_state(track) for track in participant.tracks.values()},
                }
                for participant in self.session.roster.participants.values()
            },
            "slots": {slot.mid: slot.track_id for slot in self.session.slots if slot.track_id},
            "speakers": [speaker.participant_id for speaker in self.session.speakers],
            "paused": {i: reason.replace("_", "-") for i, reason in self.session.paused.items()},
            "room": {
                "recording": self.session.roster.recording,
                "transcribing": self.session.roster.transcribing,
            },
        }


def without_own(value: Json) -> Json:
    if isinstance(value, dict):
        return {k: without_own(v) for k, v in value.items() if k not in CLIENTS_OWN}
    return [without_own(one) for one in value] if isinstance(value, list) else value


def snake(arguments: Json) -> Json:
    convert: Callable[[str], str] = lambda name: "".join(f"_{c.lower()}" if c.isupper() else c for c in name)  # noqa: E731
    return {convert(name): value for name, value in arguments.items()}


@pytest.fixture(params=sorted(VECTORS.glob("*.json")), ids=lambda path: path.stem)
def transcript(request: pytest.FixtureRequest) -> Iterator[Json]:
    path: Path = request.param
    content = json.loads(path.read_text())
    yield content
    if WRITE:
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


async def test_the_session_follows_the_transcript(transcript: Json) -> None:
    await Replay(transcript["steps"]).run()
