"""The measured scenes: the participants of a room, and what each publishes and watches. Pure functions.

Each scene is a load that every server carries on one core: half of the slowest server's maximum, about 33,000
outgoing packets per second. So servers are compared at the same offered load, and none is overloaded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from _load import Participant

AUDIO_PUBLISHERS = 10
MAX_WATCHED = 25


@dataclass(frozen=True, slots=True)
class Scene:
    name: str
    kind: str  # livestream, meeting or audio
    participants: int
    poor_percent: int = 0  # share of the participants whose network loses `loss_percent`
    loss_percent: float = 0
    simulcast: bool = True
    churn: int = 0  # participants that leave, and that join, in each second of the measurement


# The ratios are computed from the first three.
SCENES: Mapping[str, Scene] = {
    scene.name: scene
    for scene in (
        Scene("livestream", "livestream", 150),
        Scene("meeting", "meeting", 13),
        Scene("audio", "audio", 65),
        Scene("churn", "livestream", 100, churn=5),
        Scene("poor", "livestream", 100, poor_percent=20, loss_percent=3),
    )
}


def participants_of(scene: Scene) -> list[Participant]:
    """The participants, publishers first. In a livestream `scene.participants` counts the viewers, without
    the publisher."""
    participants = _participants(scene)
    poor = len(participants) * scene.poor_percent // 100
    for participant in participants[len(participants) - poor :]:
        participant.loss_percent = scene.loss_percent
    return participants


def _participants(scene: Scene) -> list[Participant]:
    count = scene.participants
    match scene.kind:
        case "livestream":
            return [
                Participant(0, audio=True, video=True, simulcast=scene.simulcast),
                *(viewer(i) for i in range(1, count + 1)),
            ]
        case "meeting":
            watched = min(count - 1, MAX_WATCHED)
            return [
                Participant(
                    i,
                    audio=True,
                    video=True,
                    simulcast=scene.simulcast,
                    audio_slots=watched,
                    video_slots=watched,
                )
                for i in range(count)
            ]
        case "audio":
            return [
                # A speaker receives the nine others.
                Participant(
                    i, audio=i < AUDIO_PUBLISHERS, audio_slots=AUDIO_PUBLISHERS - (i < AUDIO_PUBLISHERS)
                )
                for i in range(count)
            ]
    raise ValueError(scene.kind)


def viewer(index: int) -> Participant:
    return Participant(index, audio_slots=1, video_slots=1)


def expected_packets(participants: Sequence[Participant], sent: Mapping[int, int]) -> int:
    """Number of packets that all participants receive together if nothing is lost and every video slot
    receives the highest encoding. `sent`: packets by SSRC."""
    audio = {p.index: sent.get(p.audio_ssrc, 0) for p in participants if p.audio}
    video = {p.index: sent.get(p.video_ssrc(len(p.encodings()) - 1)[0], 0) for p in participants if p.video}
    total = 0
    for participant in participants:
        for streams, slots in ((audio, participant.audio_slots), (video, participant.video_slots)):
            others = [packets for index, packets in streams.items() if index != participant.index]
            total += sum(others[:slots])
    return total
