"""The tracks of a room, and which of them are recorded at the moment.

It takes the changes of the room and returns the tracks to begin and to end. It also knows since when the room
has had no participant who could be recorded.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from nexus_recorder.core.selection import Publication, Publisher, Selection


@dataclass(frozen=True, slots=True)
class Begin:
    """An effect: record this track from now on."""

    publisher: Publisher
    publication: Publication


@dataclass(frozen=True, slots=True)
class End:
    """An effect: do not record this track any longer. `unpublished`: the room has it no longer, so that its
    tap will deliver what it still has and end by itself."""

    track_id: str
    unpublished: bool


Effect = Begin | End


class Roster:
    """The participants and tracks of one room, with the tracks that are being recorded."""

    def __init__(self, selection: Selection, now_ms: int) -> None:
        self._selection = selection
        self._publishers: dict[str, Publisher] = {}
        self._publications: dict[str, Publication] = {}
        self._recorded: set[str] = set()
        self._empty_since_ms: int | None = now_ms

    @property
    def empty_since_ms(self) -> int | None:
        """Since when, on the monotonic clock, the room has had no participant who could be recorded; None: it
        has one."""
        return self._empty_since_ms

    @property
    def recorded(self) -> frozenset[str]:
        """The ids of the tracks that are recorded."""
        return frozenset(self._recorded)

    def publisher_of(self, track_id: str) -> Publisher | None:
        publication = self._publications.get(track_id)
        return self._publishers.get(publication.participant_id) if publication else None

    def publication(self, track_id: str) -> Publication | None:
        return self._publications.get(track_id)

    def replace(
        self, publishers: Iterable[Publisher], publications: Iterable[Publication], now_ms: int
    ) -> list[Effect]:
        """Takes a snapshot of the room in place of everything known before."""
        self._publishers = {each.participant_id: each for each in publishers}
        self._publications = {
            each.track_id: each for each in publications if each.participant_id in self._publishers
        }
        return self._decide(now_ms)

    def put_publisher(self, publisher: Publisher, now_ms: int) -> list[Effect]:
        """Takes a participant who joined, or whose attributes changed."""
        self._publishers[publisher.participant_id] = publisher
        return self._decide(now_ms)

    def remove_publisher(self, participant_id: str, now_ms: int) -> list[Effect]:
        self._publishers.pop(participant_id, None)
        for each in [p for p in self._publications.values() if p.participant_id == participant_id]:
            del self._publications[each.track_id]
        return self._decide(now_ms)

    def put_publication(self, publication: Publication, now_ms: int) -> list[Effect]:
        """Takes a track that was published, or that changed. A track of an unknown participant is ignored:
        its participant is hidden or has left."""
        if publication.participant_id in self._publishers:
            self._publications[publication.track_id] = publication
        return self._decide(now_ms)

    def remove_publication(self, track_id: str, now_ms: int) -> list[Effect]:
        self._publications.pop(track_id, None)
        return self._decide(now_ms)

    def select(self, selection: Selection, now_ms: int) -> list[Effect]:
        """Takes another selection for the tracks that are there."""
        self._selection = selection
        return self._decide(now_ms)

    def _decide(self, now_ms: int) -> list[Effect]:
        wanted = {
            each.track_id
            for each in self._publications.values()
            if self._selection.selects(self._publishers[each.participant_id], each)
        }
        effects: list[Effect] = [
            End(track_id, track_id not in self._publications) for track_id in sorted(self._recorded - wanted)
        ]
        for track_id in self._publications:
            if track_id in wanted and track_id not in self._recorded:
                publication = self._publications[track_id]
                effects.append(Begin(self._publishers[publication.participant_id], publication))
        self._recorded = wanted
        occupied = any(self._selection.may_select(each) for each in self._publishers.values())
        if occupied:
            self._empty_since_ms = None
        elif self._empty_since_ms is None:
            self._empty_since_ms = now_ms
        return effects
