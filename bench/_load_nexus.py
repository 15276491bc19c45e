"""Adapter for the Nexus SFU: the service's process, joined over gRPC with an SDP offer."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc
from _load import ROOT, Generator, Participant, free_port
from _network import SERVER_ADDRESS
from _sdp import AUDIO_MID, VIDEO_MID, publisher_offer, read
from _server import ServerProcess
from nexus.sfu.v1 import sfu_pb2, sfu_pb2_grpc
from nexus.types.v1 import media_pb2

ROOM = sfu_pb2.RoomKey(app="bench", room="load")
ROOM_ID = "RM_load"


def _publications(participant: Participant) -> list[media_pb2.Publication]:
    found = []
    if participant.audio:
        found.append(media_pb2.Publication(mid=AUDIO_MID, source=media_pb2.TRACK_SOURCE_MICROPHONE))
    if participant.video:
        camera = media_pb2.Publication(
            mid=VIDEO_MID, source=media_pb2.TRACK_SOURCE_CAMERA, width=1280, height=720
        )
        if participant.simulcast:
            for rid, bitrate, width, height in participant.encodings():
                camera.layers.add(rid=rid, width=width, height=height, max_bitrate_bps=bitrate)
        found.append(camera)
    return found


def nexus_version() -> str:
    words = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    return subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False).stdout.strip()


class NexusAdapter(ServerProcess):
    name = "nexus"
    media_threads = "nexus-shard"

    def __init__(
        self, shards: int = 1, settings: Mapping[str, str] | None = None, log: Path = Path(os.devnull)
    ) -> None:
        """`settings` are added to the environment of the process, whose output goes to `log`."""
        super().__init__()
        self._shards = shards
        self._settings = settings or {}
        self._log = log
        self.grpc_port = 0
        self._channel: grpc.aio.Channel | None = None
        self._ids: dict[int, str] = {}
        self._videos: list[tuple[str, str]] = []  # participant, track

    async def start(self, *, core: int) -> None:
        self.grpc_port = port = free_port()
        environment = {
            **os.environ,
            "NEXUS_LOG_FORMAT": "json",
            "NEXUS_SFU_GRPC_PORT": str(port),
            "NEXUS_SFU_MEDIA_HOST": SERVER_ADDRESS,
            "NEXUS_SFU_MEDIA_PORT": "0",
            "NEXUS_SFU_SHARDS": str(self._shards),
            "NEXUS_SFU_AUDIO_LOUDEST": "64",
            "NEXUS_SFU_MAX_PARTICIPANTS_PER_ROOM": "5000",
            **self._settings,
        }
        command = (sys.executable, "-m", "nexus_sfu")
        process = await self._spawn(core, *command, environment=environment, log=self._log)
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        await self._until_ready(process, self._channel)

    @staticmethod
    async def _until_ready(process: asyncio.subprocess.Process, channel: grpc.aio.Channel) -> None:
        ready = asyncio.ensure_future(channel.channel_ready())
        ended = asyncio.ensure_future(process.wait())
        await asyncio.wait({ready, ended}, timeout=120, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            ended.cancel()
            return
        ready.cancel()
        raise RuntimeError("the SFU did not start: run `python -m nexus_sfu` to see why")

    def stub(self) -> sfu_pb2_grpc.SfuServiceStub:
        assert self._channel is not None
        return sfu_pb2_grpc.SfuServiceStub(self._channel)

    async def join(self, generator: Generator, participants: Sequence[Participant]) -> None:
        for participant in participants:
            await self._join_one(generator, participant)
        for participant in participants:
            own = self._ids[participant.index]
            others = [track for owner, track in self._videos if owner != own][: participant.video_slots]
            if others:
                request = sfu_pb2.UpdateSlotsRequest(room=ROOM, participant_id=own, bind_track_ids=others)
                await self.stub().UpdateSlots(request)

    async def _join_one(self, generator: Generator, participant: Participant) -> None:
        endpoint = generator.add(participant)
        slots = [("audio", f"a{i}") for i in range(participant.audio_slots)]
        slots += [("video", f"v{i}") for i in range(participant.video_slots)]
        request = sfu_pb2.JoinRequest(
            room=ROOM,
            room_id=ROOM_ID,
            identity=f"participant{participant.index}",
            grants=media_pb2.Grants(create=True, publish=True, subscribe=True),
            sdp=publisher_offer(endpoint, participant.published, slots=slots),
            publications=_publications(participant),
        )
        answer = await generator.until(self.stub().Join(request))
        self._ids[participant.index] = answer.participant.id
        self._videos += [
            (answer.participant.id, track.id)
            for track in answer.participant.tracks
            if track.kind == media_pb2.TRACK_KIND_VIDEO
        ]
        description = read(answer.sdp)
        generator.receive(endpoint, description)
        generator.connect(endpoint, description)
        generator.pump()

    async def leave(self, generator: Generator, participants: Sequence[Participant]) -> None:
        for participant in participants:
            own = self._ids.pop(participant.index)
            self._videos = [entry for entry in self._videos if entry[0] != own]
            generator.leave(participant)
            await self.stub().Leave(sfu_pb2.LeaveRequest(room=ROOM, participant_id=own))

    async def counters(self) -> dict[str, int] | None:
        watch = self.stub().WatchStats(sfu_pb2.WatchStatsRequest())
        async for report in watch:
            engine = report.engine
            watch.cancel()
            return {
                "datagrams_out": engine.datagrams_out,
                "gso_segments": engine.gso_segments,
                "gso_runs": engine.gso_runs,
                "plis_to_publishers": sum(track.plis_sent for track in report.tracks),
                "keyframe_replays": sum(track.keyframe_replays for track in report.tracks),
                "layer_switches": sum(slot.layer_switches for slot in report.slots),
                "probe_packets": sum(transport.probe_packets for transport in report.transports),
                **{f"drop.{name}": count for name, count in engine.drops.items() if count},
            }
        return None

    def features(self) -> dict[str, object]:
        return {
            "version": nexus_version(),
            "twcc": "both ways",
            "rtx": True,
            "pacing": True,
            "bandwidth_estimation": "send-side (TWCC)",
            "udp": "recvmmsg, sendmmsg, GSO",
            "settings": {"shards": self._shards, "audio_loudest": "off"},
        }

    async def stop(self) -> None:
        if self._channel is not None:
            await self._channel.close()
        await self._end(kill=False)
