"""A real S3 server behind a proxy that fails: each failure is one typed error, costs nothing else, and
passes."""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from nexus_storage import (
    ObjectNotFound,
    S3Store,
    StorageFull,
    StorageRefused,
    StorageUnavailable,
    put_once,
)
from nexus_storage.s3_store import MAX_SLOW_DOWN_MS
from nexus_storage.store import CHUNK_BYTES
from nexus_testkit import Answer, FaultProxy, Hang, ManualClock, Reset, S3Server, Truncate, wait_until

MakeS3 = Callable[..., S3Store]

KEY = "room/segment.m4s"
DATA = bytes(range(256)) * 4096
MIB = 1 << 20


def error_document(code: str, message: str = "no") -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()


def answer(status: int, code: str, message: str = "no", **headers: str) -> Answer:
    fields = {
        "Content-Type": "application/xml",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return Answer(status, fields, error_document(code, message))


async def read_into(received: bytearray, store: S3Store, offset: int = 0) -> None:
    async with await store.open(KEY, offset=offset) as reader:
        async for chunk in reader:
            received += chunk


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        (answer(503, "SlowDown"), StorageUnavailable, "SlowDown"),
        (Answer(503), StorageUnavailable, "ServiceUnavailable"),
        (Answer(502, {"Content-Type": "text/html"}, b"<html>bad gateway"), StorageUnavailable, "Http502"),
        (answer(500, "InternalError"), StorageUnavailable, "InternalError"),
        (answer(400, "RequestTimeout"), StorageUnavailable, "RequestTimeout"),
        (answer(409, "ConditionalRequestConflict"), StorageUnavailable, "ConditionalRequestConflict"),
        (Answer(429), StorageUnavailable, "TooManyRequests"),
        (answer(403, "AccessDenied"), StorageRefused, "AccessDenied"),
        (Answer(403, {"Content-Type": "text/html"}, b"<html>a proxy"), StorageRefused, "AccessDenied"),
        (Answer(301), StorageRefused, "PermanentRedirect"),
        (Answer(501), StorageRefused, "NotImplemented"),
        (answer(507, "InsufficientStorage"), StorageFull, "InsufficientStorage"),
        (answer(403, "QuotaExceeded"), StorageFull, "QuotaExceeded"),
        (Reset(), StorageUnavailable, "ConnectionLost"),
    ],
)
async def test_an_upload_fails_with_one_error_and_succeeds_later(
    make_s3: MakeS3,
    proxy: FaultProxy,
    fault: Answer | Reset,
    error: type[StorageUnavailable] | type[StorageRefused] | type[StorageFull],
    code: str,
) -> None:
    clock = ManualClock()
    store = make_s3(clock, endpoint=proxy.url)
    proxy.inject(fault, methods=("PUT",))
    with pytest.raises(error) as caught:
        await store.put(KEY, DATA, if_absent=True)
    assert (caught.value.code, caught.value.key) == (code, KEY)
    # Nothing retries behind the caller's back.
    assert len(proxy.seen) == 1
    clock.advance(MAX_SLOW_DOWN_MS / 1000)
    await store.put(KEY, DATA, if_absent=True)
    assert await store.get(KEY) == DATA


@pytest.mark.parametrize(
    ("status", "error"), [(503, StorageUnavailable), (403, StorageRefused), (404, ObjectNotFound)]
)
async def test_answers_without_a_body_have_a_code_too(
    make_s3: MakeS3, proxy: FaultProxy, status: int, error: type[Exception]
) -> None:
    store = make_s3(endpoint=proxy.url)
    proxy.inject(Answer(status), methods=("HEAD",))
    with pytest.raises(error):
        await store.head(KEY)


async def test_the_store_is_left_alone_for_as_long_as_it_asks(make_s3: MakeS3, proxy: FaultProxy) -> None:
    clock = ManualClock()
    store = make_s3(clock, endpoint=proxy.url)
    proxy.inject(answer(503, "SlowDown", Retry_After="7"), methods=("PUT",))
    with pytest.raises(StorageUnavailable) as caught:
        await store.put(KEY, DATA)
    assert caught.value.retry_after_ms == 7000

    clock.advance(6.9)
    for call in (store.get(KEY), store.head(KEY), store.put(KEY, DATA)):
        with pytest.raises(StorageUnavailable, match="SlowDown") as caught:
            await call
        assert caught.value.retry_after_ms == 100
    assert len(proxy.seen) == 1

    clock.advance(0.1)
    await store.put(KEY, DATA)


async def test_what_is_being_read_goes_on_after_slow_down(make_s3: MakeS3, proxy: FaultProxy) -> None:
    store = make_s3(ManualClock(), endpoint=proxy.url)
    await store.put(KEY, DATA)
    reader = await store.open(KEY)
    proxy.inject(answer(503, "SlowDown"), methods=("PUT",))
    with pytest.raises(StorageUnavailable):
        await store.put(KEY, DATA)
    assert b"".join([chunk async for chunk in reader]) == DATA
    await store.presign(KEY, expires_s=60)


async def test_a_store_that_asks_for_an_hour_is_asked_again_earlier(
    make_s3: MakeS3, proxy: FaultProxy
) -> None:
    clock = ManualClock()
    store = make_s3(clock, endpoint=proxy.url)
    proxy.inject(answer(503, "SlowDown", Retry_After="3600"), methods=("PUT",))
    with pytest.raises(StorageUnavailable):
        await store.put(KEY, DATA)
    clock.advance(MAX_SLOW_DOWN_MS / 1000)
    await store.put(KEY, DATA)


async def test_a_store_that_hangs_is_given_up_after_the_timeout(make_s3: MakeS3, proxy: FaultProxy) -> None:
    store = make_s3(endpoint=proxy.url, read_timeout_ms=100)
    proxy.inject(Hang(), times=2)
    with pytest.raises(StorageUnavailable, match="Timeout"):
        await store.put(KEY, DATA)
    with pytest.raises(StorageUnavailable, match="Timeout"):
        await store.get(KEY)


async def test_a_store_that_stops_reading_is_given_up_after_the_timeout(make_s3: MakeS3) -> None:
    done = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    store = make_s3(endpoint=endpoint, connect_timeout_ms=100, part_size_mib=64)
    # More than the buffers of both sockets hold.
    with pytest.raises(StorageUnavailable, match="ConnectionLost"):
        await store.put(KEY, bytes(32 * MIB))
    done.set()
    server.close()


async def test_a_lost_answer_does_not_look_like_an_object_of_somebody_else(
    make_s3: MakeS3, proxy: FaultProxy
) -> None:
    store = make_s3(endpoint=proxy.url)
    digest = hashlib.sha256(DATA).hexdigest()
    proxy.inject(Reset(served=True), methods=("PUT",))
    with pytest.raises(StorageUnavailable, match="ConnectionLost"):
        await put_once(store, KEY, DATA, sha256=digest)
    assert not await put_once(store, KEY, DATA, sha256=digest)
    assert await store.get(KEY) == DATA


@pytest.mark.parametrize("after", [0, 1000, len(DATA) - 1])
async def test_a_body_that_is_cut_off_is_never_taken_for_the_object(
    make_s3: MakeS3, proxy: FaultProxy, after: int
) -> None:
    store = make_s3(endpoint=proxy.url)
    await store.put(KEY, DATA)
    proxy.inject(Truncate(after), methods=("GET",), times=2)
    with pytest.raises(StorageUnavailable):
        await store.get(KEY)
    received = bytearray()
    with pytest.raises(StorageUnavailable):
        await read_into(received, store)
    assert len(received) <= after
    assert await store.get(KEY) == DATA


async def test_a_reader_that_breaks_off_can_be_continued(make_s3: MakeS3, proxy: FaultProxy) -> None:
    store = make_s3(endpoint=proxy.url)
    await store.put(KEY, DATA)
    proxy.inject(Truncate(2 * CHUNK_BYTES), methods=("GET",))
    received = bytearray()
    with pytest.raises(StorageUnavailable):
        await read_into(received, store)
    await read_into(received, store, offset=len(received))
    assert bytes(received) == DATA


async def test_a_range_that_the_store_ignores_is_an_error(make_s3: MakeS3, proxy: FaultProxy) -> None:
    store = make_s3(endpoint=proxy.url)
    proxy.inject(Answer(200, {}, DATA), methods=("GET",))
    with pytest.raises(StorageUnavailable, match="BadAnswer"):
        await store.open(KEY, offset=10)


@pytest.mark.parametrize("after", [0, 100])
async def test_a_listing_that_is_cut_off_is_an_error(make_s3: MakeS3, proxy: FaultProxy, after: int) -> None:
    store = make_s3(endpoint=proxy.url)
    await store.put(KEY, DATA)
    proxy.inject(Truncate(after), methods=("GET",))
    with pytest.raises(StorageUnavailable):
        [found async for found in store.list()]
    proxy.inject(Answer(200, {"Content-Type": "application/xml"}, b"<ListBucketResult>"), methods=("GET",))
    with pytest.raises(StorageUnavailable, match="BadAnswer"):
        [found async for found in store.list()]


@pytest.mark.parametrize(
    "fault", [answer(503, "SlowDown"), Reset(), Reset(served=True), answer(500, "InternalError")]
)
async def test_one_failed_part_does_not_cost_the_upload(
    make_s3: MakeS3, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch, fault: Answer | Reset
) -> None:
    waits: list[float] = []
    store = make_s3(endpoint=proxy.url)
    monkeypatch.setattr(store._connections, "_sleep", waits.append)
    proxy.inject(fault, containing="partNumber=2", times=2)
    data = bytes(11 * MIB)
    await store.put(KEY, data)
    assert await store.get(KEY) == data
    assert waits == [0.5, 1.0]
    assert sum("partNumber=1" in seen.target for seen in proxy.seen) == 1


async def test_a_refused_part_ends_the_upload_and_aborts_it(make_s3: MakeS3, proxy: FaultProxy) -> None:
    store = make_s3(endpoint=proxy.url)
    proxy.inject(answer(403, "AccessDenied"), containing="partNumber=2")
    with pytest.raises(StorageRefused, match="AccessDenied"):
        await store.put(KEY, bytes(11 * MIB))
    assert (proxy.seen[-1].method, "uploadId=" in proxy.seen[-1].target) == ("DELETE", True)
    assert [found async for found in store.list()] == []


async def test_an_upload_that_fails_in_its_last_answer_has_failed(
    make_s3: MakeS3, proxy: FaultProxy, tmp_path: Path
) -> None:
    """The status of CompleteMultipartUpload is 200 before the outcome is known."""
    store = make_s3(endpoint=proxy.url)
    fault = Answer(200, {"Content-Type": "application/xml"}, b"\n" + error_document("InternalError"))
    proxy.inject(fault, methods=("POST",), containing="uploadId=")
    with pytest.raises(StorageUnavailable, match="InternalError"):
        await store.put(KEY, bytes(6 * MIB))
    with pytest.raises(ObjectNotFound):
        await store.head(KEY)


async def test_a_store_that_ignores_conditions_is_refused_by_the_probe(
    make_s3: MakeS3, proxy: FaultProxy
) -> None:
    store = make_s3(endpoint=proxy.url)
    proxy.inject(Answer(200, {"ETag": '"1"'}), methods=("PUT",), skip=1)
    with pytest.raises(StorageRefused, match="ConditionalWriteIgnored"):
        await store.probe()
    assert [found async for found in store.list()] == []


async def test_a_store_that_may_not_be_read_is_refused_by_the_probe(
    make_s3: MakeS3, proxy: FaultProxy
) -> None:
    store = make_s3(endpoint=proxy.url)
    proxy.inject(answer(403, "AccessDenied"), methods=("GET",))
    with pytest.raises(StorageRefused, match="AccessDenied"):
        await store.probe()
    assert [found async for found in store.list()] == []


async def test_a_message_of_the_store_does_not_give_the_key_away(make_s3: MakeS3, proxy: FaultProxy) -> None:
    store = make_s3(endpoint=proxy.url)
    message = f"no access for {S3Server.access_key} with {S3Server.secret_key}"
    proxy.inject(answer(403, "AccessDenied", message), methods=("PUT",))
    with pytest.raises(StorageRefused) as caught:
        await store.put(KEY, DATA)
    assert caught.value.message == "no access for … with …"


async def test_a_server_that_is_killed_and_started_again_has_everything(make_s3: MakeS3) -> None:
    with S3Server() as server:
        server.make_bucket("calls")
        store = make_s3(server=server)
        await store.put(KEY, DATA)
        server.stop()
        with pytest.raises(StorageUnavailable):
            await store.put("other", DATA)
        server.start()

        async def read() -> bool:
            return await store.get(KEY) == DATA

        await wait_until(read)
