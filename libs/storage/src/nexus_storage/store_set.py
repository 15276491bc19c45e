"""The configured stores of a service, by name."""

from collections.abc import Iterator, Mapping
from typing import Self

from nexus_runtime import Clock

from nexus_storage.errors import StoreNotFound
from nexus_storage.folder_store import FolderStore
from nexus_storage.s3_store import S3Store
from nexus_storage.settings import FolderSettings, StoreSettings
from nexus_storage.store import Store
from nexus_storage.workers import StoreMetrics


class StoreSet:
    """Finds stores by name. A request that names none gets the first one of the configuration."""

    def __init__(self, stores: Mapping[str, Store]) -> None:
        self._stores = dict(stores)

    @classmethod
    def open(
        cls, settings: Mapping[str, StoreSettings], clock: Clock, metrics: StoreMetrics | None = None
    ) -> Self:
        """Makes the stores, without connecting to any. Raises OSError and ValueError for faults of files,
        which `StorageConfig.problems` lists."""
        return cls({name: _make(name, one, clock, metrics) for name, one in settings.items()})

    def get(self, name: str = "") -> Store:
        """The store of this name; the first one without a name. Raises StoreNotFound."""
        found = self._stores.get(name) if name else next(iter(self._stores.values()), None)
        if found is None:
            raise StoreNotFound(name)
        return found

    def __iter__(self) -> Iterator[Store]:
        return iter(self._stores.values())

    def __len__(self) -> int:
        return len(self._stores)

    async def close(self) -> None:
        for store in self:
            await store.close()


def _make(name: str, settings: StoreSettings, clock: Clock, metrics: StoreMetrics | None) -> Store:
    if isinstance(settings, FolderSettings):
        return FolderStore(name, settings, clock=clock, metrics=metrics)
    return S3Store(name, settings, clock=clock, metrics=metrics)
