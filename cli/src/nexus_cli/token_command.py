"""`nexus token`: prints a token for one participant in one room, as the last line, so that `$(nexus token …)`
and `| tail -1` work."""

import sys
from typing import Annotated

import typer
from nexus_rtc.token import GRANTS, USUAL_GRANTS, App, mint_token
from rich.console import Console
from rich.markup import escape

from nexus_cli import development, durations
from nexus_cli.app_options import AppKeyId, AppSecret


def token(
    room: Annotated[str, typer.Option(help="The room that may be joined.")],
    identity: Annotated[
        str, typer.Option(help="The identity that joins; its newest session replaces an older one.")
    ],
    name: Annotated[str, typer.Option(help="The display name for other participants.")] = "",
    grant: Annotated[
        list[str] | None,
        typer.Option(help=f"A grant ({', '.join(GRANTS)}); repeatable. Default: {', '.join(USUAL_GRANTS)}."),
    ] = None,
    ttl: Annotated[
        str, typer.Option(help="How long the token can be used to join: 90s, 15m, 1h, 7d.")
    ] = "1h",
    attribute: Annotated[
        list[str] | None, typer.Option(help="key=value, visible to other participants; repeatable.")
    ] = None,
    url: Annotated[str, typer.Option(help="The server's URL for the client (the claim `url`).")] = "",
    app: AppKeyId = development.KEY_ID,
    secret: AppSecret = development.SECRET,
) -> None:
    """Print a token that joins ROOM as IDENTITY."""
    try:
        signed = mint_token(
            App(app, secret),
            room=room,
            identity=identity,
            name=name,
            grants=grant or USUAL_GRANTS,
            ttl_seconds=durations.seconds(ttl),
            attributes=_attributes(attribute or []),
            url=url,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if sys.stdout.isatty():  # not when a program reads the output
        Console(stderr=True).print(
            f"[dim]{escape(identity)} in {escape(room)}, signed by {escape(app)}, for {ttl}:[/]"
        )
    typer.echo(signed)


def _attributes(pairs: list[str]) -> dict[str, str]:
    attributes = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise ValueError(f"{pair!r} is not key=value")
        attributes[key] = value
    return attributes
