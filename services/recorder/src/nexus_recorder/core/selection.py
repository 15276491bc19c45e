"""The choice of the tracks that are recorded: patterns, exclusions and consent (`TrackSelection`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from nexus.recorder.v1 import recording_pb2
from nexus.types.v1.media_pb2 import TrackSource

from nexus_recorder.core.wildcards import matches

# The values of the consent attribute that mean yes.
CONSENTING: Final = frozenset({"true", "yes"})

# The audio source that belongs to a video source. Screen video and screen audio are a pair of their own.
PAIRED_AUDIO: Final[Mapping[int, int]] = {
    TrackSource.TRACK_SOURCE_CAMERA: TrackSource.TRACK_SOURCE_MICROPHONE,
    TrackSource.TRACK_SOURCE_SCREEN: TrackSource.TRACK_SOURCE_SCREEN_AUDIO,
}


@dataclass(frozen=True, slots=True)
class Publisher:
    """A participant, as far as the selection depends on it. `participant_id` is one session of the
    identity."""

    participant_id: str
    identity: str
    name: str = ""
    hidden: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Publication:
    """A track of a publisher. `source` and `kind` have the numbers of TrackSource and TrackKind."""

    track_id: str
    participant_id: str
    kind: int
    source: int
    name: str = ""
    muted: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern of tracks. An empty field fits everything; all others must fit."""

    identity: str = ""
    name: str = ""
    sources: frozenset[int] = frozenset()
    track_id: str = ""

    def fits(self, publisher: Publisher, publication: Publication) -> bool:
        return (
            self.fits_publisher(publisher)
            and (not self.name or matches(self.name, publication.name))
            and (not self.sources or publication.source in self.sources)
            and self.track_id in ("", publication.track_id)
        )

    def fits_publisher(self, publisher: Publisher) -> bool:
        """Whether the part of the pattern that concerns the participant fits."""
        return not self.identity or matches(self.identity, publisher.identity)

    @property
    def whole_publisher(self) -> bool:
        """Whether it fits every track of the participants that it fits."""
        return not self.name and not self.sources and not self.track_id


@dataclass(frozen=True, slots=True)
class Selection:
    """The selection of one recording. Hidden participants are never selected."""

    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()
    consent: str = ""

    @classmethod
    def from_message(cls, message: recording_pb2.TrackSelection) -> "Selection":
        return cls(
            include=tuple(_pattern(each) for each in message.include),
            exclude=tuple(_pattern(each) for each in message.exclude),
            consent=message.consent,
        )

    def selects(self, publisher: Publisher, publication: Publication) -> bool:
        """Whether the track is recorded now. It changes with the attributes of the participant."""
        if not self._permitted(publisher):
            return False
        if self.include and not any(each.fits(publisher, publication) for each in self.include):
            return False
        return not any(each.fits(publisher, publication) for each in self.exclude)

    def may_select(self, publisher: Publisher) -> bool:
        """Whether some track of this participant could be recorded, so that the room does not count as
        empty."""
        if not self._permitted(publisher):
            return False
        if self.include and not any(each.fits_publisher(publisher) for each in self.include):
            return False
        return not any(each.whole_publisher and each.fits_publisher(publisher) for each in self.exclude)

    def _permitted(self, publisher: Publisher) -> bool:
        if publisher.hidden:
            return False
        return not self.consent or publisher.attributes.get(self.consent, "").lower() in CONSENTING


def _pattern(message: recording_pb2.TrackPattern) -> Pattern:
    return Pattern(message.identity, message.name, frozenset(message.sources), message.track_id)
