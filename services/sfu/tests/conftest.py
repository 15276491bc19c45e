"""Fixtures of the SFU's tests: recorded offers, and a whole service around the memory engine."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from nexus.events.v1 import room_pb2
from nexus.sfu.v1 import sfu_pb2, sfu_pb2_grpc
from nexus.types.v1 import error_pb2, media_pb2
from nexus_bus import Bus, MemoryBus
from nexus_bus.memory_bus import MemoryBroker
from nexus_rpc import ERROR_METADATA
from nexus_runtime import Runtime
from nexus_sfu.config import SfuConfig
from nexus_sfu.memory_engine import MemoryEngine
from nexus_sfu.service import SfuService
from nexus_testkit import make_runtime

OFFERS = Path(__file__).parent / "offers"
ALL_GRANTS = media_pb2.Grants(create=True, publish=True, subscribe=True, data=True)

OfferReader = Callable[[str], str]


@pytest.fixture
def read_offer() -> OfferReader:
    """`read_offer("chromium_join")` returns the text with its CRLF line ends."""

    def read(name: str) -> str:
        return (OFFERS / f"{name}.sdp").read_bytes().decode()

    return read


@dataclass
class Running:
    """A service with the memory engine, a client of it and all events that it has emitted."""

    service: SfuService
    runtime: Runtime
    engine: MemoryEngine
    stub: sfu_pb2_grpc.SfuServiceStub
    events: list[room_pb2.RoomEvent] = field(default_factory=list)
    room: sfu_pb2.RoomKey = field(default_factory=lambda: sfu_pb2.RoomKey(app="devkey", room="lobby"))

    async def join(
        self,
        identity: str,
        sdp: str,
        *,
        publish: bool = True,
        grants: media_pb2.Grants = ALL_GRANTS,
        **fields: object,
    ) -> sfu_pb2.JoinResponse:
        """Joins with a recorded offer, whose first two sections are a microphone and a camera."""
        publications = [
            media_pb2.Publication(mid="0", source=media_pb2.TRACK_SOURCE_MICROPHONE),
            media_pb2.Publication(mid="1", source=media_pb2.TRACK_SOURCE_CAMERA, width=1280, height=720),
        ]
        request = sfu_pb2.JoinRequest(
            room=self.room,
            room_id="RM_1",
            identity=identity,
            sdp=sdp,
            publications=publications if publish else [],
            grants=grants,
        )
        request.MergeFrom(sfu_pb2.JoinRequest(**fields))  # type: ignore[arg-type]
        response: sfu_pb2.JoinResponse = await self.stub.Join(request)
        return response

    def of_kind(self, kind: str) -> list[room_pb2.RoomEvent]:
        return [event for event in self.events if event.WhichOneof("event") == kind]


def error_of(failure: grpc.aio.AioRpcError) -> error_pb2.Error:
    """The typed error in the trailing metadata of a failed call."""
    metadata = dict(failure.trailing_metadata() or ())
    return error_pb2.Error.FromString(metadata[ERROR_METADATA])


@pytest.fixture
def wire_error() -> Callable[[grpc.aio.AioRpcError], error_pb2.Error]:
    return error_of


@pytest.fixture
def config() -> SfuConfig:
    return SfuConfig.from_env(node_id="sfu-test", empty_timeout_ms=0)


@pytest.fixture
def bus() -> Bus:
    """The service's metrics; a test may override the fixture."""
    return MemoryBus(MemoryBroker())


@pytest.fixture
async def running(config: SfuConfig, bus: Bus) -> AsyncIterator[Running]:
    engine = MemoryEngine()
    runtime = make_runtime("sfu", bus)
    service = SfuService(config, runtime, engine)
    await service.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{service.grpc.port}") as channel:
        stub = sfu_pb2_grpc.SfuServiceStub(channel)
        running = Running(service, runtime, engine, stub)
        publish = service.events.emit

        def emit(event: room_pb2.RoomEvent) -> None:
            running.events.append(event)
            publish(event)

        service.sfu.emit_events_to(emit)
        yield running
    if isinstance(bus, MemoryBus):
        bus.set_connected(False)  # pending events are not published
    await service.close()
