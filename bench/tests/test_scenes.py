"""Who is in a scene, and how much they should receive together."""

from _load import Person
from _scenes import SCENES, Scene, expected_packets, people_of


def test_a_livestream_has_one_publisher_and_its_viewers() -> None:
    people = people_of(Scene("s", "livestream", 5))
    assert [person.publishes for person in people] == [True, False, False, False, False, False]
    assert not people[0].watches
    assert [person.index for person in people] == list(range(6))


def test_who_speaks_in_an_audio_room_hears_the_others_only() -> None:
    people = people_of(Scene("s", "audio", 12))
    assert [person.audio_slots for person in people] == [9] * 10 + [10] * 2


def test_a_part_of_the_people_is_on_a_poor_network_and_never_the_publisher() -> None:
    people = people_of(SCENES["poor"])
    assert [person.loss_percent for person in people].count(3) == len(people) // 5
    assert people[0].loss_percent == 0


def test_expected_packets_are_those_of_others_and_of_the_highest_encoding() -> None:
    people = people_of(Scene("s", "meeting", 3))
    sent = {}
    for person in people:
        sent[person.audio_ssrc] = 10
        for encoding, packets in enumerate((1, 2, 100)):
            sent[person.video_ssrc(encoding)[0]] = packets
    assert expected_packets(people, sent) == 3 * 2 * (10 + 100)


def test_expected_packets_stop_at_the_slots() -> None:
    speakers = [Person(i, audio=True) for i in range(4)]
    listener = Person(4, audio_slots=3)
    assert expected_packets([*speakers, listener], {s.audio_ssrc: 5 for s in speakers}) == 15


def test_one_encoding_is_the_highest() -> None:
    people = people_of(Scene("s", "livestream", 2, simulcast=False))
    sent = {people[0].audio_ssrc: 1, people[0].video_ssrc(0)[0]: 20}
    assert expected_packets(people, sent) == 2 * 21
