"""`nexus probe`: its options, display, JSON output and exit code. The probe itself is in `probe/`."""

import asyncio
import json
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from nexus_rtc.token import App, mint_token, unverified_claims

from nexus_cli import development
from nexus_cli.app_options import AppKeyId, AppSecret
from nexus_cli.probe.report import Report
from nexus_cli.probe.view import console, plain_line, table, tracks

if TYPE_CHECKING:
    from nexus_cli.probe.options import Echo, Options

EXIT_FAILED = 1


def probe(
    room: Annotated[str, typer.Option(help="The room to join; default: the token's.")] = "",
    url: Annotated[str, typer.Option(help="The server.", envvar="NEXUS_URL")] = development.DEFAULT_URL,
    token: Annotated[
        str,
        typer.Option(
            help="A token; default: a new one, signed with --app and --secret.", envvar="NEXUS_TOKEN"
        ),
    ] = "",
    identity: Annotated[
        str, typer.Option(help="The identity that joins.", show_default="probe-<random>")
    ] = "",
    seconds: Annotated[float, typer.Option(help="How long to measure once media flows.", min=0)] = 5.0,
    json_file: Annotated[
        str, typer.Option("--json", help="Write the report as JSON to this file; - is standard output.")
    ] = "",
    srtp_profile: Annotated[
        str, typer.Option(help="Offer only this one: AEAD_AES_128_GCM (gcm) or AES_CM_128_HMAC_SHA1_80 (cm).")
    ] = "",
    codec: Annotated[str, typer.Option(help="Video codec: vp8 or h264.")] = "vp8",
    echo: Annotated[
        bool | None,
        typer.Option(
            "--echo/--no-echo",
            help="Join a second participant, so that there is media to receive.",
            show_default="if no other participant sends",
        ),
    ] = None,
    colour: Annotated[str, typer.Option(help="Colour of the test picture, as RRGGBB.")] = "c82828",
    tone: Annotated[float, typer.Option(help="Pitch of the test tone, in Hz.", min=20, max=20_000)] = 440.0,
    flash: Annotated[
        bool, typer.Option(help="Flash and beep together once a second, to measure lip-sync.")
    ] = False,
    json_subprotocol: Annotated[bool, typer.Option(help="Use JSON (nexus.v1.json) with signaling.")] = False,
    step_timeout: Annotated[float, typer.Option(help="Maximum seconds per step.", min=0.1)] = 15.0,
    app: AppKeyId = development.KEY_ID,
    secret: AppSecret = development.SECRET,
) -> None:
    """Check a connection: join ROOM like any client, send and receive media, and report what works."""
    from nexus_cli.probe.options import PROFILES, Options  # loads the media stack

    try:
        tokens = _tokens(room, token, identity, App(app, secret) if not token else None)
        if srtp_profile and srtp_profile.lower() not in PROFILES:
            raise ValueError(f"--srtp-profile {srtp_profile}: choose gcm or cm")
        if codec not in ("vp8", "h264"):
            raise ValueError(f"--codec {codec}: aiortc sends vp8 and h264")
        subprotocol: Literal["nexus.v1", "nexus.v1.json"] = (
            "nexus.v1.json" if json_subprotocol else "nexus.v1"
        )
        options = Options(
            url=url,
            room=tokens[0],
            token=tokens[1],
            partner_token=tokens[2],
            seconds=seconds,
            step_seconds=step_timeout,
            srtp_profile=PROFILES[srtp_profile.lower()] if srtp_profile else None,
            codec=codec,
            colour=_colour(colour),
            tone_hz=tone,
            flash=flash,
            subprotocol=subprotocol,
            echo=_echo(echo),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    report = _run(options)
    _write(report, json_file)
    if not report.ok:
        raise typer.Exit(EXIT_FAILED)


def _tokens(room: str, token: str, identity: str, app: App | None) -> tuple[str, str, str | None]:
    """The room, the token, and the partner's token. A given `token` has no partner: a second join with it
    would have the same identity and replace the first. Raises ValueError."""
    if app is None:
        return room or str(unverified_claims(token).get("room", "")), token, None
    if not room:
        raise ValueError("--room or a --token that names a room is required")
    suffix = secrets.token_hex(3)
    who = identity or f"probe-{suffix}"
    partner = mint_token(app, room=room, identity=f"probe-partner-{suffix}", ttl_seconds=600)
    return room, mint_token(app, room=room, identity=who, ttl_seconds=600), partner


def _echo(echo: bool | None) -> "Echo":
    return "auto" if echo is None else "always" if echo else "never"


def _colour(text: str) -> tuple[int, int, int]:
    try:
        red, green, blue = bytes.fromhex(text.removeprefix("#"))
    except ValueError:
        raise ValueError(f"--colour {text} is not RRGGBB") from None
    return red, green, blue


def _run(options: "Options") -> Report:
    from nexus_cli.probe.check import Probe

    report = Report(url=options.url)
    with _display(report):
        asyncio.run(Probe(options, report).run())
    return report


@contextmanager
def _display(report: Report) -> Iterator[None]:
    from rich.live import Live

    screen = console()
    if screen.is_terminal:
        with Live(table(report), console=screen, refresh_per_second=8) as live:
            report.on_change = lambda: live.update(table(report))
            yield
    else:
        said: set[str] = set()

        def say() -> None:
            for step in report.steps:
                if step.state in ("ok", "failed", "skipped") and step.name not in said:
                    said.add(step.name)
                    typer.echo(plain_line(step), err=True)

        report.on_change = say
        yield
    screen.print(tracks(report))


def _write(report: Report, json_file: str) -> None:
    if not json_file:
        return
    text = json.dumps(report.as_json(), indent=2)
    if json_file == "-":
        sys.stdout.write(text + "\n")
    else:
        Path(json_file).write_text(text + "\n")
