"""Our SFU as the load generator meets it: the service's process, joined over its gRPC with an SDP offer."""

import asyncio
import os
import re
import socket
import sys
from collections.abc import Iterator, Sequence

import grpc
from _load import (
    AUDIO_PT,
    EXTENSIONS,
    RTX_PT,
    VIDEO_PT,
    Generator,
    Person,
    process_cpu_seconds,
    process_memory_bytes,
)
from nexus.sfu.v1 import sfu_pb2, sfu_pb2_grpc
from nexus.types.v1 import media_pb2

ROOM = sfu_pb2.RoomKey(app="bench", room="load")


def offer(person: Person, fingerprint: str) -> str:
    """The publications first, then the slots, as a browser would write it."""
    mids = [*(["0"] if person.audio else []), *(["1"] if person.video else [])]
    slots = [("audio", f"a{i}") for i in range(person.audio_slots)]
    slots += [("video", f"v{i}") for i in range(person.video_slots)]
    lines = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    lines.append("a=group:BUNDLE " + " ".join([*mids, *(mid for _, mid in slots)]))
    lines.append("a=extmap-allow-mixed")
    if person.audio:
        lines += _section("audio", "0", person, fingerprint, sends=True)
        lines += ["a=msid:s a", f"a=ssrc:{person.audio_ssrc} cname:load"]
    if person.video:
        lines += _section("video", "1", person, fingerprint, sends=True)
        lines += ["a=msid:s v", *_encodings(person)]
    for kind, mid in slots:
        lines += _section(kind, mid, person, fingerprint, sends=False)
    return "\r\n".join(lines) + "\r\n"


def _encodings(person: Person) -> Iterator[str]:
    if person.simulcast:
        rids = [rid for rid, *_ in person.encodings()]
        yield from (f"a=rid:{rid} send" for rid in rids)
        yield "a=simulcast:send " + ";".join(rids)
        return
    ssrc, rtx = person.video_ssrc(0)
    yield f"a=ssrc-group:FID {ssrc} {rtx}"
    yield f"a=ssrc:{ssrc} cname:load"
    yield f"a=ssrc:{rtx} cname:load"


def _section(kind: str, mid: str, person: Person, fingerprint: str, *, sends: bool) -> list[str]:
    types = f"{AUDIO_PT}" if kind == "audio" else f"{VIDEO_PT} {RTX_PT}"
    lines = [
        f"m={kind} 9 UDP/TLS/RTP/SAVPF {types}",
        "c=IN IP4 0.0.0.0",
        f"a=ice-ufrag:{person.ufrag}",
        f"a=ice-pwd:{person.pwd}",
        f"a=fingerprint:sha-256 {fingerprint}",
        "a=setup:actpass",
        f"a=mid:{mid}",
        "a=sendonly" if sends else "a=recvonly",
        "a=rtcp-mux",
        "a=rtcp-rsize",
    ]
    for number, uri in EXTENSIONS.items():
        if ("stream-id" if kind == "audio" else "audio-level") in uri:
            continue
        lines.append(f"a=extmap:{number} {uri}")
    if kind == "audio":
        return [*lines, f"a=rtpmap:{AUDIO_PT} opus/48000/2", f"a=rtcp-fb:{AUDIO_PT} transport-cc"]
    feedback = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
    return [
        *lines,
        f"a=rtpmap:{VIDEO_PT} VP8/90000",
        *(f"a=rtcp-fb:{VIDEO_PT} {name}" for name in feedback),
        f"a=rtpmap:{RTX_PT} rtx/90000",
        f"a=fmtp:{RTX_PT} apt={VIDEO_PT}",
    ]


def _publications(person: Person) -> list[media_pb2.Publication]:
    found = []
    if person.audio:
        found.append(media_pb2.Publication(mid="0", source=media_pb2.TRACK_SOURCE_MICROPHONE))
    if person.video:
        camera = media_pb2.Publication(mid="1", source=media_pb2.TRACK_SOURCE_CAMERA, width=1280, height=720)
        if person.simulcast:
            for rid, bitrate, width, height in person.encodings():
                camera.layers.add(rid=rid, width=width, height=height, max_bitrate_bps=bitrate)
        found.append(camera)
    return found


def answered(sdp: str) -> tuple[dict[str, str], list[tuple[str, int, int]]]:
    """What `connect` wants to know, and (kind, ssrc, RTX ssrc or 0) of each slot."""
    first = re.search
    host = r"a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+)"
    ufrag, pwd = first(r"a=ice-ufrag:(\S+)", sdp), first(r"a=ice-pwd:(\S+)", sdp)
    digest = first(r"a=fingerprint:sha-256 (\S+)", sdp)
    assert ufrag
    assert pwd
    assert digest
    candidates = {f"{ip}:{port}" for ip, port in re.findall(host, sdp, re.I)}
    transport = {
        "ufrag": ufrag[1],
        "pwd": pwd[1],
        "fingerprint": digest[1],
        "candidates": " ".join(f"candidate={c}" for c in sorted(candidates)),
    }
    slots = []
    for section in sdp.split("\r\nm=")[1:]:
        ssrc = first(r"a=ssrc:(\d+)", section)
        if ssrc is None:
            continue
        pair = first(r"a=ssrc-group:FID (\d+) (\d+)", section)
        slots.append((section.split()[0], int(pair[1] if pair else ssrc[1]), int(pair[2]) if pair else 0))
    return transport, slots


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class NexusAdapter:
    name = "nexus"

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._channel: grpc.aio.Channel | None = None

    async def start(self, *, core: int) -> None:
        port = free_port()
        environment = {
            **os.environ,
            "NEXUS_LOG_FORMAT": "json",
            "NEXUS_SFU_GRPC_PORT": str(port),
            "NEXUS_SFU_MEDIA_HOST": "127.0.0.1",
            "NEXUS_SFU_MEDIA_PORT": "0",
            "NEXUS_SFU_AUDIO_LOUDEST": "64",
            "NEXUS_SFU_MAX_PARTICIPANTS_PER_ROOM": "5000",
        }
        # The generator may be as large as the machine: whoever starves, it is not for want of a pinned core.
        self._process = await asyncio.create_subprocess_exec(
            *("taskset", "-c", str(core), sys.executable, "-m", "nexus_sfu"),
            env=environment,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        await self._until_ready(self._process, self._channel)

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

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def join(self, generator: Generator, people: Sequence[Person]) -> None:
        assert self._channel is not None
        stub = sfu_pb2_grpc.SfuServiceStub(self._channel)
        joined = []
        for person in people:
            generator.add(person)
            request = sfu_pb2.JoinRequest(
                room=ROOM,
                room_id="RM_load",
                identity=f"person{person.index}",
                grants=media_pb2.Grants(create=True, publish=True, subscribe=True),
                sdp=offer(person, generator.fingerprint),
                publications=_publications(person),
            )
            answer = await stub.Join(request)
            joined.append(answer)
            transport, slots = answered(answer.sdp)
            for kind, ssrc, rtx in slots:
                generator.ask(f"receive peer={person.index} kind={kind} ssrc={ssrc} rtx_ssrc={rtx}")
            generator.ask(
                f"connect peer={person.index} ufrag={transport['ufrag']} pwd={transport['pwd']}"
                f" fingerprint={transport['fingerprint']} {transport['candidates']}"
            )
            generator.ask("run seconds=0 ms=2")
        pictures = [
            (answer.participant.id, track.id)
            for answer in joined
            for track in answer.participant.tracks
            if track.kind == media_pb2.TRACK_KIND_VIDEO
        ]
        for answer, person in zip(joined, people, strict=True):
            others = [track for owner, track in pictures if owner != answer.participant.id]
            if not others or person.video_slots == 0:
                continue
            await stub.UpdateSlots(
                sfu_pb2.UpdateSlotsRequest(
                    room=ROOM,
                    participant_id=answer.participant.id,
                    bind_track_ids=others[: person.video_slots],
                )
            )

    def cpu_seconds(self) -> float:
        return process_cpu_seconds(self.pid)

    def media_cpu_seconds(self) -> float | None:
        return process_cpu_seconds(self.pid, "nexus-shard")

    def memory_bytes(self) -> int:
        return process_memory_bytes(self.pid)

    def features(self) -> dict[str, object]:
        return {"twcc": True, "rtx": True, "pacing": True, "srtp": "AEAD_AES_128_GCM", "shards": 1}

    async def stop(self) -> None:
        if self._channel is not None:
            await self._channel.close()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
