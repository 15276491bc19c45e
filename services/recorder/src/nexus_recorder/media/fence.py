"""The right to write objects of a recording: its lease, and in doubt the store itself.

Every owner claims its epoch with an object that is created only if absent, before it creates anything else.
While the lease is not confirmed, because the broker is away, an owner looks for a later claim before it
writes. So a recording continues without the broker, and an owner that was stopped and wakes up finds its
successor.
"""

from typing import Protocol

from nexus_storage import ObjectExists, Store

from nexus_recorder.core.object_names import ObjectNames
from nexus_recorder.run import RunLease


class Fenced(Exception):
    """Another process owns the recording. Nothing more may be written."""


class Clearance(Protocol):
    async def check(self) -> None:
        """Raises Fenced. Also raises StorageError if the store had to be asked and does not answer."""
        ...


class Fence:
    """The right of one owner to write into a store."""

    def __init__(self, lease: RunLease, store: Store, names: ObjectNames, owner: str) -> None:
        self._lease = lease
        self._store = store
        self._names = names
        self._owner = owner
        self._claimed = False

    async def check(self) -> None:
        if self._lease.lost():
            raise Fenced
        if not self._claimed:
            await self._claim()
        if self._lease.held():
            return
        claim = self._names.claim(self._lease.epoch)
        async for listed in self._store.list(self._names.epochs, start_after=claim):
            if self._names.parse_claim(listed.key) is not None:
                raise Fenced
        if self._lease.lost():
            raise Fenced

    async def _claim(self) -> None:
        key = self._names.claim(self._lease.epoch)
        try:
            await self._store.put(key, self._owner.encode(), content_type="text/plain", if_absent=True)
        except ObjectExists:
            if await self._store.get(key) != self._owner.encode():
                raise Fenced from None
        self._claimed = True
