"""How a run is judged: pure functions of what the clients have counted."""

from collections.abc import Sequence

# On loopback a packet is lost only when a socket's buffer overflows because its process was not scheduled.
MOST_LOST = 0.005


def stalls(counts: Sequence[int]) -> list[int]:
    """The reports at which a count had not risen since the one before."""
    return [at for at in range(1, len(counts)) if counts[at] <= counts[at - 1]]


def missing(sent: Sequence[int], received: Sequence[int]) -> float:
    """The share of what was sent that never arrived."""
    there = set(received)
    return sum(checksum not in there for checksum in sent) / len(sent) if sent else 1.0


def invented(sent: Sequence[int], received: Sequence[int]) -> int:
    """How many packets arrived that were not sent: altered on the way, or of another publisher."""
    known = set(sent)
    return sum(checksum not in known for checksum in received)
