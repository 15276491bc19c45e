"""Messages, key-value buckets and durable streams on NATS, with an in-memory twin."""

from nexus_bus.bus import (
    Bus,
    BusError,
    Change,
    DurableMessage,
    Entry,
    KeyExists,
    KeyValue,
    Message,
    NoResponder,
    NotConnected,
    PayloadTooLarge,
    PullConsumer,
    RequestTimeout,
    RevisionMismatch,
    StreamSpec,
    Subscription,
    Synced,
    Watch,
    WatchStep,
)
from nexus_bus.lazy_kv import LazyKeyValue
from nexus_bus.memory_bus import MemoryBroker, MemoryBus
from nexus_bus.nats_bus import NatsBus

__all__ = [
    "Bus",
    "BusError",
    "Change",
    "DurableMessage",
    "Entry",
    "KeyExists",
    "KeyValue",
    "LazyKeyValue",
    "MemoryBroker",
    "MemoryBus",
    "Message",
    "NatsBus",
    "NoResponder",
    "NotConnected",
    "PayloadTooLarge",
    "PullConsumer",
    "RequestTimeout",
    "RevisionMismatch",
    "StreamSpec",
    "Subscription",
    "Synced",
    "Watch",
    "WatchStep",
]
