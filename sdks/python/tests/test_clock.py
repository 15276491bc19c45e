"""A step of the system's clock changes nothing: deadlines and pings are on the monotonic one."""

import time

import pytest
from nexus.signaling.v1 import session_pb2 as wire
from nexus_rtc import NexusClient
from nexus_rtc.testing import FakeServer
from nexus_testkit import wait_until

STEPS = pytest.mark.parametrize("step_seconds", [60.0, -3600.0])


class WallClock:
    """Replaces `time.time` in the whole process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real = time.time
        self._ahead = 0.0
        monkeypatch.setattr(time, "time", lambda: self._real() + self._ahead)

    def step(self, seconds: float) -> None:
        self._ahead += seconds


@pytest.fixture
def wall_clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    return WallClock(monkeypatch)


def pong(message: wire.ClientMessage) -> wire.ServerMessage:
    return wire.ServerMessage(ping=wire.PingResponse(sent_at_ms=message.ping.sent_at_ms))


@STEPS
async def test_pings_go_on_after_a_step_and_the_room_stays(
    server: FakeServer, token: str, wall_clock: WallClock, step_seconds: float
) -> None:
    server.join.ping_interval_ms = 100
    server.answers["ping"] = pong
    room = await NexusClient(server_url=server.url, token=token).join()
    await wait_until(lambda: server.kinds().count("ping") >= 2)
    wall_clock.step(step_seconds)
    seen = server.kinds().count("ping")
    # Three times as long as a silent peer is tolerated.
    await wait_until(lambda: server.kinds().count("ping") >= seen + 9)
    assert room.ended is None
    assert room.signaling_rtt_ms is not None
    assert 0 <= room.signaling_rtt_ms < 10_000
    await room.leave()


@STEPS
async def test_a_step_while_joining_does_not_end_the_join(
    server: FakeServer, token: str, wall_clock: WallClock, step_seconds: float
) -> None:
    steps: list[str] = []

    def step(done: str) -> None:
        steps.append(done)
        wall_clock.step(step_seconds)

    room = await NexusClient(server_url=server.url, token=token).join(on_step=step)
    assert steps == ["websocket", "offer", "answer"]
    assert room.ended is None
    await room.leave()


@STEPS
async def test_a_silent_server_is_lost_in_spite_of_a_step(
    server: FakeServer, token: str, wall_clock: WallClock, step_seconds: float
) -> None:
    server.join.ping_interval_ms = 100
    server.answers["ping"] = lambda message: None
    room = await NexusClient(server_url=server.url, token=token).join()
    await wait_until(lambda: server.kinds().count("ping") >= 1)
    wall_clock.step(step_seconds)
    await wait_until(lambda: room.ended)
    assert room.ended is not None
    assert room.ended.reason == "SIGNALING_LOST"
    await room.leave()
