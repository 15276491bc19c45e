"""The taps of the engine that are read here, and what happens when one of them has records."""

import asyncio
from collections.abc import AsyncIterator, Callable

from nexus_sfu import errors
from nexus_sfu.engine_port import EnginePort, TapOptions
from nexus_sfu.metrics import Metrics

# Size at which reading stops: with one more batch, a message stays far below gRPC's default limit of 4 MiB.
READ_BYTES = 1 << 20


class TapReaders:
    """Wakes the readers that wait for a tap's records."""

    def __init__(self, engine: EnginePort) -> None:
        self._engine = engine
        self._listeners: dict[int, Callable[[], None]] = {}

    def wake(self) -> None:
        """Wakes the readers of ready taps. Call it when the engine's tap_fd is readable."""
        for tap in self._engine.ready_taps():
            if tap in self._listeners:
                self._listeners[tap]()

    @property
    def count(self) -> int:
        return len(self._listeners)

    def add_tap(self, track: int, options: TapOptions) -> int:
        """Raises RpcError if the engine accepts no more taps."""
        try:
            return self._engine.add_tap(track, options)
        except RuntimeError as error:
            raise errors.too_many_streams() from error

    def listen(self, tap: int, ready: Callable[[], None]) -> None:
        """Calls `ready` whenever the tap has records, until it is removed."""
        self._listeners[tap] = ready

    def remove_tap(self, tap: int) -> None:
        del self._listeners[tap]
        self._engine.remove_tap(tap)

    async def read(self, track: int, options: TapOptions, metrics: Metrics) -> AsyncIterator[bytes]:
        """Yields the batches of a tap of its own until the engine's track ends. Raises RpcError if the engine
        accepts no more taps."""
        tap = self.add_tap(track, options)
        ready = asyncio.Event()
        self.listen(tap, ready.set)
        try:
            while True:
                ready.clear()
                batch = self._engine.read_tap(tap, READ_BYTES)
                metrics.stream_packets.inc(batch.packets)
                metrics.stream_packets_dropped.inc(batch.packets_dropped)
                if batch.records:
                    yield batch.records
                elif not batch.ended:
                    await ready.wait()
                if batch.ended:
                    return
        finally:
            self.remove_tap(tap)
