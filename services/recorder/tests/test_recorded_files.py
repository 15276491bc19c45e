"""Calls in emulated time, from the tap to the files, which are decoded completely."""

import json
from pathlib import Path
from typing import Any

import pytest
from nexus.types.v1.media_pb2 import TrackSource
from nexus_frames.formats import Codec
from nexus_frames.testing import decode
from nexus_frames.testing.ffmpeg import Decoded
from nexus_recorder.core.selection import Publisher
from nexus_recorder.media.ports import PublicationPut, PublisherPut
from nexus_recorder.run import BytesChanged, Conclusion, SegmentStored, Started
from structlog.testing import capture_logs

from services.recorder.tests.rig import EPOCH_MS, MS, SECOND, Stage
from services.recorder.tests.schema import validate

MINUTE = 60 * SECOND


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def manifest(stage: Stage) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stage.fetch("nexus-recordings/demo/RC_1/manifest.json").read_bytes())
    validate(found)
    return found


def only_file(stage: Stage) -> Decoded:
    """The one file of the recording, decoded without errors."""
    [file] = stage.finish().files
    found = decode(stage.fetch(file.key))
    assert found.errors == ""
    return found


def seconds(found: Decoded) -> float:
    return found.audio_samples / 48_000


def longest(intervals: list[dict[str, int]]) -> int:
    return max(each["to_ms"] - each["from_ms"] for each in intervals)


def test_audio_and_video_that_start_10_s_apart_are_aligned(stage: Stage) -> None:
    stage.spec(participants=True)
    stage.tape(Codec.OPUS, "TR_A").sound(0, 20 * SECOND).end(20 * SECOND)
    video = stage.tape(Codec.VP8, "TR_V").pictures(10 * SECOND, 20 * SECOND).end(20 * SECOND)
    stage.snapshot()
    assert stage.record(21 * SECOND).conclusion is Conclusion.OVER
    [file] = stage.finish().files
    assert file.content_type == "video/webm"
    assert list(file.track_ids) == ["TR_V", "TR_A"]
    found = decode(stage.fetch(file.key))
    assert found.errors == ""
    assert len(found.video_times) == len(video.sent)
    # Both are later than they were sampled by the same shortest delay.
    assert found.video_times[0] == pytest.approx(10.04, abs=0.002)
    assert seconds(found) == pytest.approx(20.5, abs=0.6)
    kinds = [type(event) for event in stage.events]
    assert kinds[0] is Started
    assert SegmentStored in kinds
    assert kinds[-1] is BytesChanged


def test_a_capture_that_stalls_while_rtp_goes_on_does_not_shorten_the_file(stage: Stage) -> None:
    """bigbluebutton #25259: the packets stop for 5 s, and go on with the next RTP time."""
    stage.spec(participants=True)
    audio = (
        stage.tape(Codec.OPUS, "TR_A").sound(0, 5 * SECOND).sound(10 * SECOND, 15 * SECOND).end(15 * SECOND)
    )
    video = stage.tape(Codec.VP8, "TR_V").pictures(0, 5 * SECOND).pictures(10 * SECOND, 15 * SECOND)
    video.end(15 * SECOND)
    for number, (_, record) in enumerate(r for r in audio.records if r[1].WhichOneof("record") == "packet"):
        record.packet.rtp_timestamp = number * 960
    stage.snapshot()
    stage.record(16 * SECOND)
    found = only_file(stage)
    assert seconds(found) == pytest.approx(15.5, abs=0.6)
    assert found.video_times[-1] == pytest.approx(15, abs=0.1)
    tracks = {track["media"]: track for track in manifest(stage)["tracks"]}
    [held] = tracks["video"]["held"]
    assert held["to_ms"] - held["from_ms"] == pytest.approx(5_000, abs=100)
    assert longest(tracks["audio"]["silent"]) == pytest.approx(5_000, abs=100)


def test_rtp_time_that_stands_still_does_not_stop_the_recording(stage: Stage) -> None:
    """janus PR #2573: packets go on with one RTP time, as across a phone call."""
    tape = stage.tape(Codec.OPUS, "TR_A").sound(0, 10 * SECOND).end(10 * SECOND)
    for _, record in tape.records[200:300]:
        record.packet.rtp_timestamp = tape.records[200][1].packet.rtp_timestamp
    stage.snapshot()
    stage.record(11 * SECOND)
    assert seconds(only_file(stage)) == pytest.approx(10.5, abs=0.6)
    assert manifest(stage)["tracks"][0]["frames"] == len(tape.sent)


def test_minutes_of_dtx_are_as_long_as_in_the_call(stage: Stage) -> None:
    tape = stage.tape(Codec.OPUS, "TR_A").sound(0, 3 * SECOND)
    tape.sound(3 * MINUTE, 3 * MINUTE + 3 * SECOND).end(3 * MINUTE + 3 * SECOND)
    stage.snapshot()
    stage.record(3 * MINUTE + 4 * SECOND)
    assert seconds(only_file(stage)) == pytest.approx(183.5, abs=0.6)
    [track] = manifest(stage)["tracks"]
    assert track["gaps"] == []
    assert longest(track["silent"]) == pytest.approx(177_000, abs=100)


def test_a_mute_and_an_unmute_as_a_new_ssrc_stay_one_file(stage: Stage) -> None:
    video = stage.tape(Codec.VP8, "TR_V").pictures(0, 4 * SECOND).mute(True, 4 * SECOND)
    video.source_change(9 * SECOND).mute(False, 9 * SECOND).pictures(9 * SECOND, 12 * SECOND).end(12 * SECOND)
    stage.snapshot()
    stage.record(13 * SECOND)
    found = only_file(stage)
    assert len(found.video_times) == len(video.sent)
    assert found.video_times[-1] == pytest.approx(12, abs=0.1)
    [mute] = manifest(stage)["tracks"][0]["mutes"]
    assert mute["from_ms"] == pytest.approx(4_000, abs=100)
    assert mute["to_ms"] == pytest.approx(9_000, abs=100)


def test_what_is_sampled_after_the_stop_is_left_out(stage: Stage) -> None:
    stage.spec(participants=True)
    stage.tape(Codec.OPUS, "TR_A").sound(0, 20 * SECOND)
    stage.tape(Codec.VP8, "TR_V").pictures(0, 20 * SECOND)
    stage.snapshot()
    assert stage.record(6 * SECOND).ended_at_ms == EPOCH_MS + 6_000
    found = only_file(stage)
    assert seconds(found) == pytest.approx(6, abs=0.02)
    assert found.video_times[-1] == pytest.approx(6, abs=0.04)
    assert manifest(stage)["recording"]["duration_ms"] == pytest.approx(6_000, abs=20)


@pytest.mark.parametrize("codec", [Codec.OPUS, Codec.VP8])
def test_a_mute_in_the_batch_that_completes_a_fragment_costs_nothing(stage: Stage, codec: Codec) -> None:
    tape = stage.tape(codec, "TR_1")
    put = tape.pictures if tape.is_video else tape.sound
    put(0, 2_300 * MS)
    tape.mute(True, 2_300 * MS).mute(False, 4 * SECOND)
    put(4 * SECOND, 8 * SECOND)
    tape.end(8 * SECOND)
    stage.snapshot()
    with capture_logs() as logs:
        stage.record(9 * SECOND)
    assert [each for each in logs if each["log_level"] == "error"] == []
    only_file(stage)
    [track] = manifest(stage)["tracks"]
    assert track["frames"] == len(tape.sent)


def test_16_of_30_frames_play_at_their_own_times(stage: Stage) -> None:
    """egress #853: a file of 16 frames a second played as if it had 30."""
    video = stage.tape(Codec.VP8, "TR_V").pictures(0, 10 * SECOND, step_us=62_500).end(10 * SECOND)
    stage.snapshot()
    stage.record(11 * SECOND)
    found = only_file(stage)
    assert len(found.video_times) == len(video.sent)
    steps = {round(b - a, 2) for a, b in zip(found.video_times, found.video_times[1:], strict=False)}
    assert steps == {0.06}


def test_a_lost_keyframe_leaves_out_what_refers_to_it_and_is_reported(stage: Stage) -> None:
    video = stage.tape(Codec.VP8, "TR_V").pictures(0, 8 * SECOND, lose=frozenset({60})).end(8 * SECOND)
    stage.snapshot()
    stage.record(9 * SECOND)
    found = only_file(stage)
    assert len(found.video_times) == len(video.sent) - 59
    [gap] = manifest(stage)["tracks"][0]["gaps"]
    assert (gap["reason"], gap["packets"]) == ("lost", 1)


def test_simulcast_up_and_down_changes_the_size_within_one_file(stage: Stage) -> None:
    video = stage.tape(Codec.VP8, "TR_V").pictures(0, 3 * SECOND, width=160, height=96)
    video.source_change(3 * SECOND, ssrc=2).pictures(3 * SECOND, 6 * SECOND, width=320, height=192)
    video.source_change(6 * SECOND, ssrc=1).pictures(6 * SECOND, 9 * SECOND, width=160, height=96)
    video.end(9 * SECOND)
    stage.snapshot()
    stage.record(10 * SECOND)
    found = only_file(stage)
    assert len(found.video_times) == len(video.sent)
    sizes = [(each["width"], each["height"]) for each in manifest(stage)["tracks"][0]["sizes"]]
    assert sizes == [(160, 96), (320, 192), (160, 96)]


def test_another_codec_begins_the_next_part(stage: Stage) -> None:
    video = stage.tape(Codec.VP8, "TR_V").pictures(0, 3 * SECOND)
    video.source_change(3 * SECOND, codec=Codec.H264).pictures(3 * SECOND, 6 * SECOND).end(6 * SECOND)
    stage.snapshot()
    stage.record(7 * SECOND)
    first, second = stage.finish().files
    assert (first.content_type, second.content_type) == ("video/webm", "video/mp4")
    assert (first.part, second.part) == (1, 2)
    assert second.offset_ms == pytest.approx(3_000, abs=100)
    decoded = [decode(stage.fetch(each.key)) for each in (first, second)]
    assert sum(len(each.video_times) for each in decoded) == len(video.sent)
    assert decoded[1].video_times[0] == pytest.approx(3.04, abs=0.1)
    assert [each.errors for each in decoded] == ["", ""]


def test_rotation_begins_the_next_part_at_a_keyframe_that_is_requested(stage: Stage) -> None:
    video = stage.tape(Codec.H264, "TR_V").pictures(0, 3 * SECOND, orientation=0)
    video.pictures(3 * SECOND, 6 * SECOND, orientation=1).end(6 * SECOND)
    stage.snapshot()
    stage.record(7 * SECOND)
    first, second = stage.finish().files
    assert [first.part, second.part] == [1, 2]
    assert sum(len(decode(stage.fetch(f.key)).video_times) for f in (first, second)) == len(video.sent)


@pytest.mark.parametrize(
    ("codec", "content_type"),
    [
        (Codec.VP9, "video/mp4"),
        (Codec.AV1, "video/mp4"),
        (Codec.H264, "video/mp4"),
        (Codec.OPUS, "audio/ogg"),
    ],
)
def test_every_codec_becomes_a_file_of_its_track(stage: Stage, codec: Codec, content_type: str) -> None:
    tape = stage.tape(codec, "TR_1")
    tape.pictures(0, 8 * SECOND) if tape.is_video else tape.sound(0, 8 * SECOND)
    tape.end(8 * SECOND)
    stage.snapshot()
    stage.record(9 * SECOND)
    [file] = stage.finish().files
    assert file.content_type == content_type
    assert file.key.startswith("demo/standup/2026-")
    found = decode(stage.fetch(file.key))
    assert found.errors == ""
    assert len(found.video_times) == (len(tape.sent) if tape.is_video else 0)


def test_screen_and_screen_audio_are_a_pair_of_their_own(stage: Stage) -> None:
    stage.spec(participants=True)
    screen_audio = TrackSource.TRACK_SOURCE_SCREEN_AUDIO
    for tape in (
        stage.tape(Codec.OPUS, "TR_M"),
        stage.tape(Codec.OPUS, "TR_S", source=screen_audio),
    ):
        tape.sound(0, 3 * SECOND).end(3 * SECOND)
    for tape in (
        stage.tape(Codec.VP8, "TR_C"),
        stage.tape(Codec.VP8, "TR_D", source=TrackSource.TRACK_SOURCE_SCREEN),
    ):
        tape.pictures(0, 3 * SECOND).end(3 * SECOND)
    stage.snapshot()
    stage.record(4 * SECOND)
    files = {frozenset(file.track_ids): file.key for file in stage.finish().files}
    assert files.keys() == {frozenset({"TR_C", "TR_M"}), frozenset({"TR_D", "TR_S"})}
    assert files[frozenset({"TR_D", "TR_S"})].endswith("/anna-screen-share.webm") or "screen" in str(files)


def test_a_later_participant_is_included_within_a_second(stage: Stage) -> None:
    anna = stage.tape(Codec.OPUS, "TR_A").sound(0, 10 * SECOND).end(10 * SECOND)
    ben = stage.tape(Codec.OPUS, "TR_B", "ben").sound(5 * SECOND, 10 * SECOND).end(10 * SECOND)
    stage.snapshot(0, tapes=[anna])
    stage.script.append((5 * SECOND, PublisherPut(ben.publisher)))
    stage.script.append((5 * SECOND + MS, PublicationPut(ben.publication)))
    stage.record(11 * SECOND)
    files = {file.identity: file for file in stage.finish().files}
    assert files["ben"].offset_ms <= 6_000
    assert {each["identity"] for each in manifest(stage)["participants"]} == {"anna", "ben"}


def test_only_who_has_consented_is_recorded(stage: Stage) -> None:
    stage.recording.spec.selection.consent = "record"
    tape = stage.tape(Codec.OPUS, "TR_A").sound(0, 10 * SECOND).end(10 * SECOND)
    stage.snapshot()
    agreed = Publisher("PA_anna", "anna", "Anna", attributes={"record": "true"})
    stage.script.append((4 * SECOND, PublisherPut(agreed)))
    stage.script.append((7 * SECOND, PublisherPut(tape.publisher)))
    stage.record(11 * SECOND)
    [file] = stage.finish().files
    assert 4_000 <= file.offset_ms <= 5_000
    [track] = manifest(stage)["tracks"]
    assert track["frames"] <= 150


def test_a_track_that_sends_nothing_is_empty_and_garbage_is_undecodable(stage: Stage) -> None:
    stage.tape(Codec.VP8, "TR_E").end(5 * SECOND)
    garbage = stage.tape(Codec.VP8, "TR_G", "ben").pictures(0, 5 * SECOND).end(5 * SECOND)
    for _, record in garbage.records:
        if record.WhichOneof("record") == "packet":
            record.packet.payload = b"\x10" + bytes(40)
    audio = stage.tape(Codec.OPUS, "TR_A", "carl").sound(0, 5 * SECOND).end(5 * SECOND)
    stage.snapshot()
    stage.record(6 * SECOND)
    [file] = stage.finish().files
    assert file.identity == "carl"
    tracks = {track["identity"]: track for track in manifest(stage)["tracks"]}
    assert tracks["anna"]["empty"]
    assert tracks["ben"]["empty"]
    assert tracks["ben"]["undecodable"] != []
    assert tracks["carl"]["frames"] == len(audio.sent)


def test_a_video_without_a_keyframe_is_undecodable(stage: Stage) -> None:
    video = stage.tape(Codec.VP8, "TR_V").pictures(2 * SECOND, 5 * SECOND, keyframe_every=1_000)
    video.records = [each for each in video.records if not each[1].packet.keyframe]
    video.end(5 * SECOND)
    audio = stage.tape(Codec.OPUS, "TR_A").sound(0, 5 * SECOND).end(5 * SECOND)
    stage.snapshot()
    stage.record(6 * SECOND)
    [file] = stage.finish().files
    assert list(file.track_ids) == ["TR_A"]
    tracks = {track["media"]: track for track in manifest(stage)["tracks"]}
    assert tracks["video"]["empty"]
    [undecodable] = tracks["video"]["undecodable"]
    assert undecodable["reason"] == "keyframe"
    assert undecodable["at_ms"] == pytest.approx(2_000, abs=100)
    assert tracks["audio"]["frames"] == len(audio.sent)
    assert tracks["audio"]["undecodable"] == []


@pytest.mark.parametrize("keep", [False, True])
def test_a_pause_receives_nothing_and_is_cut_out_or_kept(stage: Stage, keep: bool) -> None:
    stage.spec(keep_pauses=keep)
    tape = stage.tape(Codec.OPUS, "TR_A").sound(0, 20 * SECOND).end(20 * SECOND)
    stage.snapshot()

    async def session() -> None:
        import asyncio

        run = stage.run()
        task = asyncio.create_task(run.run())
        await stage.at(5 * SECOND)
        await run.pause()
        assert stage.node.taps["TR_A"].removed
        await run.pause()
        await stage.at(12 * SECOND)
        await run.resume()
        await stage.at(21 * SECOND)
        run.stop(1)  # type: ignore[arg-type]
        await task

    stage.play(session())
    stage.recording.started_at_ms = EPOCH_MS
    expected = 20.5 if keep else 13.5
    assert seconds(only_file(stage)) == pytest.approx(expected, abs=0.6)
    values = manifest(stage)
    [pause] = values["pauses"]
    assert (pause["from_ms"], pause["to_ms"]) == (5_000, 12_000)
    assert pause["cut_out"] is not keep
    assert values["tracks"][0]["frames"] < len(tape.sent) - 340
