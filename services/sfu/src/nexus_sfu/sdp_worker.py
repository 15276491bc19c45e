"""Parses and writes SDP in threads outside the event loop, because the largest offers take some milliseconds
(docs/architecture/sfu.md).

Threads are used instead of processes: with cached codec blocks, an ordinary offer takes less than the
interval at which Python switches threads, and transferring the result from a process would double the cost.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from nexus_sfu.core.model import Codec, Slot
from nexus_sfu.sdp import (
    AnswerTransport,
    Negotiated,
    PublicationRequest,
    build_answer,
    negotiate,
    parse_offer,
)
from nexus_sfu.sdp.codec_policy import VIDEO_ORDER
from nexus_sfu.sdp.validate import DEFAULT_BOUNDS, Bounds

T = TypeVar("T")


class SdpWorker:
    def __init__(
        self, bounds: Bounds = DEFAULT_BOUNDS, codec_order: Sequence[Codec] = VIDEO_ORDER, threads: int = 2
    ) -> None:
        self._bounds = bounds
        self._order = codec_order
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="sdp")

    async def negotiate(self, sdp: str, requests: Sequence[PublicationRequest]) -> Negotiated:
        """Raises RpcError."""
        return await self._run(partial(self._negotiate, sdp, requests))

    def _negotiate(self, sdp: str, requests: Sequence[PublicationRequest]) -> Negotiated:
        return negotiate(parse_offer(sdp, self._bounds), requests, self._order)

    async def answer(
        self,
        negotiated: Negotiated,
        transport: AnswerTransport,
        slots: Mapping[str, Slot],
        *,
        session_id: int,
        session_version: int,
    ) -> str:
        work = partial(
            build_answer,
            negotiated,
            transport,
            slots,
            session_id=session_id,
            session_version=session_version,
        )
        return await self._run(work)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
