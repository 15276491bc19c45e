"""`nexus dev`: turns options into settings, checks them and the ports, and runs the supervisor."""

import asyncio
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from nexus_cli import development
from nexus_cli.dev import addresses, ports
from nexus_cli.dev.log_view import LogView
from nexus_cli.dev.services import RecorderPorts, Settings, stages
from nexus_cli.dev.supervisor import Environment, Supervisor

EXIT_CANNOT_START = 2
DEMO_FOLDERS = ("sdks/web/dist/demo", "sdks/web/demo/dist")
UNSPECIFIED = ("0.0.0.0", "::")  # noqa: S104 - the candidate addresses require it
OPTIONAL_SERVICES = ("recorder",)
LOG_LEVELS = ("debug", "info", "warning", "error")


def dev(
    port: Annotated[int, typer.Option(help="HTTP and WebSocket port.", min=1, max=65535)] = 7880,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 for the whole network.")
    ] = "127.0.0.1",
    data_dir: Annotated[
        Path, typer.Option(help="Folder for state that is kept between runs.", file_okay=False)
    ] = Path(".nexus"),
    media_port: Annotated[
        int, typer.Option(help="UDP port for media; 0 takes a free one.", min=0, max=65535)
    ] = 0,
    media_address: Annotated[
        list[str] | None,
        typer.Option(
            help="IP address at which clients reach the media port; repeatable.",
            show_default="127.0.0.1, or this machine's addresses when --host is not a loopback",
        ),
    ] = None,
    demo_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the built demo page, served at /.",
            show_default="the one of this checkout",
            exists=True,
            file_okay=False,
        ),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave this service out: recorder; repeatable.")
    ] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
    ready_timeout: Annotated[
        float, typer.Option(help="Give up if calls are not possible after this many seconds.")
    ] = 120.0,
) -> None:
    """Run everything that a call needs on this machine until Ctrl-C."""
    if log_level not in LOG_LEVELS:
        raise typer.BadParameter(f"choose one of {', '.join(LOG_LEVELS)}", param_hint="--log-level")
    for name in without or ():
        if name not in OPTIONAL_SERVICES:
            raise typer.BadParameter(f"choose one of {', '.join(OPTIONAL_SERVICES)}", param_hint="--without")
    try:
        settings = _settings(host, port, media_port, media_address or [], data_dir, demo_dir, log_level)
        if "recorder" not in (without or ()):
            settings = replace(settings, recorder=_recorder_ports(settings.host))
        with ports.held(_port_requests(settings)), _instance_lock(settings.folder):
            code = asyncio.run(_run(settings, ready_timeout))
    except (ports.PortUnavailable, ValueError, OSError) as error:
        typer.secho(f"nexus dev: {error}", err=True, fg="red")
        raise typer.Exit(EXIT_CANNOT_START) from None
    raise typer.Exit(code)


def _settings(
    host: str,
    port: int,
    media_port: int,
    media_addresses: list[str],
    data_dir: Path,
    demo_dir: Path | None,
    log_level: str,
) -> Settings:
    """Raises ValueError for an invalid address."""
    host = addresses.listening(host)
    candidates = addresses.checked(media_addresses) or addresses.candidates(host)
    return Settings(
        host=host,
        port=port,
        media_host=addresses.media_host(candidates),
        media_port=media_port,
        media_addresses=tuple(candidates),
        # Named by the port, so that two instances do not share a store.
        folder=(data_dir / f"dev-{port}").absolute(),
        log_level=log_level,
        coloured=sys.stderr.isatty() and not os.environ.get("NO_COLOR"),
        demo_folder=demo_dir or _demo_folder(),
    )


def _recorder_ports(host: str) -> RecorderPorts:
    grpc, links = ports.free("127.0.0.1"), ports.free(host)
    return RecorderPorts(grpc, links)


def _port_requests(settings: Settings) -> Iterator[ports.PortRequest]:
    any_media = settings.media_port == 0
    yield ports.PortRequest(settings.host, settings.port, "--port", with_udp=any_media)
    if settings.recorder is not None:
        yield ports.PortRequest("127.0.0.1", settings.recorder.grpc, "--without recorder")
        yield ports.PortRequest(settings.host, settings.recorder.links, "--without recorder")
    if settings.media_port:
        for host in (settings.media_host,) if settings.media_host else UNSPECIFIED:
            for kind in ("udp", "tcp"):  # ICE-TCP uses the same number
                yield ports.PortRequest(host, settings.media_port, "--media-port", kind)


async def _run(settings: Settings, ready_timeout: float) -> int:
    # Imported late, because it loads an HTTP client and the NATS client.
    from nexus_cli.dev.readiness import wait_until_ready

    started_at = time.time()  # noqa: TID251 - compared with heartbeats, which carry wall-clock time
    all_stages = stages(settings)
    log = LogView(sys.stderr, [stage.name for stage in all_stages], coloured=settings.coloured)

    async def ready(environment: Environment) -> None:
        await wait_until_ready(
            settings.url,
            environment,
            started_at=started_at,
            timeout_seconds=ready_timeout,
            recorder_port=settings.recorder.grpc if settings.recorder else None,
        )
        port = settings.media_port or "a free port"
        log.own(f"media on UDP at {', '.join(settings.media_addresses)}, {port}")
        log.own(f"broker at {environment['NEXUS_NATS_URL']}")
        if settings.recorder is not None:
            log.own(f"recordings in {settings.folder / 'recordings'}")
        log.own(f"development app: key id {development.KEY_ID}, secret {development.SECRET}")
        log.own("get a token: nexus token --room demo --identity me")
        log.own("check the connection: nexus probe --room demo; Ctrl-C stops")
        if not addresses.is_loopback(settings.host):
            log.own(
                "warning: the network can reach this server, and its secret is public: trusted networks only"
            )
        # A separate line on standard output, for which programs wait.
        typer.echo(f"ready {settings.url}")

    return await Supervisor(log).run(all_stages, ready)


@contextmanager
def _instance_lock(folder: Path) -> Iterator[None]:
    """Locks the folder, because two brokers would corrupt one store. The lock ends with the process."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another nexus dev uses {folder}: choose another with --data-dir") from None
        yield


def _demo_folder() -> Path | None:
    """The built demo page of the source checkout that this runs from, if any."""
    checkout = Path(__file__).resolve().parents[4]
    for folder in DEMO_FOLDERS:
        if (checkout / folder / "index.html").is_file():
            return checkout / folder
    return None
