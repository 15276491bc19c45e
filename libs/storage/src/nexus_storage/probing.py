"""The calls that all stores make of others: the probe, and the removal of a prefix."""

import asyncio
import secrets
from contextlib import suppress
from typing import Final

from nexus_storage.errors import ObjectExists, StorageError, StorageRefused
from nexus_storage.keys import check_prefix
from nexus_storage.store import Store

# The prefix of the probes' keys.
PROBES: Final = "nexus-probe/"
# Number of objects that are removed at a time. DeleteObjects would remove 1,000 at once, but not every
# store has it.
DELETED_AT_ONCE: Final = 100


async def probe(store: Store) -> None:
    """Writes, lists, reads and removes an object under `nexus-probe/`; see `Store.probe`."""
    token = secrets.token_hex(16)
    key = PROBES + token
    metadata = {"probe": f"ü {token}"}
    await store.put(key, token.encode(), content_type="text/plain", metadata=metadata, if_absent=True)
    try:
        await _examine(store, key, token.encode(), metadata)
    except BaseException:
        with suppress(StorageError):
            await store.delete(key)
        raise
    await store.delete(key)


async def _examine(store: Store, key: str, data: bytes, metadata: dict[str, str]) -> None:
    try:
        await store.put(key, b"second", if_absent=True)
    except ObjectExists:
        pass
    else:
        raise StorageRefused(
            "ConditionalWriteIgnored", "the store replaced an object although If-None-Match was sent", key=key
        )
    if await store.get(key) != data:
        raise StorageRefused("WrongContent", "the store returned other bytes than were written", key=key)
    if dict((await store.head(key)).metadata) != metadata:
        raise StorageRefused("MetadataLost", "the store did not keep the metadata of an object", key=key)
    if [listed.key async for listed in store.list(key)] != [key]:
        raise StorageRefused("NotListed", "the store does not list an object that was written", key=key)


async def delete_each(store: Store, prefix: str) -> int:
    """Removes all objects under a prefix that ends with a slash; returns how many."""
    check_prefix(prefix, whole_elements=True)
    removed = 0
    keys: list[str] = []
    async for listed in store.list(prefix):
        keys.append(listed.key)
        if len(keys) == DELETED_AT_ONCE:
            removed += await _delete_all(store, keys)
            keys.clear()
    return removed + await _delete_all(store, keys)


async def _delete_all(store: Store, keys: list[str]) -> int:
    results = await asyncio.gather(*(store.delete(key) for key in keys), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return len(keys)
