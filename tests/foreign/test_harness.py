"""Tests of the harness: its checks fail when they should."""

import sys
from pathlib import Path

import pytest
from av import CodecContext, Packet, VideoFrame
from av.video.codeccontext import VideoCodecContext
from harness.clips import GROUP_FRAMES, Noise, make_audio, make_video, read_ivf
from harness.participant import ClientFailed, Participant
from harness.payload import after_vp8_descriptor, begins_keyframe, checksum
from harness.verdicts import invented, missing, missing_runs, stalls
from nexus_rtc.synthetic import colour_of

COLOUR = (220, 30, 30)


@pytest.mark.parametrize(
    ("counts", "at"),
    [([1, 2, 3], []), ([0, 5, 5, 9], [2]), ([3, 3, 3], [1, 2]), ([9, 0, 4], [1]), ([7], [])],
)
def test_a_second_without_a_packet_is_a_stall(counts: list[int], at: list[int]) -> None:
    assert stalls(counts) == at


def test_loss_and_foreign_packets_are_distinguished() -> None:
    assert missing([1, 2, 3, 4], [4, 3, 2, 1, 1]) == 0
    assert missing([1, 2, 3, 4], [1, 2, 9]) == 0.5
    assert missing([], [1]) == 1.0  # nothing sent proves nothing
    assert missing_runs([1, 2, 3, 4, 5], [1, 4]) == [(1, 2), (4, 1)]
    assert missing_runs([1, 2], [2, 1]) == []
    assert invented([1, 2, 3], [3, 1, 1]) == 0
    assert invented([1, 2, 3], [3, 4, 4]) == 2


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_a_clip_decodes_begins_with_a_keyframe_and_never_repeats(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "clip.ivf"
    make_video(path, codec, Noise(COLOUR, 1), seconds=5)
    clip = read_ivf(path)
    assert (clip.codec, clip.rate, len(clip.frames)) == (codec, 15, 75)
    assert [at for at in range(75) if clip.is_keyframe(at)] == [0, GROUP_FRAMES, 2 * GROUP_FRAMES]
    assert [clip.next_keyframe(at) for at in (0, 1, 60, 61, 75)] == [0, 30, 60, 0, 0]
    assert len(set(clip.frames)) == 75
    decoder = CodecContext.create(codec, "r")
    assert isinstance(decoder, VideoCodecContext)
    pictures = [picture for frame in clip.frames for picture in decoder.decode(Packet(frame))]
    assert len(pictures) >= 74
    assert isinstance(pictures[-1], VideoFrame)
    assert colour_of(pictures[-1]) == pytest.approx(COLOUR, abs=20)


def test_audio_never_repeats(tmp_path: Path) -> None:
    make_audio(tmp_path / "clip.ivf", Noise(COLOUR, 1), seconds=2)
    clip = read_ivf(tmp_path / "clip.ivf")
    assert (clip.codec, clip.rate) == ("opus", 50)
    assert len(set(clip.frames)) == len(clip.frames) >= 100


@pytest.mark.parametrize(
    "descriptor",
    ["10", "90801f", "9080ffff", "90c0ffff07", "90e0ffff07e1", "90a01f20", "9040aa", "903020"],
)
def test_a_vp8_descriptor_is_not_compared(descriptor: str) -> None:
    """RFC 7741 section 4.2: with short and long PictureID, TL0PICIDX, TID and KEYIDX."""
    body = b"\x50\x01\x02coded"
    packet = bytes.fromhex(descriptor) + body
    assert after_vp8_descriptor(packet) == body
    assert checksum("vp8", packet) == checksum("vp8", b"\x10" + body) != checksum("h264", packet)
    assert begins_keyframe("vp8", packet)
    assert not begins_keyframe("vp8", bytes.fromhex(descriptor) + b"\x51" + body[1:])
    assert not begins_keyframe("vp8", b"\x00" + body)  # not the start of a partition


@pytest.mark.parametrize(
    ("payload", "keyframe"),
    [
        ("65aabb", True),
        ("61aabb", False),
        ("6742c00c", False),
        ("7c85aa", True),
        ("7c81aa", False),
        ("78000267420003 65aabb", True),
        ("7800026742000368aabb", False),
        ("65", False),
    ],
)
def test_an_idr_picture_is_found_in_every_packetization(payload: str, keyframe: bool) -> None:
    assert begins_keyframe("h264", bytes.fromhex(payload)) is keyframe


async def test_a_client_that_ends_or_does_not_report_fails_the_run(tmp_path: Path) -> None:
    program = """
import json, sys
print(json.dumps({"event": "joined", "as": json.loads(input())["room"]}), flush=True)
print("its last words", file=sys.stderr)
sys.exit(input() == "")
"""
    one = await Participant.start("one", (sys.executable, "-c", program), {"room": "lobby"}, tmp_path)
    await one.has("joined", 60)
    assert one.all("joined") == [{"event": "joined", "as": "lobby"}]
    with pytest.raises(ClientFailed, match="not within 0 s"):
        await one.has("joined", 0.01, count=2)
    assert await one.leave(60) == 0
    with pytest.raises(ClientFailed, match=r"the process ended before[^|]*its last words"):
        await one.has("left", 60)
