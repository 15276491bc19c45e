"""The HTTP port that serves signed links of folder stores. S3 serves its own."""

from aiohttp import web
from nexus_runtime import ClientError, Clock
from nexus_storage import LinkEndpoint, StoreSet


class LinkServer:
    def __init__(self, stores: StoreSet, clock: Clock, host: str, port: int) -> None:
        self._host = host
        self._port = port
        app = web.Application()
        app.router.add_get("/v1/objects/{store}/{key:.+}", LinkEndpoint(stores, clock).handle)
        self._runner = web.AppRunner(app, access_log=None)

    async def start(self) -> int:
        """Returns the port in use. Raises ClientError if the port cannot be bound."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError as error:
            message = f"cannot listen for links on {self._host}:{self._port}"
            raise ClientError("PORT_UNAVAILABLE", message) from error
        return int(self._runner.addresses[0][1])

    async def close(self) -> None:
        await self._runner.cleanup()
