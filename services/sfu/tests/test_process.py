"""`python -m nexus_sfu` as a process: starts without a broker, connects to it later, drains on SIGTERM."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import grpc
from nexus.events.v1 import room_pb2
from nexus.sfu.v1 import sfu_pb2, sfu_pb2_grpc
from nexus.types.v1 import media_pb2, state_pb2
from nexus_bus import NatsBus, subjects
from nexus_testkit import NatsServer, free_port, wait_until

OfferReader = Callable[[str], str]
PATIENCE = 90.0  # a busy machine takes many seconds to start Python


@dataclass
class Process:
    process: asyncio.subprocess.Process
    lines: list[dict[str, object]] = field(default_factory=list)

    def line(self, event: str) -> dict[str, object] | None:
        return next((line for line in self.lines if line.get("event") == event), None)

    async def read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            try:
                self.lines.append(json.loads(line))
            except ValueError:
                self.lines.append({"event": "text", "text": line.decode()})


@asynccontextmanager
async def running(**settings: str) -> AsyncIterator[Process]:
    environment = {
        **os.environ,
        "NEXUS_LOG_FORMAT": "json",
        "NEXUS_SFU_NODE_ID": "sfu-process",
        "NEXUS_SFU_MEDIA_HOST": "127.0.0.1",
        "NEXUS_SFU_MEDIA_PORT": "0",
        **settings,
    }
    process = Process(
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "nexus_sfu", env=environment, stderr=asyncio.subprocess.PIPE
        )
    )
    reading = asyncio.create_task(process.read())
    try:
        yield process
    finally:
        if process.process.returncode is None:
            process.process.kill()
        await process.process.wait()
        await reading


async def test_a_node_starts_serves_and_drains(nats_server: NatsServer, read_offer: OfferReader) -> None:
    nats_server.stop()
    async with running(
        NEXUS_NATS_URL=nats_server.url, NEXUS_SFU_DRAIN_MS="30000", NEXUS_SFU_GCM_LIBRARY="openssl"
    ) as sfu:
        ready = await wait_until(lambda: sfu.line("ready"), PATIENCE, "ready without a broker")
        assert ready is not None
        assert ready["gcm_library"] == "openssl"
        address = f"127.0.0.1:{ready['grpc_port']}"
        async with grpc.aio.insecure_channel(address) as channel, aiohttp.ClientSession() as http:
            stub = sfu_pb2_grpc.SfuServiceStub(channel)
            joined = await stub.Join(
                sfu_pb2.JoinRequest(
                    room=sfu_pb2.RoomKey(app="devkey", room="lobby"),
                    room_id="RM_1",
                    identity="alice",
                    sdp=read_offer("firefox_join"),
                    grants=media_pb2.Grants(create=True, subscribe=True),
                )
            )
            assert re.search(r"a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 \d+ typ host", joined.sdp)
            nats_server.start()
            bus = await NatsBus.connect(nats_server.url, "reader")
            nodes = await bus.kv(subjects.NODES, 10)

            async def record() -> state_pb2.NodeRecord | None:
                entry = await nodes.get("sfu-process")
                return state_pb2.NodeRecord.FromString(entry.value) if entry else None

            node = await wait_until(record, PATIENCE, "the heartbeat")
            assert node is not None
            assert node.grpc_address == address
            assert node.load.participants == 1

            base = f"http://127.0.0.1:{ready['health_port']}"
            assert (await http.get(f"{base}/livez")).status == 200
            assert (await http.get(f"{base}/readyz")).status == 200

            async def measured() -> bool:
                text = await (await http.get(f"{base}/metrics")).text()
                return "nexus_sfu_participants 1.0" in text and "nexus_sfu_engine_datagrams_in_total" in text

            await wait_until(measured, PATIENCE, "the metrics")
            async with await bus.subscribe(subjects.all_room_events()) as inbox:
                sfu.process.send_signal(signal.SIGTERM)

                async def draining() -> bool:
                    found = await record()
                    return found is not None and found.draining

                await wait_until(draining, PATIENCE, "the record says that the node drains")
                assert (await http.get(f"{base}/readyz")).status == 503
                # When the last participant leaves, draining ends before its deadline.
                await stub.Leave(
                    sfu_pb2.LeaveRequest(
                        room=sfu_pb2.RoomKey(app="devkey", room="lobby"), participant_id=joined.participant.id
                    )
                )
                assert await asyncio.wait_for(sfu.process.wait(), PATIENCE) == 0
                reported = [room_pb2.RoomEvent.FromString((await anext(inbox)).payload) for _ in range(2)]
            assert [event.WhichOneof("event") for event in reported] == ["participant_left", "room_closed"]
            assert reported[1].room_closed.reason == media_pb2.DISCONNECT_REASON_SERVER_SHUTDOWN
            assert await nodes.get("sfu-process") is None
            await bus.close()


async def test_invalid_configurations_end_the_process_with_an_error() -> None:
    port = free_port()
    taken = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", port)
    cases = {
        "NEXUS_SFU_GRPC_PORT": str(port),
        "NEXUS_SFU_VIDEO_CODECS": "divx",
        "NEXUS_SFU_SHARDS": "none",
        "NEXUS_SFU_MEDIA_HOST": "192.0.2.99",
    }
    async with taken:
        await asyncio.gather(*(refused(variable, value) for variable, value in cases.items()))


async def refused(variable: str, value: str) -> None:
    async with running(**{variable: value}) as sfu:
        assert await asyncio.wait_for(sfu.process.wait(), PATIENCE) == 2
    assert "service_failed" in [line["event"] for line in sfu.lines], (variable, sfu.lines)
