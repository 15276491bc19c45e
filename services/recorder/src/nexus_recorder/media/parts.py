"""The parts that all runs of a process work with."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from nexus_runtime import Clock
from nexus_storage import RetryPolicy, Store

from nexus_recorder.media.media_metrics import MediaMetrics
from nexus_recorder.media.ports import OpenMuxer, Room
from nexus_recorder.media.spool import Spool
from nexus_recorder.media.workers import DiskWorkers


@dataclass(frozen=True, slots=True)
class RunParts:
    """The parts that a run works with. `owner` names this process and is different in every life of it.
    `on_left_behind` is called when a run has ended before all of its spool was in the store."""

    room: Room
    store: Store
    spool: Spool
    workers: DiskWorkers
    open_muxer: OpenMuxer
    clock: Clock
    rng: random.Random
    owner: str
    metrics: MediaMetrics
    upload_policy: RetryPolicy | None = None
    on_left_behind: Callable[[], None] = lambda: None
