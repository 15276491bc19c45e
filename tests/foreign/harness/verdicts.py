"""Evaluation of a run: pure functions of the clients' counters and checksums."""

from collections.abc import Sequence

# Maximum share of lost packets: on loopback, only a socket's buffer overflows, when its process is not
# scheduled.
MOST_LOST = 0.005


def stalls(counts: Sequence[int]) -> list[int]:
    """Indices of the reports in which a count had not risen since the previous one."""
    return [at for at in range(1, len(counts)) if counts[at] <= counts[at - 1]]


def missing(sent: Sequence[int], received: Sequence[int]) -> float:
    """The share of sent packets that never arrived; 1.0 if none were sent."""
    there = set(received)
    return sum(checksum not in there for checksum in sent) / len(sent) if sent else 1.0


def missing_runs(sent: Sequence[int], received: Sequence[int]) -> list[tuple[int, int]]:
    """First place and length of each run of packets that never arrived. One long run is a pause of a process;
    many short ones are losses on the way."""
    there = set(received)
    runs: list[tuple[int, int]] = []
    for at, checksum in enumerate(sent):
        if checksum in there:
            continue
        if runs and sum(runs[-1]) == at:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((at, 1))
    return runs


def invented(sent: Sequence[int], received: Sequence[int]) -> int:
    """Number of packets that arrived but were not sent: altered, or from another publisher."""
    known = set(sent)
    return sum(checksum not in known for checksum in received)
