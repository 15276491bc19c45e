"""Telemetry: what a client measures, keeps and reports, and what it never does."""

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nexus.qoe.v1 import telemetry_pb2 as qoe
from nexus.signaling.v1 import session_pb2 as wire
from nexus_rtc import NexusClient, NexusError
from nexus_rtc.room_telemetry import Telemetry, allowed_level
from nexus_rtc.session import TelemetryStored
from nexus_rtc.telemetry import PathReading, Sampler, TrackReading
from nexus_rtc.telemetry_outbox import KEEP_BYTES, KEEP_MS, MESSAGE_BYTES, TelemetryOutbox
from nexus_rtc.testing import FakeServer

VIDEO = TrackReading(
    "TR_1", "received 1", False, "video", "vp8", "camera", packets=10, bytes=900, lost=0, frames=3
)
PATH = PathReading(rtt_us=20_000, bytes_sent=100, bytes_received=1000, pair="a b")


def numbers(messages: list[qoe.Telemetry]) -> list[int]:
    return [sample.number for message in messages for sample in message.samples]


def test_a_sample_holds_deltas_and_marks_what_is_absent() -> None:
    sampler = Sampler(before_at_ms=0)
    sampler.sample(PATH, [VIDEO], 1000)
    later = replace(VIDEO, packets=25, bytes=2000, frames=18, lost=2, jitter_us=1500)
    sample, (series,) = sampler.sample(replace(PATH, bytes_received=1500), [later], 2000)
    (video,) = sample.received_video
    assert (video.packets, video.bytes, video.frames_decoded, video.lost, video.jitter_us) == (
        15,
        1100,
        15,
        2,
        1500,
    )
    assert (sample.interval_ms, sample.path.bytes_received, sample.path.rtt_us) == (1000, 500, 20_000)
    fields = qoe.ReceivedVideo.DESCRIPTOR.fields_by_name
    assert series.absent >> fields["freezes"].number & 1
    assert not series.absent >> fields["packets"].number & 1
    assert not series.absent >> fields["switched"].number & 1
    assert not video.HasField("jitter_buffer_delay_ms")


def test_a_slot_whose_source_has_changed_is_switched() -> None:
    sampler = Sampler(before_at_ms=0)
    sampler.sample(PATH, [VIDEO], 1000)
    sample, (series,) = sampler.sample(PATH, [replace(VIDEO, track_id="TR_2", packets=12)], 2000)
    assert series.track_id == "TR_2"
    assert (sample.received_video[0].packets, sample.received_video[0].switched) == (2, True)


def test_a_series_is_kept_until_it_changes_and_64_tracks_are_the_most() -> None:
    sampler = Sampler(before_at_ms=0)
    many = [replace(VIDEO, track_id=f"TR_{index}", stream=f"received {index}") for index in range(70)]
    _, first = sampler.sample(PATH, many, 1000)
    _, second = sampler.sample(PATH, many[1:], 2000)
    assert sorted(one.number for one in first) == list(range(1, 65))
    assert second[0] is first[1]
    assert second[-1].number == first[0].number


def test_states_are_not_faults() -> None:
    sampler = Sampler(before_at_ms=0)
    sample, _ = sampler.sample(
        PATH, [replace(VIDEO, muted=True), replace(VIDEO, track_id="TR_2", paused=True)], 1
    )
    assert [one.state for one in sample.received_video] == [qoe.TRACK_STATE_MUTED, qoe.TRACK_STATE_PAUSED]


def test_the_outbox_keeps_samples_in_bounds_and_counts_what_it_drops() -> None:
    outbox = TelemetryOutbox()
    for second in range(131):
        outbox.add(qoe.TelemetrySample(), [], second * 1000)
    assert (len(outbox), outbox.dropped) == (1 + KEEP_MS // 1000, 10)
    (message,) = outbox.unsent()
    assert (message.dropped_samples, message.samples[0].number) == (10, 11)
    large = TelemetryOutbox()
    for _ in range(400):
        sample = qoe.TelemetrySample()
        for index in range(64):
            sample.received_audio.add(series=index + 1, packets=2**31, bytes=2**31)
        large.add(sample, [], 1)
    assert sum(one.ByteSize() for one in large.remaining(10**9)) <= KEEP_BYTES + 64
    assert large.dropped > 0
    assert all(one.ByteSize() <= MESSAGE_BYTES for one in large.unsent())


def test_the_outbox_forgets_what_is_stored_and_repeats_what_was_not_kept() -> None:
    outbox = TelemetryOutbox()
    for second in range(4):
        outbox.add(qoe.TelemetrySample(), [], second)
    assert numbers(outbox.unsent()) == [1, 2, 3, 4]
    outbox.stored(2, resend=False)
    assert outbox.unsent() == []
    outbox.stored(2, resend=True)
    assert numbers(outbox.unsent()) == [3, 4]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 4), st.sampled_from("abc")),
        st.tuples(st.just("send"), st.just(0), st.just("")),
        st.tuples(st.just("store"), st.integers(0, 30), st.sampled_from(["", "again"])),
    ),
    max_size=60,
)


@given(steps)
def test_every_series_is_declared_before_or_with_its_first_use(todo: list[tuple[str, int, str]]) -> None:
    outbox = TelemetryOutbox()
    current: dict[int, qoe.TrackSeries] = {}
    truth: dict[int, list[qoe.TrackSeries]] = {}
    declared: dict[int, qoe.TrackSeries] = {}

    def read(messages: list[qoe.Telemetry], known: dict[int, qoe.TrackSeries]) -> None:
        for message in messages:
            known.update({one.number: one for one in message.series})
            for sample in message.samples:
                assert all(known[one.number] == one for one in truth[sample.number])

    for kind, number, name in todo:
        if kind == "add":
            current[number] = qoe.TrackSeries(number=number, track_id=f"TR_{name}")
            truth[len(truth) + 1] = list(current.values())
            outbox.add(qoe.TelemetrySample(), list(current.values()), 0)
        elif kind == "send":
            read(outbox.unsent(), declared)
        else:
            outbox.stored(min(number, len(truth)), resend=bool(name))
        read(outbox.remaining(MESSAGE_BYTES), {})


@pytest.mark.parametrize(
    ("option", "claim", "level"),
    [
        ("on", "on", qoe.TELEMETRY_LEVEL_ON),
        ("quality", "on", qoe.TELEMETRY_LEVEL_QUALITY),
        ("on", "off", qoe.TELEMETRY_LEVEL_OFF),
        ("off", "on", qoe.TELEMETRY_LEVEL_OFF),
        ("quality", 7, qoe.TELEMETRY_LEVEL_QUALITY),
    ],
)
def test_a_token_can_only_lower_the_level(option: str, claim: object, level: int) -> None:
    assert allowed_level(option, claim) == level  # type: ignore[arg-type]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="on"):
        allowed_level("loud", "on")  # type: ignore[arg-type]


class Room:
    """A room whose readings a test sets."""

    def __init__(self) -> None:
        self.sent: list[wire.ClientMessage] = []

    async def read(self) -> tuple[PathReading, list[TrackReading]]:
        return PATH, [VIDEO]

    def steps(self) -> list[tuple[qoe.JoinStep.ValueType, float]]:
        return [(qoe.JOIN_STEP_ICE, 100.5)]

    async def tell(self, message: wire.ClientMessage) -> None:
        self.sent.append(message)


def telemetry_with(reports: list[wire.TelemetryReport], level: int = qoe.TELEMETRY_LEVEL_ON) -> Telemetry:
    async def post(report: wire.TelemetryReport) -> None:
        reports.append(report)

    return Telemetry(level, "lobby", post, clock=lambda: 101.0)


async def test_a_participant_measures_and_reports_what_is_not_stored() -> None:
    reports: list[wire.TelemetryReport] = []
    telemetry, room = telemetry_with(reports), Room()
    telemetry.start(room, "PA_me", qoe.TELEMETRY_LEVEL_ON)
    await telemetry.measure()
    await telemetry.measure()
    telemetry.stored(TelemetryStored(1, resend=False))
    await telemetry.close()
    assert [message.request_id for message in room.sent] == [0, 0]
    assert numbers([message.telemetry for message in room.sent]) == [1, 2]
    steps_reached = [one.join_step.step for one in room.sent[0].telemetry.samples[0].events]
    assert steps_reached == [qoe.JOIN_STEP_TOKEN, qoe.JOIN_STEP_ICE]
    (report,) = reports
    assert (report.room, report.participant_id, numbers([report.telemetry])) == ("lobby", "PA_me", [2])
    assert report.telemetry.series[0].track_id == "TR_1"


async def test_a_server_without_telemetry_gets_none() -> None:
    reports: list[wire.TelemetryReport] = []
    telemetry, room = telemetry_with(reports), Room()
    telemetry.start(room, "PA_me", qoe.TELEMETRY_LEVEL_UNSPECIFIED)
    await telemetry.measure()
    await telemetry.close()
    assert (room.sent, reports) == ([], [])


async def test_a_failed_join_is_reported_with_the_step_that_was_not_reached() -> None:
    reports: list[wire.TelemetryReport] = []
    telemetry = telemetry_with(reports)
    telemetry.reached(qoe.JOIN_STEP_SOCKET)
    await telemetry.close(NexusError("TOKEN_EXPIRED", "too late"))
    (report,) = reports
    events = report.telemetry.samples[0].events
    assert (events[-1].join_failed.step, events[-1].join_failed.code) == (
        qoe.JOIN_STEP_ANSWER,
        "TOKEN_EXPIRED",
    )
    assert report.participant_id == ""
    assert len(report.attempt_id) == 36


async def test_a_session_carries_telemetry(server: FakeServer, token: str) -> None:
    server.join.telemetry = qoe.TELEMETRY_LEVEL_ON
    arrived = asyncio.Event()
    server.answers["telemetry"] = lambda message: arrived.set()
    async with asyncio.timeout(20):
        room = await NexusClient(token=token, server_url=server.url).join()
        await arrived.wait()
        await room.leave()
    (sample,) = server.last("telemetry").telemetry.samples
    assert sample.number == 1
    reached = [event.join_step.step for event in sample.events]
    assert reached[:3] == [qoe.JOIN_STEP_TOKEN, qoe.JOIN_STEP_SOCKET, qoe.JOIN_STEP_ANSWER]
