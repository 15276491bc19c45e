"""`nexus record`: starts, stops, finds and fetches recordings, with a token that it signs as the app."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from nexus_rtc.errors import NexusError
from nexus_rtc.token import App, mint_token

from nexus_cli import development
from nexus_cli.app_options import AppKeyId, AppSecret
from nexus_cli.durations import seconds

if TYPE_CHECKING:
    from nexus.recorder.v1.recording_pb2 import Recording, RecordingSpec
    from nexus_rtc.recordings import Recordings

# Lifetime of the token. A download of large files takes the links' time, not the token's.
TTL_SECONDS = 300

record = typer.Typer(
    help="Start, stop, find and fetch recordings.", no_args_is_help=True, rich_markup_mode="rich"
)

Url = Annotated[str, typer.Option(help="The server.", envvar="NEXUS_URL")]
RecordingId = Annotated[str, typer.Argument(help="The recording's id, RC_….")]
Result = TypeVar("Result")


@record.command()
def start(
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
    url: Url = development.DEFAULT_URL,
    app: AppKeyId = development.KEY_ID,
    secret: AppSecret = development.SECRET,
) -> None:
    """Start a recording of ROOM and print its id."""
    from nexus.recorder.v1 import recording_pb2

    spec = recording_pb2.RecordingSpec(tracks=tracks, participants=participants, store=store)
    if safe_in_store:
        spec.durability = recording_pb2.DURABILITY_STORE
    for pattern in identity or ():
        spec.selection.include.add(identity=pattern)
    _set_times(spec, max_duration, keep_for)
    found = _ask(url, app, secret, lambda api: api.start(spec, room=room, request_id=request_id))
    typer.echo(found.id)


@record.command()
def stop(
    recording_id: RecordingId,
    url: Url = development.DEFAULT_URL,
    app: AppKeyId = development.KEY_ID,
    secret: AppSecret = development.SECRET,
) -> None:
    """Stop a recording. Its files are made afterwards."""
    _report(_ask(url, app, secret, lambda api: api.stop(recording_id)))


@record.command()
def pause(
    recording_id: RecordingId,
    url: Url = development.DEFAULT_URL,
    app: AppKeyId = development.KEY_ID,
    secret: AppSecret = development.SECRET,
) -> None:
    """Pause a recording: nothing is received until it is resumed."""
    _report(_ask(url, app, secret, lambda api: api.pause(recording_id)))


@record.command()
def resume(
    recording_id: RecordingId,
    url: Url = development.DEFAULT_URL,
    app: AppKeyId = development.KEY_ID,
    secret: AppSecret = development.SECRET,
) -> None:
    """Resume a paused recording."""
    _report(_ask(url, app, secret, lambda api: api.resume(recording_id)))


@record.command()
def mark(
    recording_id: RecordingId,
    name: Annotated[str, typer.Argument(help="The marker's name, at most 256 bytes.")],
    url: Url = development.DEFAULT_URL,
    app: AppKeyId = development.KEY_ID,
    secret: AppSecret = development.SECRET,
) -> None:
    """Mark this moment of a recording."""
    found = _ask(url, app, secret, lambda api: api.add_marker(recording_id, name))
    typer.echo(f"{len(found.markers)} markers")


@record.command("list")
def list_(
    room: Annotated[str, typer.Option(help="Only of this room.")] = "",
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=500)] = 50,
    url: Url = development.DEFAULT_URL,
    app: AppKeyId = development.KEY_ID,
    secret: AppSecret = development.SECRET,
) -> None:
    """List recordings, newest first."""
    from rich.console import Console

    from nexus_cli.recording_views import recordings_table

    page = _ask(url, app, secret, lambda api: api.list(room=room, page_size=limit))
    if not page.recordings:
        typer.echo("no recordings")
        return
    Console().print(recordings_table(page.recordings))


@record.command()
def show(
    recording_id: RecordingId,
    as_json: Annotated[bool, typer.Option("--json", help="Print the recording as JSON.")] = False,
    url: Url = development.DEFAULT_URL,
    app: AppKeyId = development.KEY_ID,
    secret: AppSecret = development.SECRET,
) -> None:
    """Show one recording with its files."""
    from google.protobuf import json_format
    from rich.console import Console

    from nexus_cli.recording_views import details

    found = _ask(url, app, secret, lambda api: api.get(recording_id))
    if as_json:
        typer.echo(json_format.MessageToJson(found))
        return
    console = Console()
    for part in details(found):
        console.print(part)


@record.command()
def get(
    recording_id: RecordingId,
    folder: Annotated[
        Path, typer.Option(help="Folder for the files.", file_okay=False, writable=True)
    ] = Path(),
    url: Url = development.DEFAULT_URL,
    app: AppKeyId = development.KEY_ID,
    secret: AppSecret = development.SECRET,
) -> None:
    """Download the files and the manifest of a recording."""
    from nexus_cli.downloads import Download, download, files_of

    playback = _ask(url, app, secret, lambda api: api.playback(recording_id, download=True))
    wanted: list[Download] = files_of(playback)
    if not wanted:
        typer.echo("the recording has no files yet", err=True)
        raise typer.Exit(1)
    with _refusals():
        folder.mkdir(parents=True, exist_ok=True)
        asyncio.run(download(wanted, folder))


@record.command()
def rm(
    recording_id: RecordingId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = development.DEFAULT_URL,
    app: AppKeyId = development.KEY_ID,
    secret: AppSecret = development.SECRET,
) -> None:
    """Delete a recording with its files."""
    if not yes:
        typer.confirm(f"Delete {recording_id} with its files?", abort=True)
    _report(_ask(url, app, secret, lambda api: api.delete(recording_id)))


def _set_times(spec: "RecordingSpec", max_duration: str, keep_for: str) -> None:
    try:
        if max_duration:
            spec.limits.max_duration_seconds = seconds(max_duration)
        if keep_for:
            spec.retention_seconds = seconds(keep_for)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _ask(url: str, app: str, secret: str, request: Callable[["Recordings"], Awaitable[Result]]) -> Result:
    """The answer to a request, which is made as the app. Exits with 1 if it is refused."""
    # Imported late, because it loads an HTTP client and protobuf.
    from nexus_rtc.recordings import Recordings

    with _refusals():
        token = mint_token(
            App(app, secret), room="*", identity="nexus-record", grants=["admin"], ttl_seconds=TTL_SECONDS
        )

        async def send() -> Result:
            return await request(Recordings(url, token))

        return asyncio.run(send())


@contextmanager
def _refusals() -> Iterator[None]:
    """Prints what the server refused, and what cannot be written."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except (NexusError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _report(recording: "Recording") -> None:
    from nexus_cli.recording_views import state_of

    typer.echo(f"{recording.id} {state_of(recording)}")
