"""`nexus webhooks`: makes secrets, and shows webhooks as they arrive."""

import asyncio
import json
import secrets
from base64 import b64encode
from typing import Annotated, Final

import typer

# Size of a secret's key; Standard Webhooks 1.0 allows 24 to 64 bytes.
SECRET_BYTES: Final = 32
MAX_BODY_BYTES: Final = 1 << 20

webhooks = typer.Typer(
    help="Make secrets for webhooks, and show webhooks as they arrive.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@webhooks.command()
def secret() -> None:
    """Print a new secret for an endpoint."""
    typer.echo(f"whsec_{b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}")


@webhooks.command()
def listen(
    secret: Annotated[
        str, typer.Option(help="The endpoint's secret, whsec_….", envvar="NEXUS_WEBHOOK_SECRET")
    ],
    port: Annotated[
        int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)
    ] = 9000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    answer: Annotated[
        int, typer.Option(help="The status to answer with, to try out retries.", min=200, max=599)
    ] = 204,
) -> None:
    """Receive webhooks, verify them, and print each as one line of JSON until Ctrl-C."""
    try:
        asyncio.run(_listen(secret, host, port, answer))
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    except OSError as error:
        typer.secho(f"nexus webhooks: {error}", err=True, fg="red")
        raise typer.Exit(2) from None


async def _listen(secret: str, host: str, port: int, answer: int) -> None:
    # Imported late, because it loads an HTTP server.
    from aiohttp import web
    from standardwebhooks import Webhook, WebhookVerificationError

    try:
        verifier = Webhook(secret)
    except Exception:  # the library has no common error for a text that is not base64
        typer.secho("nexus webhooks: the secret is not one; `nexus webhooks secret` makes one", err=True)
        raise typer.Exit(2) from None

    async def receive(request: web.Request) -> web.Response:
        try:
            document = verifier.verify(await request.read(), dict(request.headers))
        except (WebhookVerificationError, ValueError) as error:
            typer.secho(f"refused: {error}", err=True, fg="yellow")
            return web.Response(status=400)
        typer.echo(json.dumps({"id": request.headers["webhook-id"], **document}, ensure_ascii=False))
        return web.Response(status=answer)

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_post("/{path:.*}", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        typer.secho(f"listening on http://{host}:{runner.addresses[0][1]}/", err=True)
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()
