"""The server that the commands of `nexus record` address, and the options that name it."""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer
from nexus_rtc.errors import NexusError
from nexus_rtc.token import App, mint_token

from nexus_cli import development
from nexus_cli.app_options import AppKeyId, AppSecret

if TYPE_CHECKING:
    from nexus_rtc.recordings import Recordings

# Lifetime of the token. A download of large files takes the links' time, not the token's.
TTL_SECONDS = 300

Url = Annotated[str, typer.Option(help="The server.", envvar="NEXUS_URL")]
Result = TypeVar("Result")
Options = ParamSpec("Options")


@dataclass(frozen=True, slots=True)
class RecordingServer:
    """A server, and the app as which it is asked."""

    url: str
    app: str
    secret: str

    def ask(self, request: Callable[["Recordings"], Awaitable[Result]]) -> Result:
        """The answer to a request. Exits with 1 if it is refused."""
        # Imported late, because it loads an HTTP client and protobuf.
        from nexus_rtc.recordings import Recordings

        with refusals():
            app = App(self.app, self.secret)
            token = mint_token(
                app, room="*", identity="nexus-record", grants=["admin"], ttl_seconds=TTL_SECONDS
            )

            async def send() -> Result:
                return await request(Recordings(self.url, token))

            return asyncio.run(send())


@contextmanager
def refusals() -> Iterator[None]:
    """Prints what the server refused, and what cannot be written."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except (NexusError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _options(
    url: Url = development.DEFAULT_URL,
    app: AppKeyId = development.KEY_ID,
    secret: AppSecret = development.SECRET,
) -> RecordingServer:
    return RecordingServer(url, app, secret)


def addressed(command: Callable[Concatenate[RecordingServer, Options], None]) -> Callable[..., None]:
    """Gives a command the options `--url`, `--app` and `--secret` in place of its first parameter, the server
    that they name."""
    own = list(inspect.signature(command).parameters.values())[1:]
    named = list(inspect.signature(_options).parameters.values())
    call: Callable[..., None] = command

    @functools.wraps(command)
    def with_options(**values: Any) -> None:
        server = _options(**{each.name: values.pop(each.name) for each in named})
        call(server, **values)

    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own, *named)]
    # Typer reads both.
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {each.name: each.annotation for each in parameters}
    return with_options
