"""`nexus record`: starts, stops, finds and fetches recordings, with a token that it signs as the app."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nexus_cli.durations import seconds
from nexus_cli.recording_server import RecordingServer, addressed, refusals

if TYPE_CHECKING:
    from nexus.recorder.v1.recording_pb2 import Recording, RecordingSpec

record = typer.Typer(
    help="Start, stop, find and fetch recordings.", no_args_is_help=True, rich_markup_mode="rich"
)

RecordingId = Annotated[str, typer.Argument(help="The recording's id, RC_….")]


@record.command()
@addressed
def start(
    server: RecordingServer,
    room: Annotated[str, typer.Option(help="The room.")],
    participants: Annotated[
        bool, typer.Option("--participants", help="One file for each participant, with audio and video.")
    ] = False,
    tracks: Annotated[bool, typer.Option("--tracks", help="One file for each track; the default.")] = False,
    identity: Annotated[
        list[str] | None, typer.Option(help="Only these identities; * and ? are wildcards; repeatable.")
    ] = None,
    store: Annotated[str, typer.Option(help="A store of the recorder's configuration.")] = "",
    safe_in_store: Annotated[
        bool, typer.Option("--safe-in-store", help="Media counts as safe only in the store.")
    ] = False,
    max_duration: Annotated[str, typer.Option(help="Stop after this time, such as 90m or 2h.")] = "",
    keep_for: Annotated[str, typer.Option(help="Delete it this long after its end, such as 30d.")] = "",
    request_id: Annotated[str, typer.Option(help="Starts one recording, however often it is sent.")] = "",
) -> None:
    """Start a recording of ROOM and print its id."""
    from nexus.recorder.v1 import recording_pb2

    spec = recording_pb2.RecordingSpec(tracks=tracks, participants=participants, store=store)
    if safe_in_store:
        spec.durability = recording_pb2.DURABILITY_STORE
    for pattern in identity or ():
        spec.selection.include.add(identity=pattern)
    _set_times(spec, max_duration, keep_for)
    found = server.ask(lambda api: api.start(spec, room=room, request_id=request_id))
    typer.echo(found.id)


@record.command()
@addressed
def stop(
    server: RecordingServer,
    recording_id: RecordingId,
) -> None:
    """Stop a recording. Its files are made afterwards."""
    _report(server.ask(lambda api: api.stop(recording_id)))


@record.command()
@addressed
def pause(
    server: RecordingServer,
    recording_id: RecordingId,
) -> None:
    """Pause a recording: nothing is received until it is resumed."""
    _report(server.ask(lambda api: api.pause(recording_id)))


@record.command()
@addressed
def resume(
    server: RecordingServer,
    recording_id: RecordingId,
) -> None:
    """Resume a paused recording."""
    _report(server.ask(lambda api: api.resume(recording_id)))


@record.command()
@addressed
def mark(
    server: RecordingServer,
    recording_id: RecordingId,
    name: Annotated[str, typer.Argument(help="The marker's name, at most 256 bytes.")],
) -> None:
    """Mark this moment of a recording."""
    found = server.ask(lambda api: api.add_marker(recording_id, name))
    typer.echo(f"{len(found.markers)} markers")


@record.command("list")
@addressed
def list_(
    server: RecordingServer,
    room: Annotated[str, typer.Option(help="Only of this room.")] = "",
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=500)] = 50,
) -> None:
    """List recordings, newest first."""
    from rich.console import Console

    from nexus_cli.recording_views import recordings_table

    page = server.ask(lambda api: api.list(room=room, page_size=limit))
    if not page.recordings:
        typer.echo("no recordings")
        return
    Console().print(recordings_table(page.recordings))


@record.command()
@addressed
def show(
    server: RecordingServer,
    recording_id: RecordingId,
    as_json: Annotated[bool, typer.Option("--json", help="Print the recording as JSON.")] = False,
) -> None:
    """Show one recording with its files."""
    from google.protobuf import json_format
    from rich.console import Console

    from nexus_cli.recording_views import details

    found = server.ask(lambda api: api.get(recording_id))
    if as_json:
        typer.echo(json_format.MessageToJson(found))
        return
    console = Console()
    for part in details(found):
        console.print(part)


@record.command()
@addressed
def get(
    server: RecordingServer,
    recording_id: RecordingId,
    folder: Annotated[
        Path, typer.Option(help="Folder for the files.", file_okay=False, writable=True)
    ] = Path(),
) -> None:
    """Download the files and the manifest of a recording."""
    from nexus_cli.downloads import Download, download, files_of

    playback = server.ask(lambda api: api.playback(recording_id, download=True))
    wanted: list[Download] = files_of(playback)
    if not wanted:
        typer.echo("the recording has no files yet", err=True)
        raise typer.Exit(1)
    with refusals():
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(download(wanted, folder))


@record.command()
@addressed
def rm(
    server: RecordingServer,
    recording_id: RecordingId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a recording with its files."""
    if not yes:
        typer.confirm(f"Delete {recording_id} with its files?", abort=True)
    _report(server.ask(lambda api: api.delete(recording_id)))


def _set_times(spec: "RecordingSpec", max_duration: str, keep_for: str) -> None:
    try:
        if max_duration:
            spec.limits.max_duration_seconds = seconds(max_duration)
        if keep_for:
            spec.retention_seconds = seconds(keep_for)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _report(recording: "Recording") -> None:
    from nexus_cli.recording_views import state_of

    typer.echo(f"{recording.id} {state_of(recording)}")
