"""The three stores that the contract suite runs against, and S3 behind a proxy that fails."""

import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from nexus_storage import FolderSettings, FolderStore, S3Settings, S3Store, Store
from nexus_storage.testing import MemoryStore
from nexus_testkit import FaultProxy, ManualClock, S3Server

MakeS3 = Callable[..., S3Store]

_numbers = itertools.count(1)

LINK_SECRET = "0123456789abcdef0123456789abcdef"


def s3_settings(server: S3Server, **changes: Any) -> S3Settings:
    """Settings of a bucket on the test server, which speaks no TLS."""
    document: dict[str, Any] = {
        "kind": "s3",
        "endpoint": server.url,
        "region": server.region,
        "bucket": "calls",
        "require_tls": False,
        "part_size_mib": 5,
        "connect_timeout_ms": 2_000,
        "read_timeout_ms": 5_000,
        "credentials": [
            {"kind": "keys", "access_key": server.access_key, "secret_key": server.secret_key},
        ],
    }
    return S3Settings.model_validate(document | changes)


def folder_settings(path: Path, **changes: Any) -> FolderSettings:
    document: dict[str, Any] = {"kind": "folder", "path": path, "create": True}
    return FolderSettings.model_validate(document | changes)


@pytest.fixture
def bucket(shared_s3_server: S3Server) -> str:
    """A new bucket on the shared server."""
    name = f"calls-{next(_numbers)}"
    shared_s3_server.make_bucket(name)
    return name


@pytest.fixture
async def make_s3(shared_s3_server: S3Server, bucket: str) -> AsyncIterator[MakeS3]:
    """Makes stores on the bucket of this test, or on a bucket `calls` of another server, with changed
    settings."""
    opened: list[S3Store] = []

    def make(clock: ManualClock | None = None, server: S3Server | None = None, **changes: Any) -> S3Store:
        place = {} if server is not None else {"bucket": bucket}
        settings = s3_settings(server or shared_s3_server, **(place | changes))
        store = S3Store("s3", settings, clock=clock)
        opened.append(store)
        return store

    yield make
    for store in opened:
        await store.close()


@pytest.fixture
async def proxy(shared_s3_server: S3Server) -> AsyncIterator[FaultProxy]:
    async with FaultProxy(shared_s3_server.url) as proxy:
        yield proxy


@pytest.fixture(params=["memory", "folder", "s3"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    made: Store
    match request.param:
        case "memory":
            made = MemoryStore()
        case "folder":
            made = FolderStore(
                "folder", folder_settings(tmp_path / "store", link_url="http://x", link_secret=LINK_SECRET)
            )
        case _:
            server: S3Server = request.getfixturevalue("shared_s3_server")
            name = request.getfixturevalue("bucket")
            made = S3Store("s3", s3_settings(server, bucket=name, prefix="recordings/2026/"))
    yield made
    await made.close()
