"""A recording from the request to the downloaded file, with all services and real media: what the file shows
and how long it plays."""

import asyncio
import itertools
import json
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import aiortc.rtcrtpsender
import pytest
from av import AudioFrame, VideoFrame
from dev_system import Development, development
from nexus.recorder.v1 import recorder_pb2, recording_pb2
from nexus_cli.development import KEY_ID, SECRET
from nexus_frames.testing import decode
from nexus_rtc import App, LocalTrack, NexusClient, Recordings, Room, ServerUnavailable, mint_token
from nexus_rtc.synthetic import SyntheticCamera, SyntheticMicrophone

APP = App(KEY_ID, SECRET)
PATIENCE_SECONDS = 120.0
RECORDED_SECONDS = 8.0

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Development]:
    with development(tmp_path_factory.mktemp("dev")) as running:
        yield running


@pytest.fixture
async def room(dev: Development, request: pytest.FixtureRequest) -> AsyncIterator[Room]:
    """A participant who publishes a camera and a microphone."""
    name = request.node.name
    camera = LocalTrack(SyntheticCamera((30, 30, 220), width=320, height=192, fps=15), width=320, height=192)
    microphone = LocalTrack(SyntheticMicrophone())
    token = mint_token(APP, room=name, identity="alice", grants=("create", "publish", "subscribe"))
    client = NexusClient(server_url=dev.url, token=token, connect_seconds=60)
    joined = await client.join(tracks=(camera, microphone))
    yield joined
    await joined.leave()


def recordings(dev: Development, room: str) -> Recordings:
    return Recordings(dev.url, mint_token(APP, room=room, identity="host", grants=("record",)))


async def start(api: Recordings, spec: recording_pb2.RecordingSpec, request_id: str = "") -> str:
    """Starts a recording and returns its id. A recorder that has just started may not know the SFU yet, and
    says when to try again."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                return (await api.start(spec, request_id=request_id)).id
            except ServerUnavailable as error:
                if not error.retry_after_ms:
                    raise
                await asyncio.sleep(error.retry_after_ms / 1000)


async def until(
    api: Recordings, recording_id: str, *states: recording_pb2.RecordingState.ValueType
) -> recording_pb2.Recording:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (found := await api.get(recording_id)).state not in states:
            assert found.state != recording_pb2.RECORDING_STATE_FAILED, found
            await asyncio.sleep(0.2)
    return found


async def until_shown(room: Room, *, recorded: bool) -> None:
    """Waits until participants see that the room is recorded, or that it is not."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while room.recording is not recorded:  # noqa: ASYNC110 - state without an event loop
            await asyncio.sleep(0.05)


async def fetch(playback: recorder_pb2.GetPlaybackResponse, folder: Path) -> list[Path]:
    paths = []
    async with aiohttp.ClientSession() as http:
        for number, link in enumerate(playback.links):
            path = folder / f"{number}-{Path(link.file.key).name}"
            async with http.get(link.url) as response:
                assert response.status == 200, await response.text()
                path.write_bytes(await response.read())
            paths.append(path)
    return paths


def probed(path: Path) -> dict[str, Any]:
    """ffprobe's streams by kind, after a full decode without an error."""
    decode = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "null", "-"]
    decoded = subprocess.run(decode, capture_output=True, text=True, check=False)
    assert (decoded.returncode, decoded.stderr) == (0, ""), decoded.stderr
    probe = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format", "-of", "json"]
    found = json.loads(subprocess.run([*probe, str(path)], capture_output=True, text=True, check=True).stdout)
    streams = {stream["codec_type"]: stream for stream in found["streams"]}
    return {**streams, "format": found["format"]}


async def test_a_participant_is_recorded_into_one_file(dev: Development, room: Room, tmp_path: Path) -> None:
    name = room.name
    api = recordings(dev, name)
    spec = recording_pb2.RecordingSpec(participants=True, segment_ms=2_000)
    recording_id = await start(api, spec, "once")
    assert await start(api, spec, "once") == recording_id
    await until(api, recording_id, recording_pb2.RECORDING_STATE_RUNNING)
    await until_shown(room, recorded=True)
    await asyncio.sleep(RECORDED_SECONDS)
    await api.add_marker(recording_id, "nearly over")
    await api.stop(recording_id)
    done = await until(api, recording_id, recording_pb2.RECORDING_STATE_COMPLETED)
    await until_shown(room, recorded=False)
    assert done.end_reason == recording_pb2.END_REASON_STOPPED
    assert [marker.name for marker in done.markers] == ["nearly over"]
    (path,) = await fetch(await api.playback(recording_id), tmp_path)
    found = probed(path)
    assert (found["video"]["width"], found["video"]["height"]) == (320, 192)
    assert found["audio"]["codec_name"] == "opus"
    lasted = (done.ended_at_ms - done.started_at_ms) / 1000
    assert float(found["format"]["duration"]) == pytest.approx(lasted, abs=1.5)
    assert int(found["video"]["nb_read_frames"]) > 15 * RECORDED_SECONDS * 0.5


async def test_a_pause_is_cut_out_and_each_track_has_its_file(
    dev: Development, room: Room, tmp_path: Path
) -> None:
    api = recordings(dev, room.name)
    recording_id = await start(api, recording_pb2.RecordingSpec(tracks=True, segment_ms=2_000))
    await until(api, recording_id, recording_pb2.RECORDING_STATE_RUNNING)
    await asyncio.sleep(4)
    await api.pause(recording_id)
    await until(api, recording_id, recording_pb2.RECORDING_STATE_PAUSED)
    await asyncio.sleep(4)
    await api.resume(recording_id)
    await until(api, recording_id, recording_pb2.RECORDING_STATE_RUNNING)
    await asyncio.sleep(4)
    await api.stop(recording_id)
    done = await until(api, recording_id, recording_pb2.RECORDING_STATE_COMPLETED)
    assert len(done.pauses) == 1
    paths = await fetch(await api.playback(recording_id), tmp_path)
    assert sorted(path.suffix for path in paths) == [".ogg", ".webm"]
    lasted = (done.ended_at_ms - done.started_at_ms - done.pauses[0].to_ms + done.pauses[0].from_ms) / 1000
    for path in paths:
        assert float(probed(path)["format"]["duration"]) == pytest.approx(lasted, abs=2.0)


async def test_a_deleted_recording_leaves_no_file(dev: Development, room: Room) -> None:
    api = recordings(dev, room.name)
    recording_id = await start(api, recording_pb2.RecordingSpec(tracks=True, segment_ms=2_000))
    await until(api, recording_id, recording_pb2.RECORDING_STATE_RUNNING)
    await asyncio.sleep(3)
    await api.delete(recording_id)
    await until(api, recording_id, recording_pb2.RECORDING_STATE_DELETED)
    left = [path for path in dev.recordings.rglob("*") if path.is_file() and recording_id in str(path)]
    assert left == []


class LoggingCamera(SyntheticCamera):
    """A camera that knows the times of its frames, in seconds."""

    def __init__(self) -> None:
        super().__init__((30, 200, 30), width=320, height=192, fps=15)
        self.times: list[float] = []

    async def recv(self) -> VideoFrame:
        frame = await super().recv()
        self.times.append(frame.time)
        return frame


class CountingMicrophone(SyntheticMicrophone):
    """A microphone that counts its frames."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = 0

    async def recv(self) -> AudioFrame:
        frame = await super().recv()
        self.frames += 1
        return frame


async def test_numbers_and_timestamps_that_wrap_leave_no_mark_in_the_file(
    dev: Development, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 3550 section 5.1: sequence numbers have 16 bits and timestamps 32. The publisher starts both just
    before their wraps: 40 packets, and 2 s of video or 3.75 s of audio."""
    numbers = itertools.count(1)
    sender = aiortc.rtcrtpsender
    monkeypatch.setattr(sender, "random_sequence_number", lambda: 2**16 - 40)
    # SSRCs come from here too, so each value is another one.
    monkeypatch.setattr(sender, "random32", lambda: 2**32 - 2 * 90_000 + next(numbers))
    grants = ("create", "publish", "record")
    token = mint_token(APP, room="wraps", identity="alice", grants=grants)
    camera, microphone = LoggingCamera(), CountingMicrophone()
    async with await NexusClient(server_url=dev.url, token=token, connect_seconds=60).join() as room:
        api = room.recordings
        recording_id = await start(api, recording_pb2.RecordingSpec(participants=True, segment_ms=2_000))
        await until(api, recording_id, recording_pb2.RECORDING_STATE_RUNNING)
        video = await room.publish(LocalTrack(camera, width=320, height=192))
        audio = await room.publish(LocalTrack(microphone))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while microphone.frames < 400 or len(camera.times) < 80:  # noqa: ASYNC110 - media, without events
                await asyncio.sleep(0.1)
        for track in (video, audio):
            await room.unpublish(track)
        await api.stop(recording_id)
        await until(api, recording_id, recording_pb2.RECORDING_STATE_COMPLETED)
        playback = await api.playback(recording_id)
    [path] = await fetch(playback, tmp_path)
    async with aiohttp.ClientSession() as http, http.get(playback.manifest_url) as response:
        manifest = await response.json()
    assert [track["gaps"] for track in manifest["tracks"]] == [[], []]
    frames = {track["media"]: track["frames"] for track in manifest["tracks"]}
    found = decode(path)
    assert found.errors == ""
    assert len(found.video_times) == frames["video"]
    assert next(numbers) > 4  # two SSRCs and two timestamps at least came from here
    # Nothing is missing, except for what was sent before the taps began, and a frame that the encoder still
    # had at the end.
    assert frames["video"] >= len(camera.times) - 16
    assert frames["audio"] >= microphone.frames - 51
    # Nothing jumps: the times in the file are those of the camera, moved by one constant.
    assert smallest_spread(found.video_times, camera.times) < 0.1


def smallest_spread(times: Sequence[float], sent: Sequence[float]) -> float:
    """How far the differences between the times of frames and those of consecutive sent ones are apart."""
    spreads = []
    for first in range(len(sent) - len(times) + 1):
        moved = [at - was for at, was in zip(times, sent[first:], strict=False)]
        spreads.append(max(moved) - min(moved))
    return min(spreads)
