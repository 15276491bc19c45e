"""Signed links to a folder store, fetched over HTTP."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from nexus_storage import (
    FolderSettings,
    FolderStore,
    InvalidKey,
    LinkEndpoint,
    LinkOptions,
    LinkRefused,
    LinkSigner,
    StorageRefused,
    StoreSet,
)
from nexus_testkit import ManualClock

SECRET = b"0123456789abcdef0123456789abcdef"
KEY = "会議/a b+c%20&d=e.mp4"
DATA = bytes(range(256)) * 4000
NOW_S = 1_700_000_000


def query_of(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, strict_parsing=True))


@given(
    st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), max_size=50).filter(
        lambda t: "/" not in t
    )
)
def test_whatever_is_signed_is_verified(filename: str) -> None:
    signer = LinkSigner("https://example.org/objects/", SECRET)
    options = LinkOptions(filename=filename, content_type="video/mp4")
    try:
        url = signer.sign("local", KEY, NOW_S + 10, options)
    except InvalidKey:
        return
    link = signer.verify("local", KEY, query_of(url), NOW_S)
    assert (link.store, link.key, link.expires_at_s, link.options) == ("local", KEY, NOW_S + 10, options)


@pytest.mark.parametrize("name", ["expires", "filename", "type", "signature"])
@pytest.mark.parametrize("value", [None, "", "0", "9999999999999", "ü", "\ud800", "٣"])
def test_a_link_with_any_other_part_is_refused(name: str, value: str | None) -> None:
    signer = LinkSigner("https://example.org", SECRET)
    query = query_of(signer.sign("local", KEY, NOW_S + 10, LinkOptions("name.mp4", "video/mp4")))
    if value is None:
        del query[name]
    else:
        query[name] = value
    with pytest.raises(LinkRefused, match="LinkInvalid"):
        signer.verify("local", KEY, query, NOW_S)


def test_a_link_holds_for_its_store_key_secret_and_time() -> None:
    signer = LinkSigner("https://example.org", SECRET)
    query = query_of(signer.sign("local", KEY, NOW_S + 10))
    signer.verify("local", KEY, query, NOW_S + 9.9)
    for store, key in (("other", KEY), ("local", "other"), ("loca", "l" + KEY)):
        with pytest.raises(LinkRefused, match="LinkInvalid"):
            signer.verify(store, key, query, NOW_S)
    with pytest.raises(LinkRefused, match="LinkInvalid"):
        LinkSigner("https://example.org", SECRET[::-1]).verify("local", KEY, query, NOW_S)
    with pytest.raises(LinkRefused, match="LinkExpired"):
        signer.verify("local", KEY, query, NOW_S + 10)


@pytest.mark.parametrize("filename", ["a/b", "a\\b", "a\nb", "x" * 201])
def test_a_name_that_is_no_file_name_is_not_signed(filename: str) -> None:
    with pytest.raises(InvalidKey):
        LinkSigner("https://example.org", SECRET).sign("local", KEY, NOW_S, LinkOptions(filename=filename))


async def test_a_store_without_a_secret_has_no_links(tmp_path: Path) -> None:
    store = FolderStore("local", FolderSettings(kind="folder", path=tmp_path))
    with pytest.raises(StorageRefused, match="LinksNotConfigured"):
        await store.presign(KEY, expires_s=60)
    await store.close()


class TestEndpoint:
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock(NOW_S)

    @pytest.fixture
    async def store(self, tmp_path: Path, clock: ManualClock) -> AsyncIterator[FolderStore]:
        """A store whose endpoint runs."""
        application = web.Application()
        runner = web.AppRunner(application)
        stores: dict[str, FolderStore] = {}

        async def handle(request: web.Request) -> web.StreamResponse:
            return await LinkEndpoint(StoreSet(stores), clock).handle(request)

        application.router.add_get("/objects/{store}/{key:.+}", handle)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        settings = FolderSettings.model_validate(
            {
                "kind": "folder",
                "path": tmp_path,
                "link_url": f"http://127.0.0.1:{runner.addresses[0][1]}/objects",
                "link_secret": SECRET.decode(),
            }
        )
        stores["local"] = FolderStore("local", settings, clock=clock)
        await stores["local"].put(KEY, DATA, content_type="video/mp4")
        yield stores["local"]
        await runner.cleanup()
        await stores["local"].close()

    @pytest.fixture
    async def http(self) -> AsyncIterator[aiohttp.ClientSession]:
        async with aiohttp.ClientSession() as session:
            yield session

    async def test_a_link_is_fetched(self, store: FolderStore, http: aiohttp.ClientSession) -> None:
        url = await store.presign(KEY, expires_s=60, options=LinkOptions(filename='a "b" ü.mp4'))
        async with http.get(url) as answer:
            assert (answer.status, await answer.read()) == (200, DATA)
            assert answer.headers["Content-Type"] == "video/mp4"
            assert answer.headers["Content-Disposition"].startswith(
                'attachment; filename="a _b_ _.mp4"; filename*='
            )
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        async with http.head(url) as answer:
            assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(DATA)))

    @pytest.mark.parametrize(
        ("header", "first", "last"),
        [
            ("bytes=0-0", 0, 0),
            ("bytes=100-199", 100, 199),
            ("bytes=1000000-", 1_000_000, len(DATA) - 1),
            ("bytes=-24", len(DATA) - 24, len(DATA) - 1),
            ("bytes=1023999-99999999", len(DATA) - 1, len(DATA) - 1),
            ("bytes=-99999999", 0, len(DATA) - 1),
        ],
    )
    async def test_a_player_can_seek(
        self, store: FolderStore, http: aiohttp.ClientSession, header: str, first: int, last: int
    ) -> None:
        url = await store.presign(KEY, expires_s=60)
        async with http.get(url, headers={"Range": header}) as answer:
            assert (answer.status, await answer.read()) == (206, DATA[first : last + 1])
            assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(DATA)}"

    @pytest.mark.parametrize("header", ["bytes=5-4", "bytes=0-1,5-6", "items=0-1", "bytes=-", "bytes=a-b"])
    async def test_other_ranges_are_ignored(
        self, store: FolderStore, http: aiohttp.ClientSession, header: str
    ) -> None:
        url = await store.presign(KEY, expires_s=60)
        async with http.get(url, headers={"Range": header}) as answer:
            assert (answer.status, await answer.read()) == (200, DATA)

    @pytest.mark.parametrize("header", [f"bytes={len(DATA)}-", "bytes=-0"])
    async def test_a_range_beyond_the_end_is_416(
        self, store: FolderStore, http: aiohttp.ClientSession, header: str
    ) -> None:
        url = await store.presign(KEY, expires_s=60)
        async with http.get(url, headers={"Range": header}) as answer:
            assert answer.status == 416

    async def test_a_file_that_ends_early_is_not_taken_for_the_whole(
        self, store: FolderStore, http: aiohttp.ClientSession, tmp_path: Path
    ) -> None:
        key = "large"
        await store.put(key, bytes(30 << 20))
        async with http.get(await store.presign(key, expires_s=60)) as answer:
            await answer.content.readexactly(1000)
            os.truncate(tmp_path / key, 1 << 20)
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()

    async def test_what_is_not_linked_is_not_given(
        self, store: FolderStore, http: aiohttp.ClientSession, clock: ManualClock
    ) -> None:
        url = await store.presign(KEY, expires_s=60)
        missing = await store.presign("missing", expires_s=60)
        base = url.partition("?")[0]
        for changed, status in (
            (base, 403),
            (url.replace("/local/", "/other/"), 404),
            (url.replace(".mp4", ".mp5"), 403),
            (missing, 404),
            (base.rpartition("/")[0] + "/..%2F..%2Fetc%2Fpasswd" + url[len(base) :], 403),
        ):
            async with http.get(changed) as answer:
                assert answer.status == status, changed
        clock.advance(60)
        async with http.get(url) as answer:
            assert (answer.status, await answer.text()) == (403, "LinkExpired: the link has expired\n")
