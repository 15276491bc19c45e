"""The manifest of a recording: what it consists of, and what is missing from it.

`docs/reference/recording-manifest.schema.json` is its schema. It is made of the records of the segments and
of the journals alone, so it can be made again from a listing of the store. Times are milliseconds on the
timeline of the files, except where a name ends in `_at_ms` (Unix time) or in `_us`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nexus.recorder.v1 import recording_pb2
from nexus.types.v1.media_pb2 import TrackSource

from nexus_recorder.core.file_plan import SOURCE_NAMES, StoredSegment, in_order
from nexus_recorder.core.interruptions import interruptions
from nexus_recorder.core.knowledge import Knowledge
from nexus_recorder.core.notes import Note
from nexus_recorder.core.object_names import StreamKey
from nexus_recorder.core.records import SegmentRecord, TrackEntry
from nexus_recorder.core.spool_losses import Interval, lost_windows, spool_losses
from nexus_recorder.core.timeline import Cut, FileTime

VERSION: Final = 1
# Maximum number of intervals of one kind that the manifest lists for one stream. More are counted only.
MAX_LISTED: Final = 10_000

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file in the store, with what was filled in it, in microseconds of the file."""

    file: recording_pb2.RecordedFile
    container: str
    codecs: tuple[str, ...]
    filled_us: tuple[tuple[int, int], ...] = ()


def file_time(knowledge: Knowledge, end_us: int, *, keep_pauses: bool) -> FileTime:
    """The time of the files: without the pauses, unless they are kept."""
    if keep_pauses:
        return FileTime()
    return FileTime(
        tuple(
            Cut(pause.from_us, end_us if pause.to_us is None else pause.to_us)
            for pause in knowledge.pauses.values()
        )
    )


def stream_ends_us(knowledge: Knowledge, end_us: int) -> dict[StreamKey, int]:
    """The position at which each stream ended: where its last track did, or with the recording."""
    ends: dict[StreamKey, int] = {}
    for entry, to in knowledge.track_ends_us(end_us):
        ends[entry.stream] = max(ends.get(entry.stream, 0), to)
    return ends


def build(
    recording: recording_pb2.Recording,
    segments: Sequence[StoredSegment],
    knowledge: Knowledge,
    files: Sequence[MadeFile],
    end_us: int,
) -> Json:
    """The manifest, as JSON values. `end_us` is the end of the recording on its timeline."""
    time = file_time(knowledge, end_us, keep_pauses=recording.spec.keep_pauses)
    kept = recording.spec.keep_segments
    lost = lost_windows(recording, knowledge, end_us)
    return {
        "version": VERSION,
        "recording": {
            "id": recording.id,
            "app": recording.app,
            "room": recording.room,
            "room_id": recording.room_id,
            "started_at_ms": recording.started_at_ms,
            "ended_at_ms": recording.ended_at_ms,
            "duration_ms": _ms(time.at(end_us)),
            "end_reason": recording_pb2.EndReason.Name(recording.end_reason)
            .removeprefix("END_REASON_")
            .lower(),
            "started_by": recording.started_by,
            "labels": dict(recording.spec.labels),
        },
        "participants": _participants(knowledge, segments),
        "tracks": _tracks(knowledge, segments, files, time, end_us, list(lost.values())),
        "files": [_file(each) for each in files],
        "pauses": [
            {
                "from_ms": _ms(pause.from_us),
                "to_ms": _ms(end_us if pause.to_us is None else pause.to_us),
                "cut_out": not recording.spec.keep_pauses,
            }
            for pause in knowledge.pauses.values()
        ],
        "markers": [
            {
                "name": marker.name,
                "at_ms": _ms(time.at(max(0, (marker.at_ms - recording.started_at_ms) * 1000))),
            }
            for marker in recording.markers
        ],
        "clocks": [
            {"line": entry.line, "offset_us": entry.offset_us, "from_ms": _ms(entry.from_us)}
            for entry in knowledge.lines.values()
        ],
        "owners": [
            {"epoch": owner.epoch, "event": owner.event, "at_ms": _ms(owner.at_us), "reason": owner.reason}
            for owner in knowledge.owners
        ]
        + [
            {"epoch": epoch, "event": "spool_lost", "at_ms": _ms(to_us), "reason": ""}
            for epoch, (_, to_us) in sorted(lost.items())
        ],
        "segments": [_segment(each) for each in segments] if kept else [],
    }


def _participants(knowledge: Knowledge, segments: Iterable[StoredSegment]) -> list[Json]:
    """Every identity, with its sessions."""
    found: dict[str, dict[str, str]] = {}
    for entry in knowledge.tracks.values():
        found.setdefault(entry.identity, {})[entry.participant_id] = entry.participant_name
    for segment in segments:
        found.setdefault(segment.record.identity, {}).setdefault(segment.record.participant_id, "")
    return [
        {
            "identity": identity,
            "sessions": [{"participant_id": key, "name": name} for key, name in sorted(sessions.items())],
        }
        for identity, sessions in sorted(found.items())
    ]


def _tracks(
    knowledge: Knowledge,
    segments: Iterable[StoredSegment],
    files: Sequence[MadeFile],
    time: FileTime,
    end_us: int,
    lost: Sequence[Interval],
) -> list[Json]:
    """Every stream: what came, what did not, and the files that have it."""
    by_stream: dict[StreamKey, list[StoredSegment]] = {}
    for segment in segments:
        by_stream.setdefault(segment.record.stream, []).append(segment)
    entries: dict[StreamKey, list[TrackEntry]] = {}
    for entry in knowledge.tracks.values():
        entries.setdefault(entry.stream, []).append(entry)
    ends_us = stream_ends_us(knowledge, end_us)
    keys = sorted(by_stream.keys() | entries.keys(), key=lambda k: (k.identity, k.source, k.name, k.ordinal))
    pauses = [(p.from_us, end_us if p.to_us is None else p.to_us) for p in knowledge.pauses.values()]
    tracks = []
    for key in keys:
        own, known, stream_end_us = by_stream.get(key, []), entries.get(key, []), ends_us.get(key, 0)
        used = [segment.record for segment, _ in in_order(own)]
        missing = spool_losses(known, used, lost, pauses, stream_end_us)
        tracks.append(_track(key, used, known, missing, files, time, stream_end_us, end_us))
    return tracks


def _track(
    key: StreamKey,
    used: list[SegmentRecord],
    entries: list[TrackEntry],
    missing: list[Note],
    files: Sequence[MadeFile],
    time: FileTime,
    stream_end_us: int,
    end_us: int,
) -> Json:
    noted = {note for record in used for note in record.notes} | {n for e in entries for n in e.notes}
    noted.update(interruptions(entries, used))
    noted.update(missing)
    notes = sorted(noted, key=lambda note: (note.at_us, note.kind))
    track_ids = list(dict.fromkeys([r.track_id for r in used] + [e.track_id for e in entries]))
    codecs: list[str] = list(dict.fromkeys(record.codec for record in used))
    own = [f for f in files if set(f.file.track_ids) & set(track_ids)]
    starts = [entry.from_us for entry in entries] + [record.start_us for record in used]
    ends = [stream_end_us, *(record.end_us for record in used)]
    undecodable = _points(notes, "undecodable", time)
    return {
        "identity": key.identity,
        "source": SOURCE_NAMES.get(key.source, "track"),
        "name": key.name,
        "media": "audio" if _is_audio(key, codecs, entries) else "video",
        "track_ids": track_ids,
        "codecs": codecs,
        "from_ms": _ms(time.at(min(starts, default=0))),
        "to_ms": _ms(time.at(max(ends, default=0))),
        "frames": sum(record.frames for record in used),
        "bytes": sum(record.bytes for record in used),
        "empty": not used,
        "undecodable": undecodable,
        "gaps": _intervals(notes, "gap", time, end_us),
        "mutes": _mutes(notes, time, end_us),
        "held": _intervals(notes, "held", time, end_us),
        "silent": _silent(own),
        "sizes": _sizes(notes, time),
        "unlisted_notes": sum(record.notes_dropped for record in used),
        "files": [f.file.key for f in own],
    }


def _is_audio(key: StreamKey, codecs: list[str], entries: list[TrackEntry]) -> bool:
    if entries:
        return entries[0].media == "audio"
    audio_sources = (TrackSource.TRACK_SOURCE_MICROPHONE, TrackSource.TRACK_SOURCE_SCREEN_AUDIO)
    return "opus" in codecs or key.source in audio_sources


def _intervals(notes: Iterable[Note], kind: str, time: FileTime, end_us: int) -> list[Json]:
    found = []
    for note in notes:
        if note.kind != kind:
            continue
        to = note.at_us if note.to_us is None else min(note.to_us, end_us)
        interval: Json = {"from_ms": _ms(time.at(note.at_us)), "to_ms": _ms(time.at(max(to, note.at_us)))}
        if kind == "gap":
            interval |= {"reason": note.reason, "packets": note.packets}
        found.append(interval)
    return found[:MAX_LISTED]


def _points(notes: Iterable[Note], kind: str, time: FileTime) -> list[Json]:
    points = [{"at_ms": _ms(time.at(n.at_us)), "reason": n.reason} for n in notes if n.kind == kind]
    return points[:MAX_LISTED]


def _sizes(notes: Iterable[Note], time: FileTime) -> list[Json]:
    sizes: list[Json] = []
    for note in notes:
        if note.kind != "size":
            continue
        size = {"width": note.width, "height": note.height}
        if not sizes or (sizes[-1]["width"], sizes[-1]["height"]) != (note.width, note.height):
            sizes.append({"from_ms": _ms(time.at(note.at_us)), **size})
    return sizes[:MAX_LISTED]


def _mutes(notes: Iterable[Note], time: FileTime, end_us: int) -> list[Json]:
    """The intervals in which the publisher was muted."""
    mutes: list[Json] = []
    since: int | None = None
    for note in notes:
        if note.kind == "muted" and since is None:
            since = note.at_us
        elif note.kind == "unmuted" and since is not None:
            mutes.append({"from_ms": _ms(time.at(since)), "to_ms": _ms(time.at(note.at_us))})
            since = None
    if since is not None:
        mutes.append({"from_ms": _ms(time.at(since)), "to_ms": _ms(time.at(end_us))})
    return mutes[:MAX_LISTED]


def _silent(files: Iterable[MadeFile]) -> list[Json]:
    """The intervals of audio in which nothing was sent, from the first file that has this track."""
    for each in files:
        if each.filled_us:
            return [{"from_ms": _ms(start), "to_ms": _ms(end)} for start, end in each.filled_us[:MAX_LISTED]]
    return []


def _file(made: MadeFile) -> Json:
    file = made.file
    return {
        "key": file.key,
        "content_type": file.content_type,
        "container": made.container,
        "codecs": list(made.codecs),
        "bytes": file.bytes,
        "sha256": file.sha256,
        "identity": file.identity,
        "track_ids": list(file.track_ids),
        "sources": [SOURCE_NAMES.get(source, "track") for source in file.sources],
        "offset_ms": file.offset_ms,
        "duration_ms": file.duration_ms,
        "part": file.part,
    }


def _segment(segment: StoredSegment) -> Json:
    record = segment.record
    return {
        "key": segment.key,
        "track_id": record.track_id,
        "epoch": record.epoch,
        "number": record.number,
        "start_us": record.start_us,
        "end_us": record.end_us,
        "first_record": record.first_record,
        "last_record": record.last_record,
        "frames": record.frames,
        "bytes": record.bytes,
        "sha256": record.sha256,
        "recovered": record.recovered,
    }


def _ms(position_us: int) -> int:
    return max(0, position_us) // 1000


# A manifest that is read back. It may have been edited: nothing of it is trusted to be ours.


def encode(values: Json) -> bytes:
    return json.dumps(values, ensure_ascii=False, indent=1).encode()


def read(text: bytes | None) -> Json | None:
    """Reads a manifest; None if there is none, or if it is none."""
    try:
        values = json.loads(text) if text else None
    except ValueError:
        return None
    if not isinstance(values, dict) or values.get("version") != VERSION:
        return None
    return values if isinstance(values.get("files"), list) else None


def file_keys(text: bytes | None, identity: str | None = None) -> list[str]:
    """The keys of the files, all or those of an identity."""
    values = read(text)
    return [
        file["key"]
        for file in (values or {}).get("files", [])
        if isinstance(file, dict)
        and isinstance(file.get("key"), str)
        and (identity is None or file.get("identity") == identity)
    ]


def files_of(values: Json) -> list[recording_pb2.RecordedFile]:
    """The files as messages. Fields of another type are left out."""
    files = []
    numbers = {name: source for source, name in SOURCE_NAMES.items()}
    for each in values["files"]:
        message = recording_pb2.RecordedFile()
        try:
            for name in (
                "key",
                "content_type",
                "bytes",
                "sha256",
                "identity",
                "offset_ms",
                "duration_ms",
                "part",
            ):
                setattr(message, name, each[name])
            message.track_ids.extend(each["track_ids"])
            message.sources.extend(TrackSource.ValueType(numbers[source]) for source in each["sources"])
        except (KeyError, TypeError, ValueError):
            continue
        files.append(message)
    return files


def without(values: Json, identity: str) -> Json:
    """The manifest without what concerns an identity."""
    lists = ("participants", "tracks", "files")
    kept = dict(values)
    for name in lists:
        kept[name] = [
            each
            for each in values.get(name, [])
            if not isinstance(each, dict) or each.get("identity") != identity
        ]
    gone = {
        track_id
        for track in values.get("tracks", [])
        if isinstance(track, dict) and track.get("identity") == identity
        for track_id in track.get("track_ids", [])
    }
    kept["segments"] = [
        each
        for each in values.get("segments", [])
        if not isinstance(each, dict) or each.get("track_id") not in gone
    ]
    return kept


def encode_made(made: MadeFile) -> bytes:
    """A file that was made, for an attempt that continues this one."""
    return json.dumps({"file": _file(made), "filled_us": made.filled_us}).encode()


def read_made(text: bytes | None) -> MadeFile | None:
    """Reads a file that was made; None if there is none."""
    try:
        values = json.loads(text) if text else None
        if not isinstance(values, dict):
            return None
        files = files_of({"files": [values["file"]]})
        filled = tuple((int(start), int(end)) for start, end in values["filled_us"])
        codecs = tuple(str(codec) for codec in values["file"]["codecs"])
        return MadeFile(files[0], str(values["file"]["container"]), codecs, filled) if files else None
    except (ValueError, KeyError, TypeError):
        return None
