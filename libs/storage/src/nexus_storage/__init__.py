"""Objects in a folder or in S3: one interface, typed errors, key templates, retries and signed links."""

from nexus_storage.config import StorageConfig
from nexus_storage.errors import (
    InvalidKey,
    InvalidRange,
    InvalidTemplate,
    LinkRefused,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageFull,
    StorageRefused,
    StorageUnavailable,
    StoreNotFound,
)
from nexus_storage.folder_store import FolderStore
from nexus_storage.key_template import KeyTemplate
from nexus_storage.keys import check_key, check_prefix
from nexus_storage.link_endpoint import LinkEndpoint
from nexus_storage.links import Link, LinkSigner
from nexus_storage.retrying import Failure, RetryPolicy, retrying
from nexus_storage.s3_store import S3Store
from nexus_storage.settings import FolderSettings, S3Settings, StoreSettings
from nexus_storage.store import LinkOptions, Listed, ObjectInfo, ObjectReader, Store, put_once
from nexus_storage.store_set import StoreSet
from nexus_storage.workers import StoreMetrics

__all__ = [
    "Failure",
    "FolderSettings",
    "FolderStore",
    "InvalidKey",
    "InvalidRange",
    "InvalidTemplate",
    "KeyTemplate",
    "Link",
    "LinkEndpoint",
    "LinkOptions",
    "LinkRefused",
    "LinkSigner",
    "Listed",
    "ObjectExists",
    "ObjectInfo",
    "ObjectNotFound",
    "ObjectReader",
    "RetryPolicy",
    "S3Settings",
    "S3Store",
    "StorageConfig",
    "StorageError",
    "StorageFull",
    "StorageRefused",
    "StorageUnavailable",
    "Store",
    "StoreMetrics",
    "StoreNotFound",
    "StoreSet",
    "StoreSettings",
    "check_key",
    "check_prefix",
    "put_once",
    "retrying",
]
