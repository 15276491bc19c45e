"""The assembled service: gRPC, both halves, a folder store, and an SFU without media."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import aiohttp
import pytest
from grpc import aio
from nexus.recorder.v1 import recorder_pb2, recorder_pb2_grpc, recording_pb2
from nexus.types.v1 import state_pb2
from nexus_bus import MemoryBroker, MemoryBus, subjects
from nexus_recorder.config import RecorderConfig
from nexus_recorder.service import RecorderService
from nexus_rooms.testing import FakeSfu
from nexus_rooms.testing.fake_sfu import FakeRoom
from nexus_rpc.errors import RpcError, from_call, internal
from nexus_storage import LinkOptions
from nexus_testkit import free_port, make_runtime, wait_until
from pydantic import SecretStr

PATIENCE = 30.0


class Running:
    """A started service with a stub for it."""

    def __init__(self, folder: Path) -> None:
        broker = MemoryBroker()
        self.bus = MemoryBus(broker)
        self.sfu = FakeSfu(self.bus)
        self.runtime = make_runtime("recorder", MemoryBus(broker))
        self.links_port = free_port()
        store = (
            f'{{"local": {{"kind": "folder", "path": "{folder}/store", "create": true,'
            f' "link_url": "http://127.0.0.1:{self.links_port}/v1/objects",'
            f' "link_secret": "{"s" * 40}"}}}}'
        )
        config = RecorderConfig.from_env(
            grpc_port=0,
            links_port=self.links_port,
            spool_dir=folder / "spool",
            stores=SecretStr(store),
            command_wait_ms=5_000,
        )
        self.service = RecorderService(config, self.runtime)

    async def start(self) -> "Running":
        await self.sfu.start()
        room = FakeRoom("app", "lobby", "RM_1")
        self.sfu.rooms[("app", "lobby")] = room
        record = state_pb2.RoomRecord(app="app", node_id=self.sfu.node_id)
        record.room.id, record.room.name = "RM_1", "lobby"
        bucket = await self.bus.kv(subjects.ROOMS)
        await bucket.put(subjects.room_key("app", "lobby"), record.SerializeToString())
        self.fields = await self.service.start()
        self.tasks = [asyncio.create_task(one) for one in self.service.work().values()]
        self.channel = aio.insecure_channel(f"127.0.0.1:{self.service.grpc.port}")
        self.stub = recorder_pb2_grpc.RecorderServiceStub(self.channel)
        await wait_until(lambda: self.service.nodes.fresh_count() > 0, PATIENCE)
        await self.service.control.directory.until_synced()
        return self

    async def stop(self) -> None:
        await self.channel.close()
        await self.service.drain()
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks, timeout=5)
        await self.service.close()
        await self.sfu.stop()


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    started = await Running(tmp_path).start()
    yield started
    await started.stop()


async def refusal(call: Awaitable[object]) -> tuple[str, dict[str, str]]:
    with pytest.raises(aio.AioRpcError) as refused:
        await call
    error: RpcError = from_call(refused.value, internal())
    return error.name, error.details


async def test_a_recording_is_started_and_stopped_over_grpc(running: Running) -> None:
    stub = running.stub
    start = recorder_pb2.StartRecordingRequest(app="app", room="lobby", request_id="r1")
    recording = (await stub.StartRecording(start)).recording
    assert (await stub.StartRecording(start)).recording.id == recording.id
    await wait_until(lambda: bool(running.service.control.worker.leases), PATIENCE)
    listed = await stub.ListRecordings(recorder_pb2.ListRecordingsRequest(app="app"))
    assert [one.id for one in listed.recordings] == [recording.id]
    await stub.AddMarker(recorder_pb2.AddMarkerRequest(app="app", recording_id=recording.id, name="goal"))
    request = recorder_pb2.StopRecordingRequest(app="app", recording_id=recording.id)
    stopped = (await stub.StopRecording(request)).recording
    assert stopped.stop_requested

    async def completed() -> bool:
        get = recorder_pb2.GetRecordingRequest(app="app", recording_id=recording.id)
        newest = (await stub.GetRecording(get)).recording
        return newest.state == recording_pb2.RECORDING_STATE_COMPLETED

    await wait_until(completed, PATIENCE)


async def test_errors_reach_the_caller_with_their_code(running: Running) -> None:
    stub = running.stub
    missing = recorder_pb2.StartRecordingRequest(app="app", room="nowhere")
    assert (await refusal(stub.StartRecording(missing)))[0] == "ROOM_NOT_FOUND"
    get = recorder_pb2.GetRecordingRequest(app="app", recording_id="RC_none")
    assert (await refusal(stub.GetRecording(get)))[0] == "RECORDING_NOT_FOUND"
    rule = recorder_pb2.PutRuleRequest(rule=recording_pb2.RecordingRule(app="app", name="x"))
    invalid = ("INVALID_ARGUMENT", {"field": "rule.room_pattern"})
    assert await refusal(stub.PutRule(rule)) == invalid
    rules = await stub.ListRules(recorder_pb2.ListRulesRequest(app="app"))
    assert not rules.rules


async def test_an_outage_of_the_broker_is_reported(running: Running) -> None:
    bus = running.runtime.bus
    assert isinstance(bus, MemoryBus)
    bus.set_connected(False)
    get = recorder_pb2.GetRecordingRequest(app="app", recording_id="RC_none")
    assert (await refusal(running.stub.GetRecording(get)))[0] == "SERVICE_UNAVAILABLE"
    bus.set_connected(True)
    assert (await refusal(running.stub.GetRecording(get)))[0] == "RECORDING_NOT_FOUND"
    # All heartbeats may have expired meanwhile, so for a while no node is taken for gone.
    assert not running.service.nodes.settled()


async def test_links_of_a_folder_store_are_served(running: Running) -> None:
    store = running.service.stores.get("local")
    await store.put("a/b.txt", b"content", content_type="text/plain")
    url = await store.presign("a/b.txt", expires_s=60, options=LinkOptions(filename="b.txt"))
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert (response.status, await response.read()) == (200, b"content")
    async with aiohttp.ClientSession() as http, http.get(url[:-3]) as response:
        assert response.status == 403
