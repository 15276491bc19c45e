"""When audio and video play in a file, in emulated time: clocks that are off, tracks that are replaced."""

import asyncio
import hashlib
import json
import subprocess
from bisect import bisect_left
from collections import defaultdict
from pathlib import Path
from typing import Any

import av
import pytest
from nexus.recorder.v1 import recording_pb2
from nexus_frames.formats import Codec
from nexus_frames.testing import decode, encode_sound
from nexus_recorder.media.ports import PublicationGone, PublicationPut
from nexus_recorder.run import RoomMoved

from services.recorder.tests.rig import DELAY_US, EPOCH_MS, MS, SECOND, Lease, Node, Stage, Tape
from services.recorder.tests.schema import validate

MINUTE = 60 * SECOND
MANIFEST = "nexus-recordings/demo/RC_1/manifest.json"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def finished(stage: Stage) -> tuple[list[Path], dict[str, Any]]:
    """The files, each checked against its hash in the manifest, and the manifest."""
    files = stage.finish().files
    values: dict[str, Any] = json.loads(stage.fetch(MANIFEST).read_bytes())
    validate(values)
    paths = [stage.fetch(file.key) for file in files]
    listed = {file["key"]: (file["sha256"], file["bytes"]) for file in values["files"]}
    for file, path in zip(files, paths, strict=True):
        content = path.read_bytes()
        assert listed[file.key] == (hashlib.sha256(content).hexdigest(), len(content))
    return paths, values


def packets_of(path: Path, kind: str) -> list[tuple[int, bytes]]:
    """The packets of the stream of a kind: their times in microseconds, and their bytes."""
    with av.open(str(path), "r") as container:
        [stream] = [each for each in container.streams if each.type == kind]
        return [
            (round(packet.pts * packet.time_base * 1_000_000), bytes(packet))
            for packet in container.demux(stream)
            if packet.pts is not None and packet.time_base is not None
        ]


def frame_sizes(path: Path) -> list[tuple[int, int]]:
    """The size of every decoded frame, by ffprobe."""
    arguments = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "frame=width,height"]
    done = subprocess.run(
        [*arguments, "-of", "csv=p=0", str(path)], capture_output=True, text=True, timeout=600, check=True
    )
    assert done.stderr == ""
    lines = [line.split(",") for line in done.stdout.split()]
    return [(int(line[0]), int(line[1])) for line in lines]


def lateness_of_audio(path: Path, tape: Tape) -> list[int]:
    """How much later than it was sent each packet of sound plays, in microseconds. The sounds of one second
    differ, so a packet is recognised by its bytes."""
    sounds = {data: number for number, data in enumerate(encode_sound(50))}
    sent: dict[int, list[int]] = defaultdict(list)
    for number, at in enumerate(tape.sent):
        sent[number % 50].append(at)
    late = []
    for at, data in packets_of(path, "audio"):
        if data in sounds:
            times = sent[sounds[data]]
            index = bisect_left(times, at)
            late.append(min((at - time for time in times[max(0, index - 1) : index + 1]), key=abs))
    return late


def lateness_of_video(path: Path, tape: Tape) -> list[int]:
    times = [at for at, _ in packets_of(path, "video")]
    assert len(times) == len(tape.sent)
    return [at - sent for at, sent in zip(times, tape.sent, strict=True)]


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("ppm", [200, -200])
def test_an_hour_of_a_sender_clock_that_is_200_ppm_off_stays_in_sync(stage: Stage, ppm: int) -> None:
    """The node has corrected `media_time_us`, but a decoder counts samples: packets that last 20 ms come
    every 20.004 or 19.996 ms. The sound of the last six minutes has no hole in which the audio could catch
    up, and would be 72 ms off at the end."""
    stage.spec(participants=True)
    step = 20 * MS + 20 * MS * ppm // 1_000_000
    audio = stage.tape(Codec.OPUS, "TR_A").sound(0, 10 * SECOND)
    audio.sound(54 * MINUTE, 60 * MINUTE, step_us=step).end(60 * MINUTE)
    video = stage.tape(Codec.VP8, "TR_V").pictures(0, 60 * MINUTE, step_us=1_500 * MS, keyframe_every=4)
    video.end(60 * MINUTE)
    stage.snapshot()
    stage.record(60 * MINUTE + SECOND)
    [path], values = finished(stage)
    found = decode(path)
    assert found.errors == ""
    assert found.audio_samples / 48_000 == pytest.approx(3_600.5, abs=0.6)
    assert [track["gaps"] for track in values["tracks"]] == [[], []]
    heard, seen = lateness_of_audio(path, audio), lateness_of_video(path, video)
    # Packets of sound that come too fast are left out now and then, three in six minutes.
    assert len(heard) == pytest.approx(len(audio.sent), abs=10)
    assert max(seen) - min(seen) <= 2 * MS
    assert min(seen) >= DELAY_US - 2 * MS
    skew = sorted(abs(late - seen[0]) for late in heard)
    assert skew[len(skew) * 99 // 100] <= 40 * MS
    assert skew[-1] <= 40 * MS


@pytest.mark.parametrize("first", ["audio", "video"])
def test_tracks_that_start_10_s_apart_stay_in_sync(stage: Stage, first: str) -> None:
    """egress #847, #1139."""
    stage.spec(participants=True)
    begins = {"audio": 0, "video": 10 * SECOND} if first == "audio" else {"audio": 10 * SECOND, "video": 0}
    audio = stage.tape(Codec.OPUS, "TR_A").sound(begins["audio"], 20 * SECOND).end(20 * SECOND)
    video = stage.tape(Codec.VP8, "TR_V").pictures(begins["video"], 20 * SECOND).end(20 * SECOND)
    stage.snapshot()
    stage.record(21 * SECOND)
    [path], _ = finished(stage)
    found = decode(path)
    assert found.errors == ""
    assert found.audio_samples / 48_000 == pytest.approx(20.5, abs=0.6)
    heard, seen = lateness_of_audio(path, audio), lateness_of_video(path, video)
    assert len(heard) == len(audio.sent)
    assert max(abs(late - seen[0]) for late in heard + seen) <= 12 * MS


@pytest.mark.parametrize("ahead_s", [37, -37])
@pytest.mark.parametrize("replaced", [False, True])
def test_a_room_on_another_node_with_another_clock_continues_the_timeline(
    stage: Stage, ahead_s: int, replaced: bool
) -> None:
    """The SFU is killed at 10 s, and the room goes on at 14 s; with `replaced` the owner dies too."""
    stage.spec(participants=True)
    stage.nodes["node-2"] = Node("node-2", "RM_2")
    stage.node.dead_at_us = 10 * SECOND
    stage.tape(Codec.OPUS, "TR_A1").sound(0, 10 * SECOND)
    stage.tape(Codec.VP8, "TR_V1").pictures(0, 10 * SECOND)
    clock_us = EPOCH_MS * 1000 + ahead_s * SECOND
    audio = stage.tape(Codec.OPUS, "TR_A2", node="node-2", clock_us=clock_us)
    audio.sound(14 * SECOND, 20 * SECOND).end(20 * SECOND)
    video = stage.tape(Codec.VP8, "TR_V2", node="node-2", clock_us=clock_us)
    video.pictures(14 * SECOND, 20 * SECOND).end(20 * SECOND)
    stage.snapshot(0)
    stage.snapshot(13 * SECOND, node="node-2")
    if replaced:

        async def dies() -> None:
            task = asyncio.create_task(stage.run().run())
            await stage.at(11 * SECOND)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        stage.play(dies())
        stage.recording.started_at_ms = EPOCH_MS
    stage.record(21 * SECOND, lease=Lease(2 if replaced else 1))
    assert replaced or any(isinstance(event, RoomMoved) for event in stage.events)
    [path], values = finished(stage)
    found = decode(path)
    assert found.errors == ""
    assert found.audio_samples / 48_000 == pytest.approx(20.5, abs=0.6)
    again = [time for time in found.video_times if time > 12]
    assert len(again) == len(video.sent)
    assert again[0] == pytest.approx(14.04, abs=0.01)
    second = [at for at, data in packets_of(path, "audio") if at > 12 * SECOND and len(data) > 3]
    assert len(second) == len(audio.sent)
    assert second[0] == pytest.approx(14.04 * SECOND, abs=12 * MS)
    assert [each["line"] for each in values["clocks"]] == ["node-1/RM_1", "node-2/RM_2"]
    offsets = [each["offset_us"] for each in values["clocks"]]
    assert offsets[1] - offsets[0] == pytest.approx(ahead_s * SECOND, abs=5 * MS)
    for track in values["tracks"]:
        [gap] = track["gaps"]
        assert gap["reason"] == "node_lost"
        assert 9_000 <= gap["from_ms"] <= 10_100
        assert gap["to_ms"] == pytest.approx(14_040, abs=20)


def test_the_gap_of_a_lost_node_is_reported_although_the_recording_stops_at_once(stage: Stage) -> None:
    """The tap of the lost node neither ends nor fails, because its reader tries to reach the node again."""
    stage.spec(participants=True)
    stage.nodes["node-2"] = Node("node-2", "RM_2")
    stage.tape(Codec.OPUS, "TR_A1").sound(0, 10 * SECOND)
    stage.tape(Codec.OPUS, "TR_A2", node="node-2").sound(14 * SECOND, 16 * SECOND)
    stage.snapshot(0)
    stage.snapshot(13 * SECOND, node="node-2")
    stage.record(16 * SECOND)
    _, values = finished(stage)
    [track] = values["tracks"]
    [gap] = track["gaps"]
    assert gap["reason"] == "node_lost"
    assert gap["from_ms"] == pytest.approx(10_040, abs=100)
    assert gap["to_ms"] == pytest.approx(14_040, abs=100)


def test_an_unmute_as_a_new_track_continues_the_file(stage: Stage) -> None:
    """mediasoup3-record-demo #64: the publisher ends the track, and publishes another one of the source."""
    stage.spec(participants=True)
    audio = stage.tape(Codec.OPUS, "TR_A").sound(0, 12 * SECOND).end(12 * SECOND)
    first = stage.tape(Codec.VP8, "TR_V1").pictures(0, 4 * SECOND).end(4 * SECOND)
    second = stage.tape(Codec.VP8, "TR_V2").pictures(9 * SECOND, 12 * SECOND).end(12 * SECOND)
    stage.snapshot(0, tapes=[audio, first])
    stage.script.append((4 * SECOND, PublicationGone("TR_V1")))
    stage.script.append((9 * SECOND - 100 * MS, PublicationPut(second.publication)))
    stage.record(13 * SECOND)
    [path], values = finished(stage)
    found = decode(path)
    assert found.errors == ""
    assert len(found.video_times) == len(first.sent) + len(second.sent)
    assert found.video_times[len(first.sent)] == pytest.approx(9.04, abs=0.01)
    [track] = [each for each in values["tracks"] if each["media"] == "video"]
    assert track["track_ids"] == ["TR_V1", "TR_V2"]
    [held] = track["held"]
    assert (held["from_ms"], held["to_ms"]) == pytest.approx((4_000, 9_000), abs=100)


def test_a_track_that_ended_after_a_takeover_is_not_prolonged(stage: Stage) -> None:
    """The owner that died has not noted the end; the next one has."""
    audio = stage.tape(Codec.OPUS, "TR_A").sound(0, 15 * SECOND).end(15 * SECOND)
    other = stage.tape(Codec.OPUS, "TR_B", "ben").sound(0, 60 * SECOND).end(60 * SECOND)
    stage.snapshot()

    async def dies() -> None:
        task = asyncio.create_task(stage.run().run())
        await stage.at(8 * SECOND)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stage.play(dies())
    stage.recording.started_at_ms = EPOCH_MS
    stage.script.append((15 * SECOND, PublicationGone("TR_A")))
    stage.record(61 * SECOND, lease=Lease(2))
    _, values = finished(stage)
    ends = {track["identity"]: track["to_ms"] for track in values["tracks"]}
    assert ends["anna"] == pytest.approx(len(audio.sent) * 20, abs=1_100)
    assert ends["ben"] == pytest.approx(len(other.sent) * 20, abs=1_100)
    lengths = {file["identity"]: file["duration_ms"] for file in values["files"]}
    assert lengths["anna"] == pytest.approx(ends["anna"], abs=20)


def test_every_frame_of_simulcast_has_the_size_in_which_it_was_sent(stage: Stage) -> None:
    video = stage.tape(Codec.H264, "TR_V").pictures(0, 3 * SECOND, width=160, height=96)
    video.source_change(3 * SECOND, ssrc=2).pictures(3 * SECOND, 6 * SECOND, width=320, height=192)
    video.source_change(6 * SECOND, ssrc=1).pictures(6 * SECOND, 9 * SECOND, width=160, height=96)
    video.end(9 * SECOND)
    stage.snapshot()
    stage.record(10 * SECOND)
    [path], values = finished(stage)
    sizes = frame_sizes(path)
    count = len(video.sent) // 3
    assert sizes == [(160, 96)] * count + [(320, 192)] * count + [(160, 96)] * (len(video.sent) - 2 * count)
    changes = values["tracks"][0]["sizes"]
    assert [each["from_ms"] for each in changes] == pytest.approx([40, 3_040, 6_040], abs=40)


@pytest.mark.parametrize(
    ("codec", "content_type"),
    [
        (Codec.VP9, "video/webm"),
        (Codec.AV1, "video/webm"),
        (Codec.H264, "video/mp4"),
        (Codec.OPUS, "audio/ogg"),
    ],
)
def test_webm_on_request_where_it_holds_the_codec(stage: Stage, codec: Codec, content_type: str) -> None:
    stage.spec(prefer_webm=True, keep_segments=True)
    tape = stage.tape(codec, "TR_1")
    tape.pictures(0, 8 * SECOND) if tape.is_video else tape.sound(0, 8 * SECOND)
    tape.end(8 * SECOND)
    stage.snapshot()
    stage.record(9 * SECOND)
    [path], values = finished(stage)
    [file] = values["files"]
    assert file["content_type"] == content_type
    ends = {segment["key"].rsplit(".", 1)[-1] for segment in values["segments"]}
    assert ends == {"mp4" if codec is Codec.H264 else "webm"}
    found = decode(path)
    assert found.errors == ""
    assert len(found.video_times) == (len(tape.sent) if tape.is_video else 0)


def test_a_rotated_part_says_so_to_the_player(stage: Stage) -> None:
    video = stage.tape(Codec.H264, "TR_V").pictures(0, 3 * SECOND, orientation=0)
    video.pictures(3 * SECOND, 6 * SECOND, orientation=1).end(6 * SECOND)
    stage.snapshot()
    stage.record(7 * SECOND)
    paths, _ = finished(stage)
    turned = []
    for path in paths:
        arguments = ["ffprobe", "-v", "error", "-show_entries", "stream_side_data=rotation", "-of", "json"]
        done = subprocess.run([*arguments, str(path)], capture_output=True, timeout=600, check=True)
        [stream] = json.loads(done.stdout)["streams"]
        turned.append([each["rotation"] for each in stream.get("side_data_list", [])])
    # ffprobe counts anticlockwise.
    assert turned == [[], [-90]]


def test_a_recording_without_media_has_a_manifest_and_no_files(stage: Stage) -> None:
    stage.snapshot()
    stage.record(3 * SECOND, reason=recording_pb2.END_REASON_STOPPED)
    paths, values = finished(stage)
    assert (paths, values["tracks"], values["files"]) == ([], [], [])
    assert values["recording"]["duration_ms"] == pytest.approx(3_000, abs=600)
