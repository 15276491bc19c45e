"""Recordings as tables for a terminal."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from nexus.recorder.v1 import recording_pb2
from rich.table import Table
from rich.text import Text


def state_of(recording: recording_pb2.Recording) -> str:
    """The state in lower case, as `running` or `running (degraded)`."""
    if recording.state not in recording_pb2.RecordingState.values():
        return f"state {recording.state}"
    name = recording_pb2.RecordingState.Name(recording.state).removeprefix("RECORDING_STATE_").lower()
    return f"{name} (degraded)" if recording.HasField("degraded") else name


def recordings_table(recordings: Iterable[recording_pb2.Recording]) -> Table:
    table = Table()
    table.add_column("recording", overflow="fold")
    table.add_column("room", overflow="fold")
    table.add_column("state")
    for title in ("started", "duration", "files", "size"):
        table.add_column(title, justify="right")
    for recording in recordings:
        table.add_row(
            recording.id,
            Text(recording.room),  # a name may contain markup
            state_of(recording),
            time_of(recording.started_at_ms),
            duration_of(recording.started_at_ms, recording.ended_at_ms),
            str(len(recording.files)),
            size_of(recording.stored_bytes),
        )
    return table


def details(recording: recording_pb2.Recording) -> Iterator[Table | Text]:
    """The recording, then its files."""
    about = Table(show_header=False, box=None)
    for name, value in (
        ("recording", recording.id),
        ("room", recording.room),
        ("state", state_of(recording)),
        ("started", f"{time_of(recording.started_at_ms)} by {recording.started_by}"),
        ("duration", duration_of(recording.started_at_ms, recording.ended_at_ms)),
        ("in the store", size_of(recording.stored_bytes)),
        ("in the spool", size_of(recording.spooled_bytes)),
        ("error", recording.error.message or recording.degraded.error.message),
        ("markers", ", ".join(marker.name for marker in recording.markers)),
    ):
        if value:
            about.add_row(name, Text(value))
    yield about
    if not recording.files:
        return
    table = Table()
    table.add_column("file", overflow="fold")
    table.add_column("identity", overflow="fold")
    for title in ("begins", "duration", "size"):
        table.add_column(title, justify="right")
    for file in recording.files:
        table.add_row(
            Text(file.key),
            Text(file.identity),
            f"{file.offset_ms / 1000:.1f} s",
            f"{file.duration_ms / 1000:.1f} s",
            size_of(file.bytes),
        )
    yield table


def time_of(epoch_ms: int) -> str:
    """UTC; empty for a time that has not come."""
    if not epoch_ms:
        return ""
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration_of(started_ms: int, ended_ms: int) -> str:
    if not started_ms or not ended_ms:
        return ""
    whole = max(0, ended_ms - started_ms) // 1000
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def size_of(count: int) -> str:
    if not count:
        return ""
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
