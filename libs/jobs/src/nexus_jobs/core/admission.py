"""Admission of jobs, by the free capacity of a replica.

A job declares what it needs. What the jobs of a class really use is measured, and the ratio of both corrects
later declarations, so that a careful declaration does not leave a machine idle and a careless one does not
overload it.
"""

import math
from dataclasses import dataclass
from typing import Final

from nexus_jobs.core.job import Capacity

# Time constant of the weighted mean: measurements of the last minutes count most.
AVERAGING_MS: Final = 60_000
# Bounds of a correction. A job that has just begun uses little, and one bad measurement must not block a
# class.
MIN_FACTOR: Final = 0.25
MAX_FACTOR: Final = 4.0


@dataclass(slots=True)
class _Factors:
    """The mean of measured / declared, by resource."""

    cpu: float = 1.0
    memory: float = 1.0
    spool: float = 1.0

    def correct(self, declared: Capacity) -> Capacity:
        return Capacity(
            math.ceil(declared.cpu_millicores * self.cpu),
            math.ceil(declared.memory_bytes * self.memory),
            math.ceil(declared.spool_bytes * self.spool),
        )

    def average(self, declared: Capacity, usage: Capacity, weight: float) -> None:
        self.cpu = _mean(self.cpu, declared.cpu_millicores, usage.cpu_millicores, weight)
        self.memory = _mean(self.memory, declared.memory_bytes, usage.memory_bytes, weight)
        self.spool = _mean(self.spool, declared.spool_bytes, usage.spool_bytes, weight)


def _mean(factor: float, declared: int, used: int, weight: float) -> float:
    if declared == 0:
        return factor
    return min(MAX_FACTOR, max(MIN_FACTOR, factor + weight * (used / declared - factor)))


@dataclass(slots=True)
class _Running:
    work: tuple[str, str]
    declared: Capacity
    measured: Capacity
    measured_at_ms: int


class Admission:
    """The capacity of one replica, and what its running jobs hold of it."""

    def __init__(self, total: Capacity) -> None:
        self.total = total
        self._running: dict[str, _Running] = {}
        self._factors: dict[tuple[str, str], _Factors] = {}

    def expected(self, kind: str, job_class: str, declared: Capacity) -> Capacity:
        """The amount that a job of this class will need, by its declaration and the measurements of its
        class."""
        return self._factors.get((kind, job_class), _Factors()).correct(declared)

    def reserved(self) -> Capacity:
        """The sum over running jobs of what each is expected to need, and never below what it uses."""
        total = Capacity()
        for job in self._running.values():
            total += self.expected(*job.work, job.declared).largest(job.measured)
        return total

    def free(self) -> Capacity:
        return self.total - self.reserved()

    def admits(self, kind: str, job_class: str, declared: Capacity) -> bool:
        """Whether a job fits. An idle replica admits what fits by its declaration, so that a correction
        never keeps a job from running anywhere."""
        if not self._running:
            return declared.fits_into(self.total)
        return self.expected(kind, job_class, declared).fits_into(self.free())

    def start(self, job_id: str, kind: str, job_class: str, declared: Capacity, now_ms: int) -> None:
        self._running[job_id] = _Running((kind, job_class), declared, Capacity(), now_ms)

    def measure(self, job_id: str, usage: Capacity, now_ms: int) -> None:
        """Takes what a job uses now. Unknown jobs are ignored: the job may have ended."""
        job = self._running.get(job_id)
        if job is None:
            return
        elapsed_ms = max(0, now_ms - job.measured_at_ms)
        weight = 1 - math.exp(-elapsed_ms / AVERAGING_MS)
        self._factors.setdefault(job.work, _Factors()).average(job.declared, usage, weight)
        job.measured, job.measured_at_ms = usage, now_ms

    def end(self, job_id: str) -> None:
        self._running.pop(job_id, None)

    def apportion(self, total: Capacity) -> dict[str, Capacity]:
        """The share of each running job if all of them together use `total`, in proportion to what they
        declared. For a process that can measure only itself."""
        declared = Capacity()
        for job in self._running.values():
            declared += job.declared
        return {
            job_id: Capacity(
                _share(total.cpu_millicores, job.declared.cpu_millicores, declared.cpu_millicores),
                _share(total.memory_bytes, job.declared.memory_bytes, declared.memory_bytes),
                _share(total.spool_bytes, job.declared.spool_bytes, declared.spool_bytes),
            )
            for job_id, job in self._running.items()
        }


def _share(total: int, part: int, whole: int) -> int:
    return 0 if whole == 0 else math.ceil(total * part / whole)
