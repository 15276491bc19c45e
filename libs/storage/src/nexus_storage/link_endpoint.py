"""The HTTP endpoint of signed links: aiohttp handlers for the objects of stores that have no HTTP of
their own.

    application.router.add_get("/v1/objects/{store}/{key:.+}", LinkEndpoint(stores, clock).handle)

`add_get` answers HEAD, too. Ranges (RFC 9110 section 14) let a player seek.
"""

import re
from typing import Final

import structlog
from aiohttp import web
from nexus_runtime import Clock

from nexus_storage.errors import (
    InvalidKey,
    InvalidRange,
    LinkRefused,
    ObjectNotFound,
    StorageError,
    StorageRefused,
    StoreNotFound,
)
from nexus_storage.folder_store import FolderStore
from nexus_storage.links import content_disposition, stored_type
from nexus_storage.store import ObjectReader
from nexus_storage.store_set import StoreSet

log = structlog.get_logger()

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class LinkEndpoint:
    """Answers signed links. Failures are short plain texts with the status 403 (no valid link), 404 or
    503."""

    def __init__(self, stores: StoreSet, clock: Clock) -> None:
        self._stores = stores
        self._clock = clock

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The object of a link, or the requested range of it."""
        name, key = request.match_info["store"], request.match_info["key"]
        try:
            store = self._stores.get(name)
            if not isinstance(store, FolderStore) or store.signer is None:
                raise StoreNotFound(name)
            link = store.signer.verify(name, key, request.query, self._clock.epoch_ms() / 1000)
            wanted = await _requested_range(store, key, request.headers.get("Range", ""))
            reader = await store.open(key, offset=wanted.start, length=wanted.length)
        except LinkRefused as error:
            raise web.HTTPForbidden(text=f"{error.code}: {error.message}\n") from None
        except InvalidRange:
            raise web.HTTPRequestRangeNotSatisfiable(text="the range lies beyond the end\n") from None
        except (StoreNotFound, ObjectNotFound, InvalidKey, StorageRefused):
            raise web.HTTPNotFound(text="there is no such object\n") from None
        except StorageError:
            raise web.HTTPServiceUnavailable(text="the object cannot be read now\n") from None
        async with reader:
            response = _head(reader, wanted, link.options.content_type)
            response.headers["Content-Disposition"] = content_disposition(link.options.filename)
            await response.prepare(request)
            if request.method != "HEAD":
                await _send(reader, request, response)
            return response


async def _send(reader: ObjectReader, request: web.Request, response: web.StreamResponse) -> None:
    try:
        async for chunk in reader:
            await response.write(chunk)
    except StorageError as error:
        # The status has been sent, so only a body that ends early tells the client.
        log.warning("link_broken_off", store=request.match_info["store"], code=error.code)
        if request.transport is not None:
            request.transport.abort()


class _Wanted:
    """The requested bytes; `partial` says whether they were requested as a range."""

    def __init__(self, start: int = 0, length: int | None = None, partial: bool = False) -> None:
        self.start = start
        self.length = length
        self.partial = partial


async def _requested_range(store: FolderStore, key: str, header: str) -> _Wanted:
    """A single range. Everything else, such as several ranges, is ignored, as RFC 9110 section 14.2
    allows."""
    found = _RANGE.fullmatch(header.strip())
    if not found or found[1] == found[2] == "":
        return _Wanted()
    if found[1] == "":  # the last bytes
        size = (await store.head(key)).size
        count = min(int(found[2]), size)
        if count == 0:
            raise InvalidRange("InvalidRange", "the range is empty", key=key)
        return _Wanted(size - count, count, True)
    start = int(found[1])
    if found[2] == "":
        return _Wanted(start, None, True)
    if int(found[2]) < start:
        return _Wanted()
    return _Wanted(start, int(found[2]) - start + 1, True)


def _head(reader: ObjectReader, wanted: _Wanted, content_type: str) -> web.StreamResponse:
    info = reader.info
    response = web.StreamResponse(status=206 if wanted.partial and reader.length else 200)
    headers = response.headers
    headers["Content-Type"] = content_type or stored_type(info.content_type)
    headers["Content-Length"] = str(reader.length)
    headers["Accept-Ranges"] = "bytes"
    headers["ETag"] = f'"{info.etag}"'
    headers["Cache-Control"] = "private, max-age=60"
    # Whatever was stored, a browser must not run it with the rights of this origin.
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Content-Security-Policy"] = "sandbox; default-src 'none'; media-src 'self'; img-src 'self'"
    if response.status == 206:
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.start + reader.length - 1}/{info.size}"
    return response
