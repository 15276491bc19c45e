"""`/v1/webhooks`: the endpoints of the token's app, for applications' servers with the grant `admin`."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web
from google.protobuf.message import Message
from nexus.types.v1.error_pb2 import ErrorCode
from nexus.webhooks.v1 import endpoint_pb2
from nexus_bus import BusError
from nexus_rpc import RpcError
from nexus_runtime import Clock
from nexus_webhooks import EndpointOverview, UnknownEndpoint

from nexus_signaling.core.data_budget import AppBudget
from nexus_signaling.core.sfu_requests import permitted
from nexus_signaling.http_answers import answer, bearer, refusal
from nexus_signaling.tokens import TokenVerifier

PATH: Final = "/v1/webhooks"


@dataclass(frozen=True, slots=True)
class WebhooksEndpoint:
    verifier: TokenVerifier
    overview: EndpointOverview
    budget: AppBudget
    clock: Clock

    def add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get(PATH, self._answer)
        router.add_post(PATH + "/{id}/enable", self._answer)

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            return answer(await self._handle(request))
        except RpcError as error:
            return refusal(error)

    async def _handle(self, request: web.Request) -> Message:
        """Raises RpcError."""
        claims = await self.verifier.verify(bearer(request), app_id="", room=None)
        permitted(claims.grants.admin, "admin")
        self.budget.take(claims.app, self.clock.monotonic_ms())
        try:
            if (endpoint_id := request.match_info.get("id")) is None:
                return endpoint_pb2.ListEndpointsResponse(endpoints=await self.overview.of_app(claims.app))
            enabled = await self.overview.enable(claims.app, endpoint_id)
        except UnknownEndpoint:
            raise RpcError(
                ErrorCode.INVALID_ARGUMENT, "The app has no such endpoint.", details={"field": "id"}
            ) from None
        except BusError as error:
            raise RpcError(
                ErrorCode.SERVICE_UNAVAILABLE,
                "The state of webhooks cannot be read at the moment.",
                retry_after_ms=1000,
            ) from error
        return endpoint_pb2.EnableEndpointResponse(endpoint=enabled)
