"""A bucket of S3, or of a store that speaks its protocol, through the public calls of the `minio` SDK.

The SDK is synchronous: its calls run in `Workers`. What it does not do is added around it: conditional
writes and errors in `s3_connections`, credentials in `s3_credentials`, the confirmation of encryption
here.

Requests are those that every store has: PutObject, multipart uploads with one part size, GetObject,
HeadObject, ListObjectsV2 and DeleteObject. Never used are ListParts, trailing checksums (the SDK has
none) and GetBucketLocation (the region is given).
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, TypeVar
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

from minio import Minio
from minio.commonconfig import Tags
from minio.datatypes import Object
from minio.error import MinioException
from nexus_runtime import Clock, SystemClock
from urllib3 import BaseHTTPResponse, PoolManager
from urllib3.exceptions import HTTPError

from nexus_storage.errors import (
    InvalidKey,
    InvalidRange,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageRefused,
    StorageUnavailable,
)
from nexus_storage.keys import check_key, check_metadata, check_prefix, encode_value
from nexus_storage.links import check_expiry, content_disposition
from nexus_storage.probing import delete_each, probe
from nexus_storage.s3_connections import CreateOnly, S3Connections, unreachable
from nexus_storage.s3_credentials import CredentialChain, provider_of
from nexus_storage.s3_encryption import encryption_of
from nexus_storage.s3_reader import S3Reader, epoch_ms, etag_of, info_of, lower, whole_size
from nexus_storage.settings import MIB, S3Settings
from nexus_storage.store import (
    DEFAULT_CONTENT_TYPE,
    MAX_GET_BYTES,
    LinkOptions,
    Listed,
    ObjectInfo,
)
from nexus_storage.workers import Operation, StoreMetrics, Workers

T = TypeVar("T")

# Maximum number of parts of one upload (Amazon S3 user guide, "Multipart upload limits").
MAX_PARTS: Final = 10_000
# Number of objects that a listing reads at a time.
PAGE: Final = 1000
# How long the store is left alone after SlowDown, if it does not say how long, and at most.
SLOW_DOWN_MS: Final = 1_000
MAX_SLOW_DOWN_MS: Final = 30_000

_SLOW_DOWN: Final = ("SlowDown", "SlowDownRead", "SlowDownWrite", "TooManyRequests", "ServiceUnavailable")
# Operations that send no request: they read the body of an answer, or only compute.
_WITHOUT_REQUEST: Final = ("read", "presign")


class S3Store:
    """One bucket with its prefix. The constructor reads the files that the settings name, and connects to
    nothing. Raises OSError, ValueError."""

    def __init__(
        self,
        name: str,
        settings: S3Settings,
        *,
        clock: Clock | None = None,
        metrics: StoreMetrics | None = None,
    ) -> None:
        self.name = name
        self._bucket = settings.bucket
        self._prefix = settings.prefix
        self._keep_versions = settings.keep_versions
        self._part_bytes = settings.part_size_mib * MIB
        self._clock = clock or SystemClock()
        self._encryption = encryption_of(settings.encryption)
        self._tags = Tags.new_object_tags()
        self._tags.update(settings.tags)
        self._credentials = CredentialChain(
            [provider_of(source, settings.region) for source in settings.credentials]
        )
        self._connections = S3Connections(
            connections=settings.connections,
            connect_timeout_ms=settings.connect_timeout_ms,
            read_timeout_ms=settings.read_timeout_ms,
            ca_file=str(settings.ca_file or ""),
            verify=settings.verify,
            redact=self._credentials.redact,
        )
        self._client = self._make_client(settings, settings.endpoint, self._connections)
        self._creating_client = self._make_client(settings, settings.endpoint, CreateOnly(self._connections))
        self._linking_client = self._make_client(
            settings, settings.public_endpoint or settings.endpoint, self._connections
        )
        self._workers = Workers(name, settings.connections, metrics)
        self._quiet_until_ms = 0

    def __repr__(self) -> str:
        return f"S3Store({self.name!r})"

    def _make_client(self, settings: S3Settings, endpoint: str, connections: PoolManager) -> Minio:
        parts = urlsplit(endpoint)
        client = Minio(
            endpoint=parts.netloc,
            secure=parts.scheme == "https",
            region=settings.region,
            credentials=self._credentials,
            http_client=connections,
        )
        if settings.style == "virtual":
            client.enable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
        elif settings.style == "path":
            client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
        return client

    async def put(
        self,
        key: str,
        data: bytes,
        *,
        content_type: str = DEFAULT_CONTENT_TYPE,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
    ) -> None:
        check_key(key)
        check_metadata(content_type, metadata or {})

        def write() -> None:
            self._write(key, BytesIO(data), len(data), content_type, metadata or {}, if_absent)

        await self._run("put", key, write)

    async def put_file(
        self,
        key: str,
        path: Path,
        *,
        content_type: str = DEFAULT_CONTENT_TYPE,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
    ) -> None:
        check_key(key)
        check_metadata(content_type, metadata or {})

        def write() -> None:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                self._write(key, file, size, content_type, metadata or {}, if_absent)

        await self._run("put", key, write)

    def _write(
        self,
        key: str,
        data: BinaryIO,
        size: int,
        content_type: str,
        metadata: Mapping[str, str],
        if_absent: bool,
    ) -> None:
        if size > self._part_bytes * MAX_PARTS:
            raise StorageRefused(
                "EntityTooLarge", "the object has more than 10,000 parts: raise part_size_mib"
            )
        in_parts = size > self._part_bytes
        if in_parts and if_absent:
            # Spares a long upload. The condition of its last request decides.
            with suppress(ObjectNotFound):
                self._stat(key)
                raise ObjectExists("PreconditionFailed", "an object has this key already")
        client = self._creating_client if if_absent else self._client
        written = client.put_object(
            self._bucket,
            self._prefix + key,
            data,
            size,
            content_type=content_type,
            metadata={name: encode_value(value) for name, value in metadata.items()},
            sse=self._encryption.sse,
            part_size=self._part_bytes,
            # One part of each upload is in memory; several uploads run at a time.
            num_parallel_uploads=1,
            tags=self._tags,
        )
        # The answer to a multipart upload does not repeat a customer's key, so the object is asked for.
        headers = self._stat(key).metadata if in_parts else written.http_headers
        if not self._encryption.confirmed_by(lower(headers)):
            self._remove(self._prefix + key)
            raise StorageRefused(
                "EncryptionNotConfirmed", "the store did not confirm that it encrypts; the object was removed"
            )
        if written.version_id not in (None, "", "null") and not if_absent and not self._keep_versions:
            self._remove_older(self._prefix + key, written.version_id)

    def _stat(self, key: str) -> Object:
        return self._client.stat_object(self._bucket, self._prefix + key, ssec=self._encryption.customer_key)

    async def get(self, key: str, *, max_bytes: int = MAX_GET_BYTES) -> bytes:
        check_key(key)

        def read() -> bytes:
            response = self._get(key, 0, None)
            try:
                if whole_size(response.headers) > max_bytes:
                    raise InvalidRange("ObjectTooLarge", f"the object has more than {max_bytes} bytes")
                data: bytes = response.read(decode_content=False)
                return data
            finally:
                response.close()
                response.release_conn()

        return await self._run("open", key, read)

    async def open(self, key: str, *, offset: int = 0, length: int | None = None) -> S3Reader:
        check_key(key)
        if offset < 0 or (length is not None and length < 0):
            raise InvalidRange("InvalidRange", "offset and length must not be negative")

        async def run(read: Callable[[], bytes]) -> bytes:
            return await self._run("read", key, read)

        if length == 0:
            info = await self.head(key)
            if offset and offset >= info.size:
                raise InvalidRange("InvalidRange", "the offset is beyond the end of the object", key=key)
            return S3Reader(run, info, 0, None)

        def begin() -> S3Reader:
            try:
                response = self._get(key, offset, length)
            except InvalidRange:
                if offset:
                    raise
                response = self._get(key, 0, None)  # an empty object has no range at all
            info = info_of(key, whole_size(response.headers), response.headers)
            return S3Reader(run, info, int(response.headers["content-length"]), response)

        return await self._run("open", key, begin)

    def _get(self, key: str, offset: int, length: int | None) -> BaseHTTPResponse:
        response = self._client.get_object(
            self._bucket,
            self._prefix + key,
            offset=offset,
            length=length or 0,
            ssec=self._encryption.customer_key,
        )
        ranged = offset > 0 or bool(length)
        if (response.status == 206) != ranged or "content-length" not in response.headers:
            response.close()
            raise StorageUnavailable("BadAnswer", "the store did not answer with the requested range")
        return response

    async def head(self, key: str) -> ObjectInfo:
        check_key(key)

        def ask() -> ObjectInfo:
            stat = self._stat(key)
            return info_of(key, stat.size or 0, stat.metadata or {})

        return await self._run("head", key, ask)

    async def list(self, prefix: str = "", *, start_after: str = "") -> AsyncIterator[Listed]:
        check_prefix(prefix)
        if start_after:
            check_key(start_after)
        objects = self._client.list_objects(
            self._bucket,
            prefix=self._prefix + prefix or None,
            recursive=True,
            start_after=self._prefix + start_after if start_after else None,
        )
        while page := await self._run("list", prefix, lambda: list(islice(objects, PAGE))):
            for found in page:
                key = (found.object_name or "")[len(self._prefix) :]
                with suppress(InvalidKey):  # such as a marker of an empty folder
                    yield Listed(
                        check_key(key), found.size or 0, etag_of(found.etag), epoch_ms(found.last_modified)
                    )

    async def delete(self, key: str) -> None:
        check_key(key)
        await self._run("delete", key, lambda: self._remove(self._prefix + key))

    def _remove(self, name: str) -> None:
        """Removes an object, and all of its versions if the bucket has any, because a deleted recording
        must be gone."""
        self._client.remove_object(self._bucket, name)
        if not self._keep_versions and self._connections.last_headers.get("x-amz-delete-marker") == "true":
            for version in self._versions(name):
                self._client.remove_object(self._bucket, name, version.version_id)

    def _remove_older(self, name: str, version_id: str) -> None:
        """Removes the versions of an object that are older than this one. Newer ones are of another
        writer."""
        newest_first = (version for version in self._versions(name) if not version.is_delete_marker)
        for version in newest_first:
            if version.version_id == version_id:
                break
        for version in newest_first:
            self._client.remove_object(self._bucket, name, version.version_id)

    def _versions(self, name: str) -> Iterator[Object]:
        found = self._client.list_objects(self._bucket, prefix=name, recursive=True, include_version=True)
        return (version for version in found if version.object_name == name and version.version_id)

    async def delete_prefix(self, prefix: str) -> int:
        return await delete_each(self, prefix)

    async def sweep(self, older_than_s: int) -> int:
        """Removes nothing: what a crash leaves in a bucket are upload parts, which only the bucket can list
        with the requests that every store has."""
        return 0

    async def presign(self, key: str, *, expires_s: int, options: LinkOptions | None = None) -> str:
        check_key(key)
        check_expiry(expires_s)
        if self._encryption.customer_key is not None:
            raise StorageRefused("LinksNeedNoCustomerKey", "a link cannot carry the key of SSE-C", key=key)
        options = options or LinkOptions()
        headers: dict[str, str | list[str] | tuple[str]] = {
            "response-content-disposition": content_disposition(options.filename)
        }
        if options.content_type:
            check_metadata(options.content_type, {})
            headers["response-content-type"] = options.content_type
        now = datetime.fromtimestamp(self._clock.epoch_ms() / 1000, UTC)

        def sign() -> str:
            return self._linking_client.presigned_get_object(
                self._bucket,
                self._prefix + key,
                expires=timedelta(seconds=expires_s),
                response_headers=headers,
                request_date=now,
            )

        return await self._run("presign", key, sign)

    async def probe(self) -> None:
        await probe(self)

    async def close(self) -> None:
        self._workers.close()
        self._connections.clear()

    async def _run(self, operation: Operation, key: str, call: Callable[[], T]) -> T:
        return await self._workers.run(operation, lambda: self._call(operation, key, call))

    def _call(self, operation: Operation, key: str, call: Callable[[], T]) -> T:
        """Calls the SDK in a thread, and raises only our errors (and OSError of a local file)."""
        wait_ms = self._quiet_until_ms - self._clock.monotonic_ms()
        if wait_ms > 0 and operation not in _WITHOUT_REQUEST:
            raise StorageUnavailable(
                "SlowDown", "the store has asked to slow down", key=key, retry_after_ms=wait_ms
            )
        try:
            return call()
        except StorageUnavailable as error:
            error.key = key
            self._obey(error)
            raise
        except StorageError as error:
            error.key = key
            raise
        except HTTPError as error:
            failed = unreachable(error)
            failed.key = key
            raise failed from None
        except (MinioException, ValueError, KeyError, ET.ParseError) as error:
            raise StorageUnavailable(
                "BadAnswer", f"the store's answer cannot be understood: {type(error).__name__}", key=key
            ) from None

    def _obey(self, error: StorageUnavailable) -> None:
        """Leaves the store alone for as long as it asks; calls meanwhile fail without a request."""
        wait_ms = error.retry_after_ms
        if not wait_ms and error.code.startswith("SlowDown"):
            wait_ms = SLOW_DOWN_MS
        if wait_ms and error.code in _SLOW_DOWN:
            error.retry_after_ms = wait_ms
            until_ms = self._clock.monotonic_ms() + min(wait_ms, MAX_SLOW_DOWN_MS)
            self._quiet_until_ms = max(self._quiet_until_ms, until_ms)
