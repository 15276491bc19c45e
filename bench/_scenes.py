"""What is measured: who is in a room and what each publishes and watches. Pure.

Each scene is a load that every server carries on one core: half of what the slowest can do, about 33,000
packets a second out. So servers are compared at the same offered load, none of them in distress.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from _load import Person

AUDIO_PUBLISHERS = 10
MAX_WATCHED = 25


@dataclass(frozen=True, slots=True)
class Scene:
    name: str
    kind: str  # livestream, meeting or audio
    people: int
    poor_percent: int = 0  # of the people, on a network that loses `loss_percent`
    loss_percent: float = 0
    simulcast: bool = True
    churn: int = 0  # people that leave, and as many that come, in each second of measuring


# The first three are what `ratios` is made of.
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


def people_of(scene: Scene) -> list[Person]:
    """Publishers first. Of a livestream `people` are the viewers; one more publishes."""
    people = _people(scene)
    poor = len(people) * scene.poor_percent // 100
    for person in people[len(people) - poor :]:
        person.loss_percent = scene.loss_percent
    return people


def _people(scene: Scene) -> list[Person]:
    count = scene.people
    match scene.kind:
        case "livestream":
            return [
                Person(0, audio=True, video=True, simulcast=scene.simulcast),
                *(viewer(i) for i in range(1, count + 1)),
            ]
        case "meeting":
            watched = min(count - 1, MAX_WATCHED)
            return [
                Person(
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
                # Who speaks hears the nine others.
                Person(i, audio=i < AUDIO_PUBLISHERS, audio_slots=AUDIO_PUBLISHERS - (i < AUDIO_PUBLISHERS))
                for i in range(count)
            ]
    raise ValueError(scene.kind)


def viewer(index: int) -> Person:
    return Person(index, audio_slots=1, video_slots=1)


def expected_packets(people: Sequence[Person], sent: Mapping[int, int]) -> int:
    """What all receive together when everybody gets everything, of video the highest encoding. `sent`:
    packets by SSRC."""
    sounds = {p.index: sent.get(p.audio_ssrc, 0) for p in people if p.audio}
    pictures = {p.index: sent.get(p.video_ssrc(len(p.encodings()) - 1)[0], 0) for p in people if p.video}
    total = 0
    for person in people:
        for streams, slots in ((sounds, person.audio_slots), (pictures, person.video_slots)):
            others = [packets for index, packets in streams.items() if index != person.index]
            total += sum(others[:slots])
    return total
