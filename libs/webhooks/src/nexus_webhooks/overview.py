"""The endpoints of an app as its operators see them."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import structlog
from nexus.webhooks.v1 import endpoint_pb2
from nexus_bus import BusError, RevisionMismatch

from nexus_webhooks.core.endpoint_queue import QueueState
from nexus_webhooks.endpoints import Endpoint
from nexus_webhooks.records import EndpointRecords

log = structlog.get_logger()

# How often a change is tried while the owner of the endpoint writes.
MAX_CONFLICTS: Final = 16


class UnknownEndpoint(LookupError):
    """The app has no endpoint with this id."""


class EndpointOverview:
    """Any process may show and enable endpoints: their state is in the records."""

    def __init__(self, endpoints: Iterable[Endpoint], records: EndpointRecords) -> None:
        self._endpoints = {(endpoint.app, endpoint.id): endpoint for endpoint in endpoints}
        self._records = records

    async def of_app(self, app: str) -> list[endpoint_pb2.Endpoint]:
        """The endpoints of an app, as they are configured in this process. Raises BusError."""
        found = [endpoint for endpoint in self._endpoints.values() if endpoint.app == app]
        return [_shown(endpoint, (await self._records.read(endpoint)).state) for endpoint in found]

    async def enable(self, app: str, endpoint_id: str) -> endpoint_pb2.Endpoint:
        """Lets a disabled endpoint be used again. Deliveries continue where they stopped, within seconds. No
        error if it is not disabled. Raises UnknownEndpoint, BusError."""
        endpoint = self._endpoints.get((app, endpoint_id))
        if endpoint is None:
            raise UnknownEndpoint(endpoint_id)
        for _ in range(MAX_CONFLICTS):
            stored = await self._records.read(endpoint)
            if stored.state.disabled_at_ms == 0:
                return _shown(endpoint, stored.state)
            state = replace(stored.state, disabled_at_ms=0)
            try:
                await self._records.write(endpoint, stored.epoch, state, stored.revision)
            except RevisionMismatch:
                continue
            log.info("webhook_endpoint_enabled", endpoint=endpoint.id, app=app)
            return _shown(endpoint, state)
        raise BusError(f"the record of {endpoint.id} changes too often")


def _shown(endpoint: Endpoint, state: QueueState) -> endpoint_pb2.Endpoint:
    return endpoint_pb2.Endpoint(
        id=endpoint.id,
        host=endpoint.host,
        events=endpoint.events,
        disabled_at_ms=state.disabled_at_ms,
        waiting_rooms=len(state.waiting),
        waiting_since_ms=min((room.waiting_since_ms for room in state.waiting), default=0),
    )
