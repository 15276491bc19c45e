"""Compares what a finished recording has in its store with what a witness has seen."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from itertools import pairwise
from typing import Any, Final

import av
import pytest
from jsonschema import Draft202012Validator
from nexus.recorder.v1 import recording_pb2
from nexus_storage import S3Store
from witness import SeenFrame, SeenTrack

# How much the difference between media time and time in a file may vary within a track. Each tap adjusts its
# clock by itself, by 1 ms a second, so the witness's differs a little from the recorder's.
TIME_TOLERANCE_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """A packet of a container, with its time in seconds."""

    data: bytes
    time_s: float


@dataclass(slots=True)
class Finished:
    """A recording with all of its objects, by key."""

    recording: recording_pb2.Recording
    objects: dict[str, bytes]

    @property
    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.objects[self.recording.manifest_key])
        return found

    @property
    def own_prefix(self) -> str:
        return self.recording.manifest_key.removesuffix("manifest.json")

    def track_ids(self, media: str) -> list[str]:
        return [
            track_id
            for track in self.manifest["tracks"]
            if track["media"] == media
            for track_id in track["track_ids"]
        ]

    def frames_in_files(self, media: str) -> list[StoredFrame]:
        """The frames of one kind, from the one file that has them."""
        holding = [file for file in self.manifest["files"] if file["container"]]
        found = [frames for file in holding if (frames := demux(self.objects[file["key"]], media))]
        assert len(found) == 1, f"{len(found)} files have {media}"
        return found[0]

    def frames_in_segments(self, media: str) -> list[StoredFrame]:
        ids = set(self.track_ids(media))
        return [
            frame
            for segment in self.manifest["segments"]
            if segment["track_id"] in ids
            for frame in demux(self.objects[segment["key"]], media)
        ]

    def gaps(self) -> list[dict[str, Any]]:
        return [gap for track in self.manifest["tracks"] for gap in track["gaps"]]


def demux(content: bytes, media: str) -> list[StoredFrame]:
    """The frames of one kind in a container; empty if it has none."""
    with av.open(BytesIO(content), "r") as container:
        streams = [stream for stream in container.streams if stream.type == media]
        return (
            [
                StoredFrame(bytes(packet), float((packet.pts or 0) * (packet.time_base or 0)))
                for packet in container.demux(streams)
                if packet.size
            ]
            if streams
            else []
        )


async def read_finished(store: S3Store, recording: recording_pb2.Recording) -> Finished:
    """Reads every object whose key has the recording's id: its own, and the files by their template."""
    keys = [listed.key async for listed in store.list() if recording.id in listed.key]
    return Finished(recording, {key: await store.get(key) for key in keys})


def check_manifest(finished: Finished, schema: dict[str, Any]) -> None:
    """The manifest is true: hashes, sizes, durations, and the objects that exist."""
    manifest = finished.manifest
    Draft202012Validator(schema).validate(manifest)
    named = {finished.recording.manifest_key}
    for entry in (*manifest["files"], *manifest["segments"]):
        content = finished.objects[entry["key"]]
        assert len(content) == entry["bytes"], entry
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], entry
        named.add(entry["key"])
    assert [file.key for file in finished.recording.files] == [file["key"] for file in manifest["files"]]
    for file in manifest["files"]:
        assert decoded_seconds(finished.objects[file["key"]]) == pytest.approx(
            file["duration_ms"] / 1_000, abs=0.2
        ), file
    others = {key.removeprefix(finished.own_prefix) for key in finished.objects.keys() - named}
    records = {f"{key}.json" for key in named}
    kept = bool(manifest["segments"])
    for key in others:
        # Claims, journals and long records belong to segments that were kept.
        of_segments = key.startswith(("epochs/", "journal/")) or finished.own_prefix + key in records
        assert kept, key
        assert of_segments, key


def decoded_seconds(content: bytes) -> float:
    """How long a file plays, by its last decoded frame. Raises for a file that does not decode."""
    end = 0.0
    with av.open(BytesIO(content), "r") as container:
        for frame in container.decode():
            assert frame.time is not None
            length = getattr(frame, "samples", 0) / getattr(frame, "sample_rate", 1)
            end = max(end, frame.time + length)
    return end


@dataclass(slots=True)
class Comparison:
    """The result for one kind of media: how many frames of the witness were expected, which are missing or
    stored twice, and what followed from blows that nothing survives."""

    expected: int = 0
    missing: list[tuple[str, int]] = field(default_factory=list)
    twice: list[tuple[str, int]] = field(default_factory=list)
    late_us: dict[str, int] = field(default_factory=dict)
    """By track: media before its first recorded frame, for tracks that began during the recording."""
    lost_us: dict[str, int] = field(default_factory=dict)
    """By track: media at its end that died with the SFU."""


@dataclass(frozen=True, slots=True)
class Place:
    track: int
    frame: SeenFrame


def index(tracks: Iterable[SeenTrack]) -> dict[bytes, Place]:
    """The frames of the witness by their content, which noise makes unique."""
    found: dict[bytes, Place] = {}
    for number, track in enumerate(tracks):
        for frame in track.frames():
            assert frame.data not in found, "two frames have the same content"
            found[frame.data] = Place(number, frame)
    return found


def compare(
    frames: list[StoredFrame],
    tracks: list[SeenTrack],
    *,
    first: dict[str, int],
    last: dict[str, int],
    killed: frozenset[str],
    ordered: bool = True,
) -> Comparison:
    """Compares the frames of a recording with the tracks of the witness.

    `first` has the tracks that were there when the recording had begun, with the number from which every
    packet is expected. `last` has the number up to which it is, for tracks that outlived the recording.
    `killed` are the tracks that died with the SFU. `ordered`: the frames are those of a file, so each is
    there once, and in order.
    """
    result = Comparison()
    places = index(tracks)
    present = [place for frame in frames if (place := places.get(frame.data)) is not None]
    if ordered:
        for before, after in pairwise(present):
            if (after.track, after.frame.first_number) <= (before.track, before.frame.first_number):
                result.twice.append((tracks[after.track].track_id, after.frame.first_number))
    kept: dict[int, set[int]] = {}
    for place in present:
        kept.setdefault(place.track, set()).add(place.frame.first_number)
    for number, track in enumerate(tracks):
        have = kept.get(number, set())
        whole = list(track.frames())
        begin = first.get(track.track_id, min(have, default=0))
        end = last.get(track.track_id, track.last_number)
        if track.track_id in killed:
            end = min(end, max(have, default=-1))
            result.lost_us[track.track_id] = _media_us(f for f in whole if f.first_number >= end)
        if track.track_id not in first and whole:
            result.late_us[track.track_id] = _media_us(f for f in whole if f.first_number <= begin)
        expected = [
            frame.first_number for frame in whole if begin <= frame.first_number and frame.last_number <= end
        ]
        result.expected += len(expected)
        result.missing += [(track.track_id, n) for n in expected if n not in have]
    return result


def _media_us(frames: Iterable[SeenFrame]) -> int:
    times = [frame.media_time_us for frame in frames]
    return max(times) - min(times) if times else 0


def offsets_s(frames: list[StoredFrame], tracks: list[SeenTrack]) -> dict[str, tuple[float, float]]:
    """By track: the smallest and the largest difference between media time and time in the file."""
    places = index(tracks)
    found: dict[str, list[float]] = {}
    for frame in frames:
        place = places.get(frame.data)
        if place is not None:
            offset = place.frame.media_time_us / 1e6 - frame.time_s
            found.setdefault(tracks[place.track].track_id, []).append(offset)
    return {track_id: (min(offsets), max(offsets)) for track_id, offsets in found.items()}
