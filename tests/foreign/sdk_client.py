"""The Nexus Python SDK in the role of a foreign client: the known-good counterpart, which also decodes.

It takes commands and reports like the other clients (README.md, "The protocol"). It hooks into private names
of aiortc (1.16) to count packets and to jump to keyframes.
"""

import asyncio
import contextlib
import json
import sys
import zlib
from collections.abc import Coroutine
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtpPacket, is_rtcp
from av import Packet, VideoFrame
from harness.clips import Clip, read_ivf
from harness.payload import begins_keyframe, checksum
from nexus_rtc import LocalTrack, NexusClient, NexusError, Room, Track, events
from nexus_rtc.edge.slot_receiver import SlotReceiver
from nexus_rtc.synthetic import colour_of
from nexus_testkit import ConditionNotMet, wait_until

PATIENCE_SECONDS = 60.0
_STANDARD_OUTPUT = sys.stdout


def report(event: str, **fields: Any) -> None:
    _STANDARD_OUTPUT.write(json.dumps({"event": event, **fields}) + "\n")
    _STANDARD_OUTPUT.flush()


@dataclass(slots=True)
class Stream:
    """The counters of one track, sent or received."""

    packets: int = 0
    frames: int = 0
    keyframes: int = 0
    decoded: int = 0
    colour: tuple[int, int, int] | None = None
    crcs: list[int] = field(default_factory=list)
    _last_key: int | None = None

    def add(self, codec: str, packet: RtpPacket) -> None:
        self.packets += 1
        self.frames += bool(packet.marker)
        self.crcs.append(checksum(codec, packet.payload))
        if begins_keyframe(codec, packet.payload) and self._last_key != packet.timestamp:
            self.keyframes += 1
            self._last_key = packet.timestamp

    def counters(self) -> dict[str, Any]:
        counted: dict[str, Any] = {
            "packets": self.packets,
            "frames": self.frames,
            "keyframes": self.keyframes,
            "decoded": self.decoded,
        }
        return counted | ({"colour": self.colour} if self.colour else {})


class Player(MediaStreamTrack):
    """Plays an encoded clip at its own rate, from start to stop."""

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self.kind = "audio" if clip.codec == "opus" else "video"
        self.clip = clip
        self.requests = 0
        self.running = asyncio.Event()
        self.sent = Stream()
        self._wanted = False
        self._number = 0
        self._at = 0
        self._began: float | None = None

    def request_keyframe(self) -> None:
        self.requests += 1
        self._wanted = True

    async def recv(self) -> "Packet[Any]":
        await self.running.wait()
        now = asyncio.get_running_loop().time()
        self._began = now if self._began is None else self._began
        await asyncio.sleep(self._began + self._number / self.clip.rate - now)
        await self.running.wait()
        if self.readyState != "live":
            raise MediaStreamError
        if self._wanted:
            self._at, self._wanted = self.clip.next_keyframe(self._at), False
        packet = Packet(self.clip.frames[self._at])
        packet.pts, packet.time_base = self._number, Fraction(1, self.clip.rate)
        self._number += 1
        self._at = (self._at + 1) % len(self.clip.frames)
        return packet

    def counters(self) -> dict[str, Any]:
        return self.sent.counters() | {"requests": self.requests}


class Participant:
    def __init__(self, configuration: dict[str, Any]) -> None:
        self._configuration = configuration
        paths = [configuration["audio"], configuration["video"]]
        self._players = [Player(read_ivf(Path(path))) for path in paths if path]
        self._received: dict[int, Stream] = {}
        self._unattributed = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, commands: asyncio.StreamReader) -> None:
        local = [self._local(player) for player in self._players]
        pairs = self._configuration["pairs"]
        client = NexusClient(
            server_url=self._configuration["url"],
            token=self._configuration["token"],
            connect_seconds=PATIENCE_SECONDS,
        )
        room = await client.join(tracks=local, pairs=pairs, audio_slots=0, attach_all=pairs > 0)
        report("joined", participant=room.local_participant.id)
        for player, published in zip(self._players, local, strict=True):
            self._count_sent(room, player, published)
        for slot in room.peer.slots:
            self._count_received(slot)
        self._background(self._handle_events(room))
        await self._announce_connection(room)
        async for line in commands:
            command = json.loads(line)
            if command["command"] == "leave":
                break
            await self._execute(room, command)
        await self._leave(room)

    def _local(self, player: Player) -> LocalTrack:
        if player.kind == "audio":
            return LocalTrack(player)
        return LocalTrack(player, codec=player.clip.codec)

    def _count_sent(self, room: Room, player: Player, published: LocalTrack) -> None:
        assert published.transceiver is not None
        sender: Any = published.transceiver.sender
        sender._send_keyframe = player.request_keyframe
        transport: Any = room.peer.transport
        send = transport._send_rtp

        async def send_and_count(data: bytes) -> None:
            if not is_rtcp(data):
                packet = RtpPacket.parse(data)
                if packet.ssrc == sender._ssrc:
                    player.sent.add(player.clip.codec, packet)
            await send(data)

        transport._send_rtp = send_and_count

    def _count_received(self, slot: SlotReceiver) -> None:
        receiver: Any = slot._transceiver.receiver
        handle = receiver._handle_rtp_packet

        async def count_and_handle(packet: RtpPacket, arrival_time_ms: int) -> None:
            self._note(receiver._RTCRtpReceiver__codecs.get(packet.payload_type), packet)
            await handle(packet, arrival_time_ms=arrival_time_ms)

        receiver._handle_rtp_packet = count_and_handle

    def _note(self, codec: Any, packet: RtpPacket) -> None:
        name = codec.name.lower() if codec is not None else ""
        if name not in ("vp8", "h264", "opus") or not packet.payload:
            return  # retransmissions, and padding that probes the path
        if len(packet.csrc) != 1:
            self._unattributed += 1
            return
        self._received.setdefault(packet.csrc[0], Stream()).add(name, packet)

    async def _handle_events(self, room: Room) -> None:
        async for event in room.events():
            match event:
                case events.TrackPublished(participant, track):
                    report("track", identity=participant.identity, kind=track.kind, number=track.number)
                    self._background(self._decode(room, track))
                case events.ParticipantLeft(participant):
                    report("participant-left", identity=participant.identity)
                case events.TrackPaused(track_id):
                    report("track-paused", track=track_id)
                case events.DataReceived(payload=payload, participant=sender):
                    self._report_message(payload, sender.identity if sender else "")
                case events.SessionEnded(reason=reason, message=message) if reason != "CLIENT_LEFT":
                    report("error", message=f"the session ended: {reason}: {message}")

    def _report_message(self, payload: bytes | str, identity: str) -> None:
        content = payload.encode() if isinstance(payload, str) else payload
        text = {"text": payload} if isinstance(payload, str) else {}
        report("message", **{"from": identity}, size=len(content), crc=zlib.crc32(content), **text)

    async def _decode(self, room: Room, track: Track) -> None:
        media = room.media(track)
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await media.recv()
                stream = self._received.setdefault(track.number, Stream())
                stream.decoded += 1
                if isinstance(frame, VideoFrame) and stream.decoded % 15 == 1:
                    stream.colour = colour_of(frame)

    async def _announce_connection(self, room: Room) -> None:
        await wait_until(lambda: room.peer.dtls_state == "connected", PATIENCE_SECONDS, "ICE and DTLS")
        report("connected")
        channel: Any = next(iter(room.peer.data._channels.values()))
        await wait_until(lambda: channel.readyState == "open", PATIENCE_SECONDS, "the data channel")
        report("data-open")

    async def _execute(self, room: Room, command: dict[str, Any]) -> None:
        match command["command"]:
            case "start":
                for player in self._players:
                    player.running.set()
                self._background(self._report_seconds())
            case "stop":
                for player in self._players:
                    player.running.clear()
                report("stopped")
            case "request-keyframes":
                for slot in room.peer.slots:
                    if slot.kind == "video":
                        await self._request_keyframe(slot)
            case "say" if "text" in command:
                await room.publish_data(command["text"])
            case "say":
                await room.publish_data(bytes(at % 251 for at in range(command["size"])))
            case unknown:
                raise ValueError(f"unknown command {unknown!r}")

    async def _request_keyframe(self, slot: SlotReceiver) -> None:
        receiver: Any = slot._transceiver.receiver
        for source in receiver.getSynchronizationSources():
            await receiver._send_rtcp_pli(source.source)

    async def _report_seconds(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._report()

    def _report(self) -> None:
        report(
            "second",
            sent={player.kind: player.counters() for player in self._players},
            received={number: stream.counters() for number, stream in self._received.items()},
            unattributed=self._unattributed,
        )

    async def _leave(self, room: Room) -> None:
        self._report()
        for player in self._players:
            report("payloads", sent=player.kind, crcs=player.sent.crcs)
        for number, stream in self._received.items():
            report("payloads", received=number, crcs=stream.crcs)
        await room.leave()
        for task in self._tasks:
            task.cancel()
        report("left")

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(_report_failure)
        self._tasks.append(task)


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        report("error", message=f"{type(error).__name__}: {error}")


async def main() -> int:
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    configuration = json.loads(await commands.readline())
    try:
        await Participant(configuration).run(commands)
    except (NexusError, ConditionNotMet) as error:
        report("error", message=f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
