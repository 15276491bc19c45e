"""`nexus say`: sends a server message to a room over data channels, for scripts and to test a client."""

import asyncio
import sys
from typing import Annotated

import typer
from nexus_rtc.errors import NexusError
from nexus_rtc.server_data import send_data
from nexus_rtc.token import App, mint_token

from nexus_cli import development
from nexus_cli.app_options import AppKeyId, AppSecret

# Lifetime of the token, which is used at once.
TTL_SECONDS = 60


def say(
    message: Annotated[
        str, typer.Argument(help="The message; - reads bytes from standard input. At most 256 KiB.")
    ],
    room: Annotated[str, typer.Option(help="The room.")],
    to: Annotated[
        list[str] | None,
        typer.Option(help="Send only to this identity; repeatable. Default: all participants."),
    ] = None,
    topic: Annotated[str, typer.Option(help="The topic of the message.")] = "",
    lossy: Annotated[
        bool, typer.Option("--lossy", help="Send without retransmission; it may be lost.")
    ] = False,
    url: Annotated[str, typer.Option(help="The server.", envvar="NEXUS_URL")] = development.DEFAULT_URL,
    app: AppKeyId = development.KEY_ID,
    secret: AppSecret = development.SECRET,
) -> None:
    """Send MESSAGE to ROOM, as the server."""
    payload: str | bytes = sys.stdin.buffer.read() if message == "-" else message
    try:
        token = mint_token(
            App(app, secret), room=room, identity="nexus-say", grants=["admin"], ttl_seconds=TTL_SECONDS
        )
        asyncio.run(send_data(url, token, payload, topic=topic, to=to or (), reliable=not lossy))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except NexusError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
