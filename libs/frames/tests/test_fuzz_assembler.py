"""Nothing that a publisher sends raises, and each packet is counted. The C++ part has fuzzers of its own
(`native/fuzz/frame_fuzz.cc`, `description_fuzz.cc`)."""

from hypothesis import given, settings
from hypothesis import strategies as st
from nexus.sfu.v1 import track_stream_pb2 as pb
from nexus_frames import Codec, Frame, FrameAssembler
from nexus_frames.opus import packet_samples
from nexus_frames.testing import encode_video, packetize

# Payloads of real frames, whole and cut, between arbitrary bytes.
REAL = [
    payload
    for codec in (Codec.VP8, Codec.VP9, Codec.H264, Codec.AV1)
    for frame in encode_video(codec, 3)
    for payload in packetize(codec, frame.data, frame.keyframe)
]
payloads = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(REAL),
    st.builds(lambda payload, end: payload[:end], st.sampled_from(REAL), st.integers(0, 60)),
)


@st.composite
def records(draw: st.DrawFn) -> pb.StreamRecord:
    kind = draw(st.sampled_from(["packet"] * 12 + ["gap", "source", "muted", "end", "none"]))
    record = pb.StreamRecord()
    if kind == "packet":
        packet = record.packet
        packet.payload = draw(payloads)
        packet.rtp_timestamp = draw(st.integers(0, 3))
        packet.marker = draw(st.booleans())
        packet.keyframe = draw(st.booleans())
        packet.media_time_us = draw(st.integers(-(2**63), 2**63 - 1))
        if draw(st.booleans()):
            packet.video_orientation = draw(st.integers(0, 2**32 - 1))
    elif kind == "source":
        record.source.codec = draw(st.integers(0, 7))  # type: ignore[assignment]
    elif kind == "gap":
        record.gap.reason = draw(st.integers(0, 9))  # type: ignore[assignment]
    elif kind == "muted":
        record.muted.muted = draw(st.booleans())
    elif kind == "end":
        record.end.reason = draw(st.integers(0, 9))  # type: ignore[assignment]
    return record


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 5), st.lists(records(), max_size=40), st.integers(0, 40))
def test_any_records_give_events(codec: int, stream: list[pb.StreamRecord], cut: int) -> None:
    source = pb.StreamRecord(source=pb.StreamSource(codec=codec))  # type: ignore[arg-type]
    stream = [source, *stream]
    assembler = FrameAssembler()
    events = assembler.add(pb.StreamTrackResponse(records=stream[:cut]))
    events += assembler.add(pb.StreamTrackResponse(records=stream[cut:]))
    counters = assembler.counters
    assert counters.packets == sum(record.WhichOneof("record") == "packet" for record in stream)
    assert counters.frames == sum(isinstance(event, Frame) for event in events)
    assert 0 <= assembler.held_records <= len(stream)
    for event in events:
        if isinstance(event, Frame):
            assert event.data
    again = FrameAssembler()
    assert again.add(pb.StreamTrackResponse(records=stream)) == events


@given(st.binary(max_size=8))
def test_the_duration_of_any_opus_packet_is_known_or_refused(packet: bytes) -> None:
    samples = packet_samples(packet)
    assert samples is None or 0 < samples <= 5_760
