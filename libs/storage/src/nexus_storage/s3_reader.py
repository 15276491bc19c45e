"""The content of an object in S3, and the description of an object by the header of an answer."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Final, Self
from urllib.parse import unquote

from minio.time import from_http_header
from urllib3 import BaseHTTPResponse

from nexus_storage.store import CHUNK_BYTES, DEFAULT_CONTENT_TYPE, ObjectInfo

# Runs a blocking read in a thread of the store.
Run = Callable[[Callable[[], bytes]], Awaitable[bytes]]

_METADATA: Final = "x-amz-meta-"


class S3Reader:
    """The body of one answer to GetObject; it keeps a connection until it is read or closed. Without an
    answer the reader is empty."""

    def __init__(self, run: Run, info: ObjectInfo, length: int, response: BaseHTTPResponse | None) -> None:
        self.info = info
        self.length = length
        self._run = run
        self._response = response

    async def read(self) -> bytes:
        response = self._response
        if response is None:
            return b""

        def more() -> bytes:
            chunk: bytes = response.read(CHUNK_BYTES, decode_content=False)
            return chunk

        try:
            chunk = await self._run(more)
        except BaseException:
            await self.close()
            raise
        if not chunk:
            self._response = None
            response.release_conn()
        return chunk

    async def close(self) -> None:
        if self._response is not None:
            self._response.close()
            self._response = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while chunk := await self.read():
            yield chunk

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()


def lower(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Header fields by their names in lower case."""
    return {name.lower(): value for name, value in (headers or {}).items()}


def whole_size(headers: Mapping[str, str]) -> int:
    """The size of the object: the last part of `Content-Range` (RFC 9110 section 14.4), or `Content-Length`.
    Raises KeyError, ValueError."""
    total = headers.get("content-range", "").rpartition("/")[2]
    return int(total or headers["content-length"])


def info_of(key: str, size: int, headers: Mapping[str, str]) -> ObjectInfo:
    """The description of an object by the header of an answer to GetObject or HeadObject."""
    fields = lower(headers)
    modified = from_http_header(fields["last-modified"]) if "last-modified" in fields else None
    metadata = {
        name.removeprefix(_METADATA): unquote(value)
        for name, value in fields.items()
        if name.startswith(_METADATA)
    }
    content_type = fields.get("content-type", DEFAULT_CONTENT_TYPE)
    return ObjectInfo(key, size, etag_of(fields.get("etag")), epoch_ms(modified), content_type, metadata)


def etag_of(etag: str | None) -> str:
    """The entity tag without its quotation marks."""
    return (etag or "").strip('"')


def epoch_ms(moment: datetime | None) -> int:
    """Milliseconds since the Unix epoch; 0 if the store does not say."""
    return 0 if moment is None else round(moment.timestamp() * 1000)
